"""MariaDB 10.4 and later: logging in, changing passwords behind a fence, two valid passwords at once.

What its answers mean is in `mariadb_answers`, the fence in `mariadb_fence`. Each row of a username is a statement
that commits by itself: once one was changed, a failure at another is ChangeLost too, and repeating the whole
brings all of them in line.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pymysql.err import MySQLError

from providers.databases import mariadb_accounts as accounts
from providers.databases import mariadb_answers as answers
from providers.databases import mariadb_fence as fences
from providers.databases import mariadb_rehearsal, mariadb_sessions
from providers.databases.mariadb_login import Link, connect, leave, sendable
from service.core.connection import Accepted, Access, Endpoint, NotPermitted, Probe, Unreachable
from service.core.database import Fence, Findings, Session, Trial
from service.core.errors import (
    ChangeError,
    ChangeFenced,
    ChangeLost,
    ChangeNotPermitted,
    ChangeRefused,
    ChangeUnreachable,
)
from service.core.secret import Secret

_LOOK = 30.0
"""Sessions that only look are bounded as by a lease of this many seconds."""
_RAISING = 3
"""A fence is raised with more patience than a change has: the statement it waits for ends by itself meanwhile."""


class MariaDB:
    """The ports Database, Fencing, Overlap, OwnChange, DrainView, SessionEnd, Examination, Rehearsing and Rows.

    `seconds` bounds every single wait.
    """

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
            return answers.outcome(error, endpoint)
        try:
            return Accepted(accounts.identity(link))
        except MySQLError as error:
            if answers.login_forbidden(error):
                return answers.outcome(error, endpoint)
            return Unreachable(f"{endpoint} let the login in, and then gave no answer (error {answers.number(error)})")
        finally:
            leave(link)

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """Make `password` the only one of every row of `username`; `Database.set_password`."""
        return self._change(administration, username, fence, password)

    def add_password(
        self, administration: Access, username: str, kept: Secret, added: Secret, fence: Fence
    ) -> tuple[str, ...]:
        """Afterwards both log in, at every row; `Overlap.add_password`."""
        return self._change(administration, username, fence, kept, added)

    def change_own(self, access: Access, password: Secret, fence: Fence, works: Callable[[], bool]) -> tuple[str, ...]:
        """Every row of the account's name where it may change accounts, else its own one; `OwnChange.change_own`."""
        _require_sendable(password)
        with self._alone(access, access.account.username, fence) as link:
            change = self._own_change(link, access.account.username)
            gate = fences.Gate(link, fence, accounts.current_user(link))
            _make(gate, access, change(password))
            seen = False
            try:
                seen = works()
            finally:
                if not seen:
                    _put_back(gate, access, change(access.account.password))
        if not seen:
            raise ChangeRefused(
                f"the new password of {access.account.username} was not seen to work; the former one is back"
            )
        return gate.left_out

    def raise_fence(self, administration: Access, username: str, fence: Fence) -> tuple[str, ...]:
        """Waits for the session of an earlier worker, if one is left, then raises; `Fencing.raise_fence`."""
        with self._alone(administration, username, fence, tries=_RAISING) as link:
            gate = fences.Gate(link, fence, accounts.current_user(link))
            gate.show()
            return gate.left_out

    def fence_number(self, administration: Access, key: str) -> int | None:
        """The highest number shown; `Fencing.fence_number`."""
        with self._session(administration) as link:
            try:
                return fences.number(link, key)
            except MySQLError as error:
                if not answers.not_permitted(error):
                    raise
                return None

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """Who is connected as `username`; `DrainView.sessions`. Needs the privilege PROCESS. `since` is not known."""
        try:
            with self._session(administration) as link:
                try:
                    return mariadb_sessions.seen(link, username)
                except MySQLError as error:
                    if not answers.not_permitted(error):
                        raise
                    me = accounts.current_user(link)
                    return NotPermitted(
                        f"{me} sees only its own sessions; run: {mariadb_sessions.SEE_SESSIONS.format(me)}"
                    )
        except ChangeUnreachable as error:
            return Unreachable(error.message)
        except ChangeError as error:
            return NotPermitted(error.message)

    def end_sessions(self, administration: Access, sessions: tuple[Session, ...]) -> int:
        """End them, one statement each; `SessionEnd.end_sessions`. Needs PROCESS and CONNECTION ADMIN."""
        with self._session(administration) as link:
            try:
                return sum(mariadb_sessions.end(link, session) for session in sessions)
            except MySQLError as error:
                if not answers.not_permitted(error):
                    raise
                me = accounts.current_user(link)
                needed = f"{mariadb_sessions.SEE_SESSIONS} {mariadb_sessions.END_SESSIONS}".format(me, me)
                raise ChangeNotPermitted(f"{me} may not end sessions of others; run: {needed}") from None

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """What the administration login could not do for `username`; `Examination.lacks`."""
        sentences: list[str] = []
        with self._session(administration) as link:
            me = accounts.current_user(link)
            try:
                found = accounts.rows(link, username)
                sentences += [_unchangeable(row) for row in found if not row.changeable]
                if not found:
                    sentences.append(f"There is no account named {username}.")
            except MySQLError as error:
                if not answers.not_permitted(error):
                    raise
                sentences.append(f"{me} may not see accounts; run: {accounts.READ_ROWS.format(me)}")
            if not accounts.may_change(link):
                sentences.append(f"{me} may not change accounts; run: {answers.CHANGE_USERS.format(me)}")
            sentences += [accounts.refuses_hashes(plugin) for plugin in accounts.validating(link)]
        return tuple(sentences)

    def rehearse(self, administration: Access, trial: Trial, fence: Fence) -> Findings:
        """All of it is done to an account that is thrown away; `Rehearsing.rehearse`."""
        with self._session(administration, fence.lease) as link:
            return mariadb_rehearsal.rehearsed(link, trial, fences.bounds(fence.lease, self._seconds).lock)

    def protocol(self, access: Access, endpoint: Endpoint) -> str | None:
        """As the server's status of the session tells it; `Rehearsing.protocol`."""
        try:
            link = connect(access, endpoint, seconds=self._seconds)
        except MySQLError:
            return None
        try:
            return mariadb_sessions.protocol(link)
        except MySQLError:
            return None
        finally:
            leave(link)

    def unreached(self, administration: Access, access: Access) -> tuple[str, ...]:
        """The rows but the one that CURRENT_USER() names in a session of `access`; `Rows.unreached`."""
        with self._session(administration) as link:
            found = self._listed(link, access.account.username)
        if len(found) < 2:
            return ()
        try:
            link = connect(access, access.target.primary, seconds=self._seconds)
        except MySQLError as error:
            raise ChangeUnreachable(answers.outcome(error, access.target.primary).reason) from None
        try:
            mine = accounts.mine(link)
        except MySQLError as error:
            raise answers.failure(error, access, sent=False) from None
        finally:
            leave(link)
        return tuple(str(row) for row in found if (row.username, row.host) != (mine.username, mine.host))

    def _change(self, administration: Access, username: str, fence: Fence, *passwords: Secret) -> tuple[str, ...]:
        _require_sendable(*passwords)
        with self._alone(administration, username, fence) as link:
            found = self._rows(link, username)
            gate = fences.Gate(link, fence, accounts.current_user(link))
            _make(gate, administration, (accounts.change(row, *passwords) for row in found))
            return gate.left_out

    def _own_change(self, link: Link, username: str) -> Callable[[Secret], list[accounts.Change]]:
        """How the session can change its own account's password."""
        try:
            found = self._rows(link, username)
            if accounts.may_change(link):
                return lambda password: [accounts.change(row, password) for row in found]
        except ChangeNotPermitted:
            pass  # it needs no privilege for the one row that it logged in as
        row = accounts.mine(link)
        if row.plugin != accounts.NATIVE:
            grant = answers.CHANGE_USERS.format(accounts.current_user(link))
            raise ChangeNotPermitted(f"{row} does not prove itself by one password alone; to change it, run: {grant}")
        return lambda password: [accounts.change_mine(row, password)]

    def _rows(self, link: Link, username: str) -> tuple[accounts.Row, ...]:
        found = self._listed(link, username)
        if not found:
            raise ChangeNotPermitted(f"there is no account named {username}")
        for row in found:
            if not row.changeable:
                raise ChangeNotPermitted(_unchangeable(row))
        return found

    @staticmethod
    def _listed(link: Link, username: str) -> tuple[accounts.Row, ...]:
        try:
            return accounts.rows(link, username)
        except MySQLError as error:
            if not answers.not_permitted(error):
                raise
            me = accounts.current_user(link)
            raise ChangeNotPermitted(f"{me} may not see accounts; run: {accounts.READ_ROWS.format(me)}") from None

    @contextmanager
    def _session(self, administration: Access, lease: float = _LOOK) -> Iterator[Link]:
        """A bounded session. Raises ChangeError."""
        limits = fences.bounds(lease, self._seconds)
        try:
            link = connect(administration, administration.target.primary, seconds=limits.wait)
        except MySQLError as error:
            raise answers.not_let_in(error, administration) from None
        try:
            fences.limit(link, limits)
            yield link
        except MySQLError as error:
            raise answers.failure(error, administration, sent=False) from None
        finally:
            leave(link)

    @contextmanager
    def _alone(self, administration: Access, username: str, fence: Fence, tries: int = 1) -> Iterator[Link]:
        """A bounded session that nobody else shares this fence and username with. Raises ChangeError."""
        patience = fences.bounds(fence.lease, self._seconds).lock
        with self._session(administration, fence.lease) as link:
            if not any(fences.lock(link, fence, username, patience) for _ in range(tries)):
                raise ChangeUnreachable(f"{administration.target.primary}: busy: somebody else is changing {username}")
            yield link


def _make(gate: fences.Gate, administration: Access, changes: Iterable[accounts.Change]) -> None:
    """Make these changes, each behind the fence. Raises ChangeError."""
    done: list[str] = []
    for change in changes:
        try:
            gate.run(change.statement, change.arguments)
        except MySQLError as error:
            failed = answers.failure(error, administration, sent=True)
            if isinstance(failed, ChangeRefused) and (plugins := accounts.validating(gate.link)):
                failed = ChangeRefused(accounts.refuses_hashes(plugins[0]))
            if done and not isinstance(failed, ChangeFenced):
                raise ChangeLost(f"{', '.join(done)} changed, but {change.row} did not: {failed.message}") from None
            raise failed from None
        done.append(str(change.row))


def _put_back(gate: fences.Gate, access: Access, changes: Iterable[accounts.Change]) -> None:
    """Make these changes, which undo one. Raises ChangeFenced, ChangeLost."""
    try:
        _make(gate, access, changes)
    except ChangeFenced:
        raise
    except ChangeError as error:
        raise ChangeLost(
            f"the new password of {access.account.username} was not seen to work, and the former one could not be "
            f"put back: {error.message}"
        ) from None


def _require_sendable(*passwords: Secret) -> None:
    if not all(password and sendable(password.reveal()) for password in passwords):
        raise ChangeRefused("MariaDB's clients take no empty password, and none with a NUL or half a surrogate")


def _unchangeable(row: accounts.Row) -> str:
    return f"{row} proves itself by {row.plugin}, and Keywright changes only {accounts.NATIVE}."
