"""An application that knows nothing of Keywright: it listens, and logs in to its database for every request.

    python application.py SOCKET env                    DATABASE_URL of its process environment, as it began with it
    python application.py SOCKET file PATH              the URL in a file, read again when it is told SIGHUP
    python application.py SOCKET each PATH              the URL in a file, read for every request
    python application.py SOCKET descriptor             the URL in the JSON on the open file KEYWRIGHT_FD

SOCKET is the number of a listening socket that it was handed; a PATH may hold $NAME. A request is a line, the answer
`ok FINGERPRINT` of the password that worked, or `failed WHY`. On SIGTERM it answers what it has begun, and ends.
"""

import hashlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql


def fingerprint(password: str) -> str:
    """Tells passwords apart without telling them."""
    return hashlib.sha256(password.encode()).hexdigest()[:12]


def log_in(url: str) -> str:
    """A request's work; the fingerprint of the password. Raises what the driver raises."""
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    if parts.scheme == "postgresql":
        with psycopg.connect(url, connect_timeout=20) as connection:
            connection.execute("SELECT 1")
        return fingerprint(password)
    with (
        pymysql.connect(
            host=parts.hostname or "",
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=password,
            connect_timeout=20,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
    return fingerprint(password)


def source(way: str, path: str) -> Callable[[], str]:
    """Where the URL is read from."""
    if way == "env":
        return lambda: os.environ["DATABASE_URL"]  # noqa: TID251 - this is what applications do
    if way == "descriptor":
        with os.fdopen(int(os.environ["KEYWRIGHT_FD"])) as stream:  # noqa: TID251
            url = json.load(stream)["DATABASE_URL"]
        return lambda: url
    return lambda: Path(os.path.expandvars(path)).read_text().strip()


def main() -> None:
    """Serve until SIGTERM."""
    over, again = [], [True]
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    signal.signal(signal.SIGHUP, lambda *_: again.append(True))
    listening = socket.socket(fileno=int(sys.argv[1]))
    way = sys.argv[2]
    read, url = source(way, sys.argv[3] if len(sys.argv) > 3 else ""), ""
    while not over:
        if not select.select([listening], [], [], 0.1)[0]:
            continue
        request, _ = listening.accept()
        with request:
            request.recv(100)
            if again or way == "each":
                again.clear()
                url = read()
            try:
                answer = f"ok {log_in(url)}"
            except (psycopg.Error, pymysql.Error) as error:
                answer = f"failed {type(error).__name__}"
            request.sendall(answer.encode())


if __name__ == "__main__":
    main()
