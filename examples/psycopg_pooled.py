"""psycopg_pool: connections whose login was replaced go by themselves."""

from keywright import Client
from keywright.psycopg import pool

with pool(Client(), "shop/db", min_size=1) as connections, connections.connection() as connection:
    print("served as", *connection.execute("SELECT current_user").fetchone())
