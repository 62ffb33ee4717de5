"""A PostgreSQL with many logins, and one that administers them."""

import secrets
from typing import Any

import psycopg

from service.core.secret import Secret
from service.demo.server import HOST, Server

LOGINS = 200
DATABASE = "postgres"
ADMINISTRATOR = "bench_admin"


class Shop:
    """The logins with their passwords, as they are now."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.administration = secrets.token_urlsafe(24)
        self.passwords = {f"bench_{number:03}": secrets.token_urlsafe(24) for number in range(LOGINS)}
        server.execute(
            "CREATE ROLE {} LOGIN CREATEROLE PASSWORD {password}", ADMINISTRATOR, password=Secret(self.administration)
        )
        self.known = dict(self.passwords)
        """What Keywright knows them by."""
        grants = server.major >= 16  # before, CREATEROLE was enough
        for username, password in self.passwords.items():
            server.execute("CREATE ROLE {} LOGIN PASSWORD {password}", username, password=Secret(password))
            if grants:
                server.execute("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", username, ADMINISTRATOR)

    def connect(self, username: str, password: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Log in as an application would."""
        return psycopg.connect(
            host=HOST,
            port=self.server.port,
            user=username,
            password=password,
            dbname=DATABASE,
            sslmode="disable",
            connect_timeout=10,
        )
