"""SQLAlchemy's AsyncEngine, over asyncpg or psycopg."""

import asyncio

from keywright import AsyncClient
from keywright.sqlalchemy import attach
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def main() -> None:
    """One request."""
    async with AsyncClient() as client:
        engine = attach(create_async_engine("postgresql+asyncpg://"), client, "shop/db")
        async with engine.begin() as connection:
            print("served as", (await connection.execute(text("SELECT current_user"))).scalar_one())
        await engine.dispose()


asyncio.run(main())
