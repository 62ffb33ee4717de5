"""An application that knows nothing of Keywright: it logs in to its database over and over, until it is stopped.

    python application.py JOURNAL              user name and password in the environment, as `bao agent` puts them there
    python application.py JOURNAL FILE         both in a JSON file that `bao agent` writes, read before each login

Where the database is stands in the environment in both: SHOP_ENGINE, SHOP_HOST, SHOP_PORT, SHOP_DATABASE, SHOP_CA.
Each login is one line of the journal, written at once: `ok USERNAME MARK` or `failed USERNAME MARK what was said`; the
mark tells passwords apart.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

PAUSE = 0.1
PATIENCE = 30


def log_in(username: str, password: str) -> None:
    """Raises what the driver raises."""
    where = os.environ  # noqa: TID251 - this is the application, not Keywright
    host, port, database = where["SHOP_HOST"], int(where["SHOP_PORT"]), where["SHOP_DATABASE"]
    if where["SHOP_ENGINE"] == "postgresql":
        import psycopg

        with psycopg.connect(
            host=host, port=port, dbname=database, user=username, password=password, connect_timeout=PATIENCE
        ) as connection:
            connection.execute("SELECT 1")
    else:
        import pymysql

        with (
            pymysql.connect(
                host=host,
                port=port,
                database=database,
                user=username,
                password=password,
                connect_timeout=PATIENCE,
                ssl_ca=where["SHOP_CA"],
            ) as session,
            session.cursor() as cursor,
        ):
            cursor.execute("SELECT 1")


def credential(file: Path | None) -> tuple[str, str]:
    """What it was given."""
    if file is None:
        return os.environ["SHOP_USERNAME"], os.environ["SHOP_PASSWORD"]  # noqa: TID251 - as above
    given = json.loads(file.read_text())
    return given["username"], given["password"]


def main(journal: str, *file: str) -> None:
    """Until it is stopped."""
    given = Path(file[0]) if file else None
    with open(journal, "a", buffering=1) as lines:
        while True:
            username, password = credential(given)
            who = f"{username} {hashlib.sha256(password.encode()).hexdigest()[:12]}"
            try:
                log_in(username, password)
            except Exception as error:  # noqa: BLE001 - whatever it was, it was no login
                lines.write(f"failed {who} {type(error).__name__}: {' '.join(str(error).split())}\n")
            else:
                lines.write(f"ok {who}\n")
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
