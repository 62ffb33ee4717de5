"""Accounts of MariaDB: a username has one row for each host pattern, and each row has its own password.

Statements are built here once. Values are quoted by PyMySQL, which follows the session's quoting mode.
"""

import hashlib
import re
from dataclasses import dataclass

from providers.databases.mariadb_login import Link
from service.core.database import Session
from service.core.secret import Secret

NATIVE = "mysql_native_password"
_STRING = r"'(?:[^'\\]|\\.|'')*'"
_METHOD = rf"`?\w+`?(?: (?:USING|AS) {_STRING})?"
_IDENTIFIED = re.compile(rf" IDENTIFIED (?:BY PASSWORD {_STRING}|(?:VIA|WITH) {_METHOD}(?: OR {_METHOD})*)")
_HASH = re.compile(r"\*[0-9A-Fa-f]{40}")

READ_ROWS = "GRANT SELECT (User, Host, plugin, is_role) ON mysql.user TO {};"
CHANGE_USERS = "GRANT CREATE USER ON *.* TO {};"


@dataclass(frozen=True)
class Row:
    """One account: a username, the hosts it may come from, and how it proves itself there."""

    username: str
    host: str
    plugin: str

    def __str__(self) -> str:
        return f"'{self.username}'@'{self.host}'"

    @property
    def changeable(self) -> bool:
        """Does the row have a password whose hash can be made here?"""
        return self.plugin in (NATIVE, "")


def rows(link: Link, username: str) -> tuple[Row, ...]:
    """Every row of a username, roles left out. Raises OperationalError 1142 or 1143 if that is not allowed."""
    with link.cursor() as cursor:
        cursor.execute(
            "SELECT User, Host, plugin FROM mysql.user WHERE User = %s AND is_role = 'N' ORDER BY Host", (username,)
        )
        return tuple(Row(*row) for row in cursor.fetchall())


def password_hash(password: Secret) -> str:
    """What mysql_native_password stores: '*' and the upper-case hex of SHA-1 of SHA-1 (MariaDB manual, PASSWORD())."""
    once = hashlib.sha1(password.reveal().encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def change(link: Link, row: Row, *passwords: Secret, if_exists: bool = False) -> None:
    """Make these the row's only passwords; what else the account has (TLS, limits, lock, grants) stays."""
    methods = " OR ".join([f"{NATIVE} USING %s"] * len(passwords))
    there = "IF EXISTS " if if_exists else ""
    with link.cursor() as cursor:
        cursor.execute(
            f"ALTER USER {there}%s@%s IDENTIFIED VIA {methods}",
            (row.username, row.host, *map(password_hash, passwords)),
        )


def lock(link: Link, username: str, seconds: int) -> bool:
    """Be the only one who changes this username, until the connection ends; False if somebody else is."""
    name = "keywright:" + hashlib.sha256(username.encode()).hexdigest()[:32]
    with link.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, seconds))
        return bool(cursor.fetchone() == (1,))


def limit(link: Link) -> None:
    """Bound what this session can hold up; the server ends it when it falls silent."""
    with link.cursor() as cursor:
        cursor.execute("SET SESSION wait_timeout = 20, lock_wait_timeout = 3, max_statement_time = 5")


def current_user(link: Link) -> str:
    """The row that the session logged in as, quoted for a statement."""
    with link.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        username, _, host = cursor.fetchone()[0].rpartition("@")
        return f"{link.escape(username)}@{link.escape(host)}"


def identity(link: Link) -> dict[str, str]:
    """Who the session is and what it may do, without the hash that `SHOW GRANTS` shows and without the host."""
    with link.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), COALESCE(CURRENT_ROLE(), '')")
        account, role = cursor.fetchone()
        username, _, host = account.rpartition("@")
        cursor.execute("SHOW GRANTS")
        me = "`{}`@`{}`".format(*(part.replace("`", "``") for part in (username, host)))
        grants = sorted(_without_proof(line, me) for (line,) in cursor.fetchall())
    return {"current_user": username, "role": role, "grants": "\n".join(grants)}


def _without_proof(grant: str, me: str) -> str:
    """One line of SHOW GRANTS without `IDENTIFIED …`, which follows the account, and without the account's host."""
    before, there, after = grant.partition(me)
    clean = f"{before}{'me' if there else ''}{_IDENTIFIED.sub('', after, count=1)}"
    return _HASH.sub("…", clean)  # in case a later version writes it in another way


def sessions(link: Link, username: str) -> tuple[Session, ...]:
    """Who is connected. Raises OperationalError 1227 without the privilege PROCESS.

    The process list would silently show one's own sessions only; the list of transactions says so instead.
    """
    with link.cursor() as cursor:
        cursor.execute("SELECT trx_id FROM information_schema.INNODB_TRX LIMIT 1")
        cursor.execute(
            "SELECT user, host FROM information_schema.PROCESSLIST WHERE BINARY user = %s AND id <> CONNECTION_ID()"
            " ORDER BY id",
            (username,),
        )
        return tuple(Session(user, host.rpartition(":")[0] or host, "") for user, host in cursor.fetchall())


def validating(link: Link) -> tuple[str, ...]:
    """The password-validation plugins that refuse hashes, because they cannot look into them."""
    with link.cursor() as cursor:
        cursor.execute(
            "SELECT plugin_name FROM information_schema.PLUGINS WHERE @@GLOBAL.strict_password_validation"
            " AND plugin_type = 'PASSWORD VALIDATION' AND plugin_status = 'ACTIVE'"
        )
        return tuple(name for (name,) in cursor.fetchall())
