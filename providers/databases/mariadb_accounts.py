"""Accounts of MariaDB: a username has one row for each host pattern, and each row has its own password.

Statements are built here once. Values are quoted by PyMySQL, which follows the session's quoting mode.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

from pymysql.err import MySQLError

from providers.databases.mariadb_answers import not_permitted
from providers.databases.mariadb_login import Link
from service.core.secret import Secret

NATIVE = "mysql_native_password"
_STRING = r"'(?:[^'\\]|\\.|'')*'"
_METHOD = rf"`?\w+`?(?: (?:USING|AS) {_STRING})?"
_IDENTIFIED = re.compile(rf" IDENTIFIED (?:BY PASSWORD {_STRING}|(?:VIA|WITH) {_METHOD}(?: OR {_METHOD})*)")
_HASH = re.compile(r"\*[0-9A-Fa-f]{40}")

READ_ROWS = "GRANT SELECT (User, Host, plugin, is_role, max_questions, max_updates) ON mysql.user TO {};"


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


@dataclass(frozen=True)
class Change:
    """A statement that changes how one row proves itself, and its arguments: hashes, never a password."""

    row: Row
    statement: str
    arguments: tuple[object, ...]


def change(row: Row, *passwords: Secret, if_exists: bool = False) -> Change:
    """Make these the row's only passwords; what else the account has (TLS, limits, lock, grants) stays."""
    methods = " OR ".join([f"{NATIVE} USING %s"] * len(passwords))
    there = "IF EXISTS " if if_exists else ""
    statement = f"ALTER USER {there}%s@%s IDENTIFIED VIA {methods}"
    return Change(row, statement, (row.username, row.host, *map(password_hash, passwords)))


def change_mine(row: Row, password: Secret) -> Change:
    """Replace the password of the row that the session logged in as, which takes no privilege.

    Of an account with several passwords it replaces the first and leaves the others in force. The statement
    that seems made for this, `ALTER USER CURRENT_USER() IDENTIFIED VIA …`, does nothing and reports success.
    """
    return Change(row, "SET PASSWORD = %s", (password_hash(password),))


def mine(link: Link) -> Row:
    """The row that the session logged in as; its plugin is "" unless it has exactly one password of NATIVE."""
    with link.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        username, _, host = cursor.fetchone()[0].rpartition("@")
        cursor.execute("SHOW CREATE USER CURRENT_USER()")
        made = str(cursor.fetchone()[0]).partition(_ticked(username, host))[2]
    return Row(username, host, NATIVE if made.startswith(" IDENTIFIED BY PASSWORD '") else "")


def may_change(link: Link) -> bool:
    """May the session change accounts? Proved by changing one that does not exist, `IF EXISTS`."""
    nobody = change(Row(f"keywright-{secrets.token_hex(8)}", "%", ""), Secret(secrets.token_hex(32)), if_exists=True)
    try:
        with link.cursor() as cursor:
            cursor.execute(nobody.statement, nobody.arguments)
    except MySQLError as error:
        if not not_permitted(error):
            raise
        return False
    return True


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
        me = _ticked(username, host)
        grants = sorted(_without_proof(line, me) for (line,) in cursor.fetchall())
    return {"current_user": username, "role": role, "grants": "\n".join(grants)}


def _without_proof(grant: str, me: str) -> str:
    """One line of SHOW GRANTS without `IDENTIFIED …`, which follows the account, and without the account's host."""
    before, there, after = grant.partition(me)
    clean = f"{before}{'me' if there else ''}{_IDENTIFIED.sub('', after, count=1)}"
    return _HASH.sub("…", clean)  # in case a later version writes it in another way


def _ticked(username: str, host: str) -> str:
    """An account as the server writes it in answers."""
    return "`{}`@`{}`".format(*(part.replace("`", "``") for part in (username, host)))


def validating(link: Link) -> tuple[str, ...]:
    """The password-validation plugins that refuse hashes, because they cannot look into them."""
    with link.cursor() as cursor:
        cursor.execute(
            "SELECT plugin_name FROM information_schema.PLUGINS WHERE @@GLOBAL.strict_password_validation"
            " AND plugin_type = 'PASSWORD VALIDATION' AND plugin_status = 'ACTIVE'"
        )
        return tuple(name for (name,) in cursor.fetchall())


def refuses_hashes(plugin: str) -> str:
    """What a password-validation plugin keeps Keywright from."""
    return (
        f"The password-validation plugin {plugin} refuses hashes, and Keywright sends no clear text; "
        "uninstall it, or set strict_password_validation to OFF."
    )
