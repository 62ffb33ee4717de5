"""What MariaDB's answers mean (MariaDB manual, "MariaDB Error Code Reference").

    a login that failed                               a statement that failed
    1045 1698            Rejected                     1044 1142 1143 1227 1410  ChangeNotPermitted
    1044 1049 1130 1820  NotPermitted                 1095                      ChangeNotPermitted
    1862 3159 4150 4151  NotPermitted                 1396 1819 1372            ChangeRefused  (the password)
    any other            Unreachable                  1644                      ChangeFenced
                                                      1205 1213 1290            ChangeUnreachable  (busy, read-only)
                                                      1053 1317 1927 1969 3024  ChangeLost: cut off in the middle
                                                      2xxx, no number           ChangeLost

1045 is also the answer for a wrong host, an unknown user, an expired or locked account with a wrong password,
and an account that requires TLS. 1644 is a SIGNAL that nothing handled: only the fence's own statement has one.
"""

from pymysql.err import MySQLError

from service.core.connection import Access, Endpoint, NotPermitted, Rejected, Unreachable
from service.core.errors import (
    ChangeError,
    ChangeFenced,
    ChangeLost,
    ChangeNotPermitted,
    ChangeRefused,
    ChangeUnreachable,
)

_REJECTED = (1045, 1698)
_LOGIN_FORBIDDEN = {
    1044: "it has no access to the database",
    1049: "the database does not exist",
    1130: "no account may come from this host",
    1820: "its password has expired",
    1862: "its password has expired",
    3159: "the server demands TLS",
    4150: "the server has blocked it after too many wrong passwords; to unblock it, run: FLUSH PRIVILEGES;",
    4151: "the account is locked",
}
_NOT_PERMITTED = (1044, 1095, 1142, 1143, 1227, 1410)
_REFUSED = (1372, 1396, 1819)
_FENCED = 1644
_NOT_NOW = {1205: "busy", 1213: "busy", 1290: "this server is read-only, a replica perhaps"}

CHANGE_USERS = "GRANT CREATE USER ON *.* TO {};"


def number(error: MySQLError) -> int:
    """The error's number; 0 when PyMySQL has none, as on a connection that is gone."""
    found = error.args[0] if error.args else 0
    return found if isinstance(found, int) else 0


def not_permitted(error: MySQLError) -> bool:
    """Was it for want of a privilege?"""
    return number(error) in _NOT_PERMITTED


def login_forbidden(error: MySQLError) -> bool:
    """Does the server refuse this login whatever its password?"""
    return number(error) in _LOGIN_FORBIDDEN


def outcome(error: MySQLError, endpoint: Endpoint) -> Rejected | NotPermitted | Unreachable:
    """What a failed login means."""
    found = number(error)
    if found in _REJECTED:
        return Rejected(f"{endpoint} answered with error {found}: username and password do not go together")
    if found in _LOGIN_FORBIDDEN:
        return NotPermitted(f"{endpoint} answered with error {found}: {_LOGIN_FORBIDDEN[found]}")
    return Unreachable(f"{endpoint}: error {found}: {error.args[-1] if error.args else 'no answer'}")


def not_let_in(error: MySQLError, administration: Access) -> ChangeError:
    """What a failed login of the administration login means to a change."""
    endpoint = administration.target.primary
    who, meant = f"the administration login {administration.account.username} at {endpoint}", outcome(error, endpoint)
    if isinstance(meant, Unreachable):
        return ChangeUnreachable(f"{who} got no connection: {meant.reason}")
    verdict = "was rejected: its password is not right" if isinstance(meant, Rejected) else "was not let in"
    return ChangeNotPermitted(f"{who} {verdict}. {meant.reason}")


def failure(error: MySQLError, administration: Access, *, sent: bool) -> ChangeError:
    """What a statement's failure means; `sent` if it was the one that changes a password."""
    endpoint, found = administration.target.primary, number(error)
    if found in _NOT_PERMITTED:
        who = administration.account.username
        grant = CHANGE_USERS.format(f"'{who}'@…")
        return ChangeNotPermitted(f"{endpoint} refused {who} (error {found}); it needs: {grant}")
    if found == _FENCED:
        return ChangeFenced(f"{endpoint}: a worker with a higher number was here before; nothing was changed")
    if found in _REFUSED:
        return ChangeRefused(f"{endpoint} refused the password, or the account is gone (error {found})")
    if found in _NOT_NOW:
        return ChangeUnreachable(f"{endpoint}: {_NOT_NOW[found]} (error {found})")
    if sent:
        return ChangeLost(f"{endpoint} did not confirm the change (error {found}); whether it holds is unknown")
    return ChangeUnreachable(f"{endpoint}: the connection failed before anything was changed (error {found})")
