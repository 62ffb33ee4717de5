"""PostgreSQL 12 and later: logging in, changing passwords, pairing logins with a shared role, ending sessions.

    postgresql_login         getting in: exactly where, how and as whom
    postgresql_failures      what a code means
    postgresql_transaction   one change: bounded, alone, its end known
    postgresql_fence         what late workers fail at
    postgresql_roles         roles as the catalog shows them, and the statements that change them
    postgresql_sessions      who is connected
    postgresql_rehearsal     what a change would meet, without making it

Statements carry a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677) that libpq makes here; the server is not asked.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg.sql import SQL, Composed, Literal

from providers.databases import postgresql_fence as fences
from providers.databases import postgresql_rehearsal, postgresql_sessions
from providers.databases import postgresql_roles as roles
from providers.databases.postgresql_failures import failure, outcome
from providers.databases.postgresql_login import Bounded, Certificates, LoginFailed, connect, scram_verifier, sendable
from providers.databases.postgresql_transaction import logged_in, transaction
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

_PLACEHOLDER = SQL("'<verifier of the new password>'")

# Before version 16 memberships have no options, and let everybody act as the role.
IDENTITY = """
WITH held AS (
  SELECT g.rolname, bool_or(coalesce(to_jsonb(m) ->> 'inherit_option', 'true') = 'true'
                         OR coalesce(to_jsonb(m) ->> 'set_option', 'true') = 'true') AS acts
    FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member
   WHERE u.rolname = current_user GROUP BY g.rolname)
SELECT current_user::text,
  (SELECT coalesce(string_agg(rolname, ',' ORDER BY rolname), '') FROM held WHERE acts),
  (SELECT coalesce(string_agg(rolname, ',' ORDER BY rolname), '') FROM held WHERE NOT acts),
  (SELECT coalesce(string_agg(replace(name, '=', '.') || '=' || replace(setting, E'\\n', ' '),
                              E'\\n' ORDER BY name), '')
     FROM pg_catalog.pg_settings
    WHERE source IN ('global', 'database', 'user', 'database user') AND name NOT IN ('role', 'session_authorization'))
"""


class PostgreSQL:
    """The ports Database, Fencing, Pairing, Inheritance, OwnChange, DrainView, SessionEnd, Examination and Rehearsing.

    `seconds` bounds every login.
    """

    def __init__(self, *, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._certificates = Certificates()

    def probe(self, access: Access, endpoint: Endpoint) -> Probe:
        """Log in at exactly that endpoint; `Database.probe`."""
        try:
            with closing(connect(access, endpoint, self._certificates, seconds=self._seconds)) as connection:
                connection.autocommit = True
                row = connection.execute(IDENTITY).fetchone()
        except LoginFailed as failed:
            return outcome(failed)
        except psycopg.Error as error:
            return Unreachable(f"{endpoint} let the login in, and then gave no answer ({error.sqlstate or 'silence'})")
        return Accepted(dict(zip(("current_user", "memberships", "administers", "settings"), row or (), strict=True)))

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """Make `password` the only one of `username`; `Database.set_password`."""
        with self._changing(administration, fence, username) as (connection, look):
            _permitted(look, username)
            change = roles.change_password(username, _verifier(connection, username, password))
            return fences.show(connection, look, fence, change)

    def raise_fence(self, administration: Access, username: str, fence: Fence) -> tuple[str, ...]:
        """Shut out everybody with a lower number; `Fencing.raise_fence`."""
        with self._changing(administration, fence, username) as (connection, look):
            return fences.show(connection, look, fence)

    def fence_number(self, administration: Access, key: str) -> int | None:
        """The number that the fence's role keeps; `Fencing.fence_number`."""
        with self._asking(administration) as connection:
            row = connection.execute(fences.reading(fences.role_name(key))).fetchone()
        return fences.number_in(row[0]) if row else None

    def join(self, administration: Access, role: str, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """Make `username` a login that acts as `role`; `Pairing.join`."""
        with self._changing(administration, fence, username, role) as (connection, look):
            statements = _plan(look, role, username, _verifier(connection, username, password))
            left_out = fences.show(connection, look, fence)
            for statement in statements:
                try:
                    connection.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    # Neither the verifier nor a setting's value belongs into a message.
                    text = statement.as_string(connection).partition(" TO ")[0].partition(" CONNECTION LIMIT ")[0]
                    raise ChangeNotPermitted(
                        f"{look.who.name} may not run {text} …; a superuser can, once, by hand"
                    ) from None
        return left_out

    def explain(self, administration: Access, role: str, username: str) -> tuple[str, ...]:
        """What `join` would send now; `Pairing.explain`."""
        with self._asking(administration) as connection:
            with transaction(connection, administration, username, role, locks=()) as look:
                statements = _plan(look, role, username, _PLACEHOLDER)
            lines = [f"{statement.as_string(connection)};" for statement in statements]
            shared = look.roles.get(role)
            if shared and shared.login:
                later = roles.retire(role).as_string(connection)
                lines.append(f"-- once nobody logs in as {role} itself any more: {later};")
        return tuple(lines)

    def inherited(self, administration: Access, role: str, username: str, database: str) -> frozenset[str]:
        """Settings that the login has as the role has them; `Inheritance.inherited`."""
        with (
            self._asking(administration) as connection,
            transaction(connection, administration, username, role, locks=()) as look,
        ):
            return roles.inherited(look, role, username, database)

    def change_own(self, access: Access, password: Secret, fence: Fence, works: Callable[[], bool]) -> tuple[str, ...]:
        """Turn the password of the login itself, with a way back; `OwnChange.change_own`.

        Any role may change its own password; keeping a fencing number takes more.
        """
        username = access.account.username
        with self._asking(access) as connection:
            if connection.info.server_version >= 140000:
                # A setting of the role's must not end the session before the answer; after the lease there is none.
                connection.execute(SQL("SET idle_session_timeout = {}").format(Literal(f"{fence.lease}s")))
            left_out = self._change_own(connection, access, password, fence)
            seen = False
            try:
                seen = works()
            finally:
                if not seen:
                    self._put_back(connection, access, fence)
        if not seen:
            raise ChangeRefused(f"the new password of {username} was not seen to work; the former one is back")
        return left_out

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """Who is connected as `username`; `DrainView.sessions`."""
        try:
            with self._asking(administration) as connection:
                return postgresql_sessions.seen(connection, username)
        except ChangeNotPermitted as error:
            return NotPermitted(error.message)
        except ChangeError as error:
            return Unreachable(error.message)

    def end_sessions(self, administration: Access, sessions: tuple[Session, ...]) -> int:
        """End these, each only if it still is who it was; `SessionEnd.end_sessions`."""
        with self._asking(administration) as connection:
            return postgresql_sessions.end(connection, sessions, administration.account.username)

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """What the administration login could not do for `username`; `Examination.lacks`.

        Proved by doing it, with a verifier of noise, in a transaction that is rolled back.
        """
        with (
            logged_in(administration, self._certificates, seconds=self._seconds) as connection,
            transaction(connection, administration, username, locks=(username,)) as look,
        ):
            sentences = roles.missing(look.who, look.roles.get(username), username)
            if not sentences:
                try:
                    noise = _verifier(connection, username, Secret(secrets.token_hex(32)))
                    connection.execute(roles.change_password(username, noise))
                except psycopg.Error as error:
                    found = failure(error, administration)
                    if isinstance(found, ChangeUnreachable):
                        raise found from None
                    sentences = (found.message,)
            connection.rollback()
        return sentences

    def rehearse(self, administration: Access, trial: Trial, fence: Fence) -> Findings:
        """The whole change, fence and all, in a transaction that is rolled back; `Rehearsing.rehearse`."""
        others = [name for name in (trial.role, trial.live) if name]
        with self._changing(administration, fence, trial.username, *others) as (connection, look):
            verifier = _verifier(connection, trial.username, trial.password)
            try:
                if trial.role:
                    statements = _plan(look, trial.role, trial.username, verifier)
                elif trial.username == look.who.name:
                    statements = [roles.ACT_AS_ITSELF, roles.change_password(trial.username, verifier)]
                else:
                    _permitted(look, trial.username)
                    statements = [roles.change_password(trial.username, verifier)]
            except ChangeNotPermitted as error:
                return Findings((error.message,))
            left_out = fences.show(connection, look, fence)
            found = postgresql_rehearsal.rehearsed(connection, look, trial, statements, administration)
            connection.rollback()
        return Findings(found.problems, (*left_out, *found.warnings))

    def protocol(self, access: Access, endpoint: Endpoint) -> str | None:
        """As the server sees the session; `Rehearsing.protocol`."""
        try:
            with closing(connect(access, endpoint, self._certificates, seconds=self._seconds)) as connection:
                connection.autocommit = True
                return postgresql_rehearsal.protocol(connection)
        except (LoginFailed, psycopg.Error):
            return None

    @contextmanager
    def _changing(
        self, administration: Access, fence: Fence, username: str, *others: str
    ) -> Iterator[tuple[Bounded, roles.Look]]:
        """A transaction alone with `username` and the fence, and a look at them. Raises ChangeError."""
        names, locks = (username, *others, fences.role_name(fence.key)), fences.locks(fence, username)
        with (
            logged_in(administration, self._certificates, seconds=self._seconds) as connection,
            transaction(connection, administration, *names, locks=locks, lease=fence.lease) as look,
        ):
            yield connection, look

    @contextmanager
    def _asking(self, administration: Access) -> Iterator[Bounded]:
        """A session for questions. Raises ChangeError."""
        with logged_in(administration, self._certificates, seconds=self._seconds) as connection:
            try:
                yield connection
            except psycopg.Error as error:
                raise failure(error, administration) from None

    def _change_own(self, connection: Bounded, access: Access, password: Secret, fence: Fence) -> tuple[str, ...]:
        username = access.account.username
        names, locks = (username, fences.role_name(fence.key)), fences.locks(fence, username)
        with transaction(connection, access, *names, locks=locks, lease=fence.lease) as look:
            verifier = _verifier(connection, username, password)
            # The fence is passed as whoever the login acts as; only as itself may it change its own password.
            return fences.show(connection, look, fence, roles.ACT_AS_ITSELF, roles.change_password(username, verifier))

    def _put_back(self, connection: Bounded, access: Access, fence: Fence) -> None:
        """The former password, which the access holds, in the session that was opened with it."""
        try:
            self._change_own(connection, access, access.account.password, fence)
        except ChangeFenced:
            raise
        except ChangeError as error:
            raise ChangeLost(
                f"the new password of {access.account.username} was not seen to work, and the former one could not"
                f" be put back: {error.message}"
            ) from None


def _verifier(connection: Bounded, username: str, password: Secret) -> Literal:
    text = password.reveal()
    if not text or not sendable(text):
        raise ChangeRefused("PostgreSQL takes no empty password, and none with a NUL character or half a surrogate")
    # With the algorithm named, libpq computes this without asking the server anything.
    return Literal(scram_verifier(connection, username, text))


def _permitted(look: roles.Look, username: str) -> None:
    if sentences := roles.missing(look.who, look.roles.get(username), username):
        raise ChangeNotPermitted(" ".join(sentences))


def _plan(look: roles.Look, shared: str, username: str, verifier: roles.Verifier) -> list[Composed]:
    """The statements of `join`."""
    if shared == username:
        raise ChangeNotPermitted(f"{username} cannot be a member of itself; the login needs a name of its own")
    who, role, login = look.who, look.roles.get(shared), look.roles.get(username)
    if role is not None and role.expired:
        raise ChangeNotPermitted(f"the role {shared} expired at {role.until}; extend it with ALTER ROLE … VALID UNTIL")
    for name, existing in ((shared, role), (username, login)):
        if existing is not None:
            _permitted(look, name)
    if not who.may_create:
        raise ChangeNotPermitted(roles.needs_createrole(who))
    return roles.join(who, role or shared, login or username, verifier)
