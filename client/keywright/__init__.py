"""Keywright for applications: fetch values and credentials, and keep them fresh.

from keywright import Client

client = Client()                       # KEYWRIGHT_ADDR, KEYWRIGHT_TOKEN, KEYWRIGHT_ENVIRONMENT
client.value("shop/db/HOST")
client.credential("shop/db").best.url   # cheap: ask before every login

`AsyncClient` is the same for who waits without a thread. `keywright.sqlalchemy`, `.psycopg`, `.pymysql`, `.django` and
`.settings` connect applications with one changed line, and need what they are named for.
"""

from importlib.metadata import version

from keywright.async_client import AsyncClient
from keywright.certificate import Certificate
from keywright.client import Client, Value
from keywright.credential import Credential, Endpoint, Entry, Tls
from keywright.errors import (
    Absent,
    Conflict,
    FactorNeeded,
    Forbidden,
    Invalid,
    KeywrightError,
    Outdated,
    StoreFailed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unexpected,
    Unreachable,
)
from keywright.watching import Watcher

__version__ = version("keywright")

__all__ = [
    "Absent",
    "AsyncClient",
    "Certificate",
    "Client",
    "Conflict",
    "Credential",
    "Endpoint",
    "Entry",
    "FactorNeeded",
    "Forbidden",
    "Invalid",
    "KeywrightError",
    "Outdated",
    "StoreFailed",
    "Tls",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unexpected",
    "Unreachable",
    "Value",
    "Watcher",
    "__version__",
]
