"""psycopg, without a pool."""

from keywright import Client
from keywright.psycopg import connect

with connect(Client(), "shop/db", application_name="example") as connection:
    print("served as", *connection.execute("SELECT current_user").fetchone())
