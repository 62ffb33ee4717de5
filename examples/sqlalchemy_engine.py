"""SQLAlchemy: one line changed. KEYWRIGHT_ADDR, KEYWRIGHT_TOKEN and KEYWRIGHT_ENVIRONMENT say where and who."""

from keywright import Client
from keywright.sqlalchemy import attach
from sqlalchemy import create_engine, text

engine = attach(create_engine("postgresql+psycopg://", pool_size=5), Client(), "shop/db")

with engine.begin() as connection:
    print("served as", connection.execute(text("SELECT current_user")).scalar_one())
engine.dispose()
