"""The fence of MariaDB: a number that late workers fail at, and locks that show who is at work now.

    a session        holds GET_LOCK for the fence's key and for the user name; the server frees both when the session
                     ends, which is after its last statement has ended, also when nobody waits for that any more
    an account       'keywright_fence_<key>'@'localhost', locked, without a valid password and without grants, keeps the
                     number in two limits that are 32 bits each: MAX_QUERIES_PER_HOUR * 2^32 + MAX_UPDATES_PER_HOUR
    a statement      compares and changes at once, server-side, where no pause of the worker can come between:

        BEGIN NOT ATOMIC
          IF (the account's number) <= n THEN ALTER USER <the account> WITH <n>; ALTER USER <the login> …;
          ELSE SIGNAL; END IF;
        END

A limit can be read by SELECT on two columns of `mysql.user` that hold nobody's hash. Locks are known to one server
only; the number is replicated like every account. (MariaDB manual: GET_LOCK, BEGIN END, CREATE USER, SIGNAL.)
"""

import hashlib
import re
from dataclasses import dataclass

from pymysql.err import MySQLError

from providers.databases.mariadb_accounts import NATIVE, refuses_hashes, validating
from providers.databases.mariadb_answers import CHANGE_USERS, not_permitted
from providers.databases.mariadb_login import Link
from service.core.database import FENCE, Fence

READ_NUMBER = "GRANT SELECT (max_questions, max_updates) ON mysql.user TO {};"
_NUMBER = "SELECT max_questions * 4294967296 + max_updates FROM mysql.user WHERE User = %s AND Host = 'localhost'"
_KEY = re.compile("[0-9a-z_-]{1,64}")
_LIMITS = "MAX_QUERIES_PER_HOUR %s MAX_UPDATES_PER_HOUR %s"


@dataclass(frozen=True)
class Bounds:
    """How long a change may hold something in the server, in seconds; together still below the lease."""

    wait: float
    """A single wait of the client's: for a connection, for an answer."""
    statement: float
    lock: float
    silence: int
    """The server ends a session that says nothing for as long as this, and frees its locks."""


def bounds(lease: float, seconds: float) -> Bounds:
    """Those of a fence's lease, for a provider that waits no longer than `seconds`.

    The server gives a statement up before the client does: an answer is better than silence.
    """
    wait = min(seconds, lease / 4)
    return Bounds(wait, statement=wait * 0.8, lock=wait * 0.6, silence=max(1, int(lease / 2)))


def limit(link: Link, limits: Bounds) -> None:
    """Bound the session."""
    with link.cursor() as cursor:
        cursor.execute(
            "SET SESSION wait_timeout = %s, lock_wait_timeout = %s, max_statement_time = %s",
            (limits.silence, max(1, int(limits.lock)), limits.statement),
        )


def lock(link: Link, fence: Fence, username: str, seconds: float) -> bool:
    """Be the only one who changes this username under this key, until the session ends; False if somebody else is."""
    with link.cursor() as cursor:
        for name in (f"fence:{fence.key}", username):
            # A lock's name has 64 characters at most, and no capitals of its own.
            digest = hashlib.sha256(name.encode()).hexdigest()[:32]
            cursor.execute("SELECT GET_LOCK(%s, %s)", (f"keywright:{digest}", seconds))
            if cursor.fetchone() != (1,):
                return False
    return True


def account(key: str) -> str:
    """The name of the account that keeps the number; MariaDB's names have 80 characters at most."""
    plain = key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:32]
    return FENCE + plain


def number(link: Link, key: str) -> int | None:
    """The highest number shown; None if none was. Raises OperationalError 1142 or 1143 if it may not be read."""
    return kept_by(link, account(key))


def kept_by(link: Link, name: str) -> int | None:
    """The number that an account keeps; None if there is no such account. Raises as `number` does."""
    with link.cursor() as cursor:
        cursor.execute(_NUMBER, (name,))
        row = cursor.fetchone()
    return int(row[0]) if row else None


class Gate:
    """What statements of one change pass. `left_out` says why there is no number, if there is none.

    Makes the account that keeps the number when it is missing; `me` is who asks, quoted for a statement.
    Raises OperationalError when that fails for another reason than a privilege.
    """

    def __init__(self, link: Link, fence: Fence, me: str) -> None:
        self.link = link
        self._fence = fence
        self.left_out = self._keep(me)

    def run(self, statement: str, arguments: tuple[object, ...]) -> None:
        """Run it only if no higher number was shown, and show this one. Raises OperationalError 1644 otherwise."""
        if self.left_out:
            with self.link.cursor() as cursor:
                cursor.execute(statement, arguments)
        else:
            self._compare(f"{statement};", arguments)

    def show(self) -> None:
        """Only show the number. Raises OperationalError 1644 if a higher one was shown."""
        if not self.left_out:
            self._compare("", ())

    def _keep(self, me: str) -> tuple[str, ...]:
        try:
            if number(self.link, self._fence.key) is None:
                make(self.link, account(self._fence.key), self._fence.number)
        except MySQLError as error:
            if not_permitted(error):
                return (lacking(me),)
            if plugins := validating(self.link):
                return (f"The number that stops a late worker cannot be kept. {refuses_hashes(plugins[0])}",)
            raise
        return ()

    def _compare(self, statement: str, arguments: tuple[object, ...]) -> None:
        name = account(self._fence.key)
        with self.link.cursor() as cursor:
            cursor.execute(
                f"BEGIN NOT ATOMIC IF ({_NUMBER}) <= %s THEN ALTER USER %s@localhost WITH {_LIMITS}; {statement}"
                " ELSE SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a later worker was here'; END IF; END",
                (name, self._fence.number, name, *_halves(self._fence.number), *arguments),
            )


def make(link: Link, name: str, first: int) -> None:
    """Make an account that nobody can log in as and that keeps a number. Raises OperationalError."""
    with link.cursor() as cursor:
        cursor.execute(
            f"CREATE USER IF NOT EXISTS %s@localhost IDENTIFIED VIA {NATIVE} USING 'invalid'"
            f" WITH {_LIMITS} ACCOUNT LOCK",
            (name, *_halves(first)),
        )


def lacking(me: str) -> str:
    """That `me` may not keep a number, and what a DBA would run."""
    grants = f"{READ_NUMBER.format(me)} {CHANGE_USERS.format(me)}"
    return f"{me} may not keep the number that stops a late worker; run: {grants}"


def _halves(whole: int) -> tuple[int, int]:
    return divmod(whole, 1 << 32)
