"""What PostgreSQL's codes mean (PostgreSQL manual, appendix A). Never its texts, which follow the server's language.

a login that failed                                a statement that failed
28P01              Rejected                        42501 42704        ChangeNotPermitted
28000 42501 3D000  NotPermitted                    25006 55P03 57014  ChangeUnreachable  (standby, busy)
55000 22021        NotPermitted                    25P03 25P04        ChangeUnreachable  (stood still too long)
none, without TLS  Unprotected                     08xxx 53xxx 57Pxx  ChangeUnreachable
any other, none    Unreachable                     40xxx 55006        ChangeUnreachable  (try again)
                                                   58xxx XXxxx        ChangeUnreachable  (server trouble)
                                                   any other          ChangeRefused
                                                   no reply           ChangeUnreachable: rolled back
                                                   no reply to COMMIT ChangeLost
"""

import psycopg

from providers.databases.postgresql_login import LoginFailed
from service.core.connection import Access, NotPermitted, Rejected, Unprotected, Unreachable
from service.core.errors import ChangeError, ChangeNotPermitted, ChangeRefused, ChangeUnreachable

_LOGIN_FORBIDDEN = {
    "28000": "this login is not allowed here: the role may not log in, or pg_hba.conf has no rule for it",
    "42501": "the role lacks a privilege that logging in needs, such as CONNECT on the database",
    "3D000": "the database does not exist",
    "55000": "the database takes no connections",
    "22021": "no login can have such a name or password",
}
_BUSY = {
    None: "the connection broke before the change was committed, so it was rolled back",
    "25006": "this server is read-only, a standby perhaps",
    "25P03": "this worker stood still in the middle of the change, so the server rolled it back",
    "25P04": "this worker stood still in the middle of the change, so the server rolled it back",
    "55006": "busy: the role is in use",
    "55P03": "busy: somebody else holds the role",
    "57014": "busy: the statement took too long",
}
_BUSY_CLASSES = ("08", "40", "53", "57", "58", "XX")


def outcome(failure: LoginFailed) -> Rejected | NotPermitted | Unreachable:
    """What a login that failed tells."""
    if failure.sqlstate == "28P01":
        return Rejected(f"{failure.reason}: username and password do not go together")
    if failure.sqlstate in _LOGIN_FORBIDDEN:
        return NotPermitted(f"{failure.reason}: {_LOGIN_FORBIDDEN[failure.sqlstate]}")
    return Unprotected(failure.reason) if failure.plain else Unreachable(failure.reason)


def not_let_in(failure: LoginFailed, access: Access) -> ChangeError:
    """What it means for a change that nobody could log in to make it."""
    found = outcome(failure)
    who = f"the administration login {access.account.username} at {access.target.primary}"
    match found:
        case Rejected():
            return ChangeNotPermitted(f"{who} was rejected: its password is not right. {found.reason}")
        case NotPermitted():
            return ChangeNotPermitted(f"{who} was not let in. {found.reason}")
        case Unreachable():
            return ChangeUnreachable(f"{who} got no connection: {found.reason}")


def is_busy(error: psycopg.Error) -> bool:
    """Did the server not get round to it, so that the same may succeed later?"""
    return error.sqlstate in _BUSY or (error.sqlstate or "")[:2] in _BUSY_CLASSES


def failure(error: psycopg.Error, access: Access) -> ChangeError:
    """What a statement's failure means. Until COMMIT is sent, a lost connection is a rollback."""
    endpoint, code = access.target.primary, error.sqlstate
    if is_busy(error):
        # Without a code it was libpq that noticed, and the sentence says all there is.
        shown = f" (SQLSTATE {code})" if code else ""
        return ChangeUnreachable(f"{endpoint}: {_BUSY.get(code, 'the server could not do it now')}{shown}")
    said = f"{endpoint} refused: {error.diag.message_primary} (SQLSTATE {code})"
    if code in ("42501", "42704"):
        return ChangeNotPermitted(f"{said}; the administration login is {access.account.username}")
    return ChangeRefused(said)
