"""Sessions of MariaDB: who is connected, and ending them.

The process list knows for how long a session has been in its present state, not when it began, and neither does
any other table of a server at its default settings: the beginning is not told. Ids only grow, so their order is
the order in which the sessions began. (MariaDB manual: Information Schema PROCESSLIST, KILL.)
"""

from providers.databases.mariadb_login import Link
from service.core.database import Session

SEE_SESSIONS = "GRANT PROCESS ON *.* TO {};"
END_SESSIONS = "GRANT CONNECTION ADMIN ON *.* TO {};"
"""From MariaDB 10.5 on; before, it was part of SUPER."""


def seen(link: Link, username: str) -> tuple[Session, ...]:
    """Who is connected, the longest first. Raises OperationalError 1227 without the privilege PROCESS."""
    with link.cursor() as cursor:
        _require_process(link)
        cursor.execute(
            "SELECT user, host, id FROM information_schema.PROCESSLIST WHERE BINARY user = %s AND id <> CONNECTION_ID()"
            " ORDER BY id",
            (username,),
        )
        return tuple(Session(user, _address(host), "", int(number)) for user, host, number in cursor.fetchall())


def end(link: Link, session: Session) -> bool:
    """End it if it still is who it was; was it? Raises OperationalError 1095 without CONNECTION ADMIN, 1227.

    Looked at and ended in one statement: between two, an id may have become somebody else's.
    """
    with link.cursor() as cursor:
        _require_process(link)
        cursor.execute(
            "BEGIN NOT ATOMIC IF EXISTS (SELECT 1 FROM information_schema.PROCESSLIST WHERE id = %s"
            " AND BINARY user = %s AND host IN (%s, CONCAT(%s, ':', SUBSTRING_INDEX(host, ':', -1)))"
            " AND id <> CONNECTION_ID()) THEN KILL CONNECTION %s; SELECT 1; ELSE SELECT 0; END IF; END",
            (session.id, session.username, session.address, session.address, session.id),
        )
        return bool(cursor.fetchone() == (1,))


def protocol(link: Link) -> str:
    """The protocol and cipher of this session; empty if it is plain."""
    with link.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
        found = dict(cursor.fetchall())
    return f"{found.get('Ssl_version', '')} {found.get('Ssl_cipher', '')}".strip()


def _address(host: str) -> str:
    """Without the port; a session by the server's own socket has none."""
    return host.rpartition(":")[0] or host


def _require_process(link: Link) -> None:
    """The process list would silently show one's own sessions only; the list of transactions refuses instead."""
    with link.cursor() as cursor:
        cursor.execute("SELECT trx_id FROM information_schema.INNODB_TRX LIMIT 1")
