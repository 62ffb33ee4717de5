"""PyMySQL with Keywright's credentials: `pip install keywright[pymysql]`.

with connect(client, "shop/db") as connection: ...
"""

from typing import TYPE_CHECKING, Any

import pymysql

from keywright import parameters
from keywright.attempts import log_in
from keywright.client import Client
from keywright.credential import Credential, Entry
from keywright.refusals import by_number

if TYPE_CHECKING:
    from pymysql.connections import Connection


def connect(client: Client, connection: str, **arguments: Any) -> "Connection[Any]":
    """A connection, as pymysql.connect makes it. Raises what that raises, and any of `keywright.errors`.

    Arguments complete the credential or stand in its place (host and port, database, ssl…); user and password are
    Keywright's.
    """

    def attempt(credential: Credential, entry: Entry) -> "Connection[Any]":
        return pymysql.connect(**parameters.merged(arguments, parameters.pymysql(credential, entry)))

    return log_in(client, connection, attempt, by_number)
