"""The ledger: Keywright's own database, SQLite or PostgreSQL. The only room that imports SQLAlchemy."""
