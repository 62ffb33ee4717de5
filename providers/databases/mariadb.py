"""MariaDB 10.4 and later: logging in, changing passwords, two valid passwords at once.

What a number means (MariaDB manual, "MariaDB Error Code Reference"):

    a login that failed                               a statement that failed
    1045 1698            Rejected                     1044 1142 1143 1227 1410  ChangeNotPermitted
    1044 1049 1130 1820  NotPermitted                 1396 1819 1372            ChangeRefused  (the password)
    1862 3159 4151       NotPermitted                 1205 1213 1290            ChangeUnreachable  (busy, read-only)
    any other            Unreachable                  1053 1317 1927 1969 3024  ChangeLost: cut off in the middle
                                                      2xxx, no number           ChangeLost

1045 is also the answer for a wrong host, an unknown user, an expired or locked account with a wrong password,
and an account that requires TLS. Each row of a username is a statement that commits by itself: once one was
changed, a failure at another is ChangeLost too, and repeating the whole brings all of them in line.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from pymysql.err import MySQLError

from providers.databases import mariadb_accounts as accounts
from providers.databases.mariadb_login import Link, connect, leave, sendable
from service.core.connection import Accepted, Access, Endpoint, NotPermitted, Probe, Rejected, Unreachable
from service.core.database import Fence, Session
from service.core.errors import ChangeError, ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret

_REJECTED = (1045, 1698)
_LOGIN_FORBIDDEN = {
    1044: "it has no access to the database",
    1049: "the database does not exist",
    1130: "no account may come from this host",
    1820: "its password has expired",
    1862: "its password has expired",
    3159: "the server demands TLS",
    4151: "the account is locked",
}
_NOT_PERMITTED = (1044, 1142, 1143, 1227, 1410)
_REFUSED = (1372, 1396, 1819)
_NOT_NOW = {1205: "busy", 1213: "busy", 1290: "this server is read-only, a replica perhaps"}
_LOCK_SECONDS = 3


class MariaDB:
    """The ports Database, Overlap, DrainView and Examination. `seconds` bounds every single wait."""

    def __init__(self, *, seconds: float = 5.0) -> None:
        self._seconds = seconds

    def probe(self, access: Access, endpoint: Endpoint) -> Probe:
        """Log in at exactly that endpoint; `Database.probe`."""
        account = access.account
        if not (sendable(account.username) and sendable(account.password.reveal())):
            return NotPermitted("NUL characters and half surrogates cannot be sent: no login can have them")
        try:
            link = connect(access, endpoint, seconds=self._seconds)
        except MySQLError as error:
            return _outcome(error, endpoint)
        try:
            return Accepted(accounts.identity(link))
        except MySQLError as error:
            number = _number(error)
            if number in _LOGIN_FORBIDDEN:
                return _outcome(error, endpoint)
            return Unreachable(f"{endpoint} let the login in, and then gave no answer (error {number})")
        finally:
            leave(link)

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:  # noqa: ARG002
        """Make `password` the only one of every row of `username`; `Database.set_password`."""
        self._change(administration, username, password)
        return ()

    def add_password(
        self,
        administration: Access,
        username: str,
        kept: Secret,
        added: Secret,
        fence: Fence,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Afterwards both log in, at every row; `Overlap.add_password`."""
        self._change(administration, username, kept, added)
        return ()

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """Who is connected as `username`; `DrainView.sessions`. Needs the privilege PROCESS."""
        endpoint = administration.target.primary
        try:
            link = connect(administration, endpoint, seconds=self._seconds)
        except MySQLError as error:
            outcome = _outcome(error, endpoint)
            return outcome if isinstance(outcome, Unreachable | NotPermitted) else NotPermitted(outcome.reason)
        try:
            return accounts.sessions(link, username)
        except MySQLError as error:
            if _number(error) in _NOT_PERMITTED:
                return NotPermitted(
                    f"{administration.account.username} lacks PROCESS, so it sees only its own sessions"
                )
            return Unreachable(f"{endpoint}: no list of sessions (error {_number(error)})")
        finally:
            leave(link)

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """What the administration login could not do for `username`; `Examination.lacks`.

        That it may change accounts is proved by changing one that does not exist, `IF EXISTS`.
        """
        sentences: list[str] = []
        with self._alone(administration, username) as link:
            try:
                found, me = accounts.rows(link, username), accounts.current_user(link)
                sentences += [_unchangeable(row) for row in found if not row.changeable]
                if not found:
                    sentences.append(f"There is no account named {username}.")
            except MySQLError as error:
                if _number(error) not in _NOT_PERMITTED:
                    raise
                me = accounts.current_user(link)
                sentences.append(f"{me} may not see accounts; run: {accounts.READ_ROWS.format(me)}")
            nobody = accounts.Row(f"keywright-{secrets.token_hex(8)}", "%", "")
            try:
                accounts.change(link, nobody, Secret(secrets.token_hex(32)), if_exists=True)
            except MySQLError as error:
                if _number(error) not in _NOT_PERMITTED:
                    raise
                sentences.append(f"{me} may not change accounts; run: {accounts.CHANGE_USERS.format(me)}")
            sentences += [_validated(plugin) for plugin in accounts.validating(link)]
        return tuple(sentences)

    def _change(self, administration: Access, username: str, *passwords: Secret) -> None:
        if not all(password and sendable(password.reveal()) for password in passwords):
            raise ChangeRefused("MariaDB's clients take no empty password, and none with a NUL or half a surrogate")
        with self._alone(administration, username) as link:
            done: list[str] = []
            for row in self._rows(link, username):
                try:
                    accounts.change(link, row, *passwords)
                except MySQLError as error:
                    failure = _failure(error, administration, sent=True)
                    if isinstance(failure, ChangeRefused) and (plugins := accounts.validating(link)):
                        failure = ChangeRefused(_validated(plugins[0]))
                    if done:
                        changed = ", ".join(done)
                        raise ChangeLost(f"{changed} changed, but {row} did not: {failure.message}") from None
                    raise failure from None
                done.append(str(row))

    def _rows(self, link: Link, username: str) -> tuple[accounts.Row, ...]:
        try:
            found = accounts.rows(link, username)
        except MySQLError as error:
            if _number(error) not in _NOT_PERMITTED:
                raise
            me = accounts.current_user(link)
            raise ChangeNotPermitted(f"{me} may not see accounts; run: {accounts.READ_ROWS.format(me)}") from None
        if not found:
            raise ChangeNotPermitted(f"there is no account named {username}")
        for row in found:
            if not row.changeable:
                raise ChangeNotPermitted(_unchangeable(row))
        return found

    @contextmanager
    def _alone(self, administration: Access, username: str) -> Iterator[Link]:
        """A bounded session that nobody else shares this username with. Raises ChangeError."""
        endpoint = administration.target.primary
        who = f"the administration login {administration.account.username} at {endpoint}"
        try:
            link = connect(administration, endpoint, seconds=self._seconds)
        except MySQLError as error:
            outcome = _outcome(error, endpoint)
            if isinstance(outcome, Unreachable):
                raise ChangeUnreachable(f"{who} got no connection: {outcome.reason}") from None
            verdict = "was rejected: its password is not right" if isinstance(outcome, Rejected) else "was not let in"
            raise ChangeNotPermitted(f"{who} {verdict}. {outcome.reason}") from None
        try:
            accounts.limit(link)
            if not accounts.lock(link, username, _LOCK_SECONDS):
                raise ChangeUnreachable(f"{endpoint}: busy: somebody else is changing {username}")
            yield link
        except MySQLError as error:
            raise _failure(error, administration, sent=False) from None
        finally:
            leave(link)


def _number(error: MySQLError) -> int:
    """The error's number; 0 when PyMySQL has none, as on a connection that is gone."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def _outcome(error: MySQLError, endpoint: Endpoint) -> Rejected | NotPermitted | Unreachable:
    number = _number(error)
    if number in _REJECTED:
        return Rejected(f"{endpoint} answered with error {number}: username and password do not go together")
    if number in _LOGIN_FORBIDDEN:
        return NotPermitted(f"{endpoint} answered with error {number}: {_LOGIN_FORBIDDEN[number]}")
    return Unreachable(f"{endpoint}: error {number}: {error.args[-1] if error.args else 'no answer'}")


def _failure(error: MySQLError, administration: Access, *, sent: bool) -> ChangeError:
    """What a statement's failure means; `sent` if it was the one that changes a password."""
    endpoint, number = administration.target.primary, _number(error)
    if number in _NOT_PERMITTED:
        who = administration.account.username
        grant = accounts.CHANGE_USERS.format(f"'{who}'@…")
        return ChangeNotPermitted(f"{endpoint} refused {who} (error {number}); it needs: {grant}")
    if number in _REFUSED:
        return ChangeRefused(f"{endpoint} refused the password, or the account is gone (error {number})")
    if number in _NOT_NOW:
        return ChangeUnreachable(f"{endpoint}: {_NOT_NOW[number]} (error {number})")
    if sent:
        return ChangeLost(f"{endpoint} did not confirm the change (error {number}); whether it holds is unknown")
    return ChangeUnreachable(f"{endpoint}: the connection failed before anything was changed (error {number})")


def _unchangeable(row: accounts.Row) -> str:
    return f"{row} proves itself by {row.plugin}, and Keywright changes only {accounts.NATIVE}."


def _validated(plugin: str) -> str:
    return (
        f"The password-validation plugin {plugin} refuses hashes, and Keywright sends no clear text; "
        "uninstall it, or set strict_password_validation to OFF."
    )
