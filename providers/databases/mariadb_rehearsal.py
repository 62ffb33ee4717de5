"""Rehearsals on MariaDB, which rolls back no statement about accounts: all is done to an account that is thrown away.

    DROP USER IF EXISTS keywright_rehearsal@localhost      what a rehearsal that died left behind
    CREATE USER …       locked, without a valid password, keeping a number as a fence's account does
    ALTER USER …        a hash of the policy's kind of password, or two of them
    SELECT …            the number, read back
    DROP USER …

One rehearsal at a time (`GET_LOCK`). The account cannot be logged in as at any moment.
"""

from pymysql.err import MySQLError

from providers.databases import mariadb_accounts as accounts
from providers.databases import mariadb_fence as fences
from providers.databases.mariadb_answers import CHANGE_USERS, not_permitted
from providers.databases.mariadb_login import Link
from providers.databases.mariadb_sessions import END_SESSIONS
from service.core.database import Findings, Trial
from service.core.errors import ChangeUnreachable

_NAME = "keywright_rehearsal"
_NUMBER = (1 << 63) - 1


def rehearsed(link: Link, trial: Trial, seconds: float) -> Findings:
    """What was found. Raises OperationalError, and ChangeUnreachable when another rehearsal does not end."""
    me, warnings = accounts.current_user(link), []
    with link.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('keywright:rehearsal', %s)", (seconds,))
        if cursor.fetchone() != (1,):
            raise ChangeUnreachable("busy: another rehearsal is under way on this server")
    problems = _tried(link, trial)
    if not problems:
        warnings += _number_kept(link, me)
        _drop(link)
    if trial.ends_sessions and not _may_end_sessions(link):
        problems.append(f"{me} may not end sessions when the drain limit is over; run: {END_SESSIONS.format(me)}")
    try:
        rows = accounts.rows(link, trial.username)
    except MySQLError as error:
        if not not_permitted(error):
            raise
        rows = ()
    if len(rows) > 1:
        named = ", ".join(map(str, rows))
        warnings.append(f"{trial.username} has {len(rows)} rows ({named}): all change, and only the one is proven")
    return Findings(tuple(problems), tuple(warnings))


def _tried(link: Link, trial: Trial) -> list[str]:
    """Make the account and change it; sentences say why that cannot be."""
    try:
        _drop(link)
        fences.make(link, _NAME, _NUMBER)
        row = accounts.Row(_NAME, "localhost", accounts.NATIVE)
        for passwords in ((trial.password,), (trial.password, trial.password)):
            change = accounts.change(row, *passwords)
            with link.cursor() as cursor:
                cursor.execute(change.statement, change.arguments)
    except MySQLError as error:
        if not_permitted(error):
            me = accounts.current_user(link)
            return [f"{me} may not change accounts; run: {CHANGE_USERS.format(me)}"]
        if plugins := accounts.validating(link):
            return [accounts.refuses_hashes(plugin) for plugin in plugins]
        raise
    return []


def _number_kept(link: Link, me: str) -> list[str]:
    try:
        return [] if fences.kept_by(link, _NAME) == _NUMBER else ["this server does not keep a number as it was told"]
    except MySQLError as error:
        if not not_permitted(error):
            raise
        return [fences.lacking(me)]


def _drop(link: Link) -> None:
    with link.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS %s@localhost", (_NAME,))


def _may_end_sessions(link: Link) -> bool:
    grants = accounts.identity(link)["grants"]
    return any(privilege in grants for privilege in ("CONNECTION ADMIN", "SUPER", "ALL PRIVILEGES ON *.*"))
