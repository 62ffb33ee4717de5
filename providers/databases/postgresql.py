"""PostgreSQL 12 and later: logging in, changing passwords, pairing logins with a shared role.

What a code means (PostgreSQL manual, appendix A):

    a login that failed                                a statement that failed
    28P01              Rejected                        42501 42704        ChangeNotPermitted
    28000 42501 3D000  NotPermitted                    25006 55P03 57014  ChangeUnreachable  (standby, busy)
    55000 22021        NotPermitted                    08xxx 53xxx 57Pxx  ChangeUnreachable
    any other, none    Unreachable                     40xxx 55006        ChangeUnreachable  (try again)
                                                       58xxx XXxxx        ChangeUnreachable  (server trouble)
                                                       any other          ChangeRefused
                                                       no reply           ChangeUnreachable: rolled back
                                                       no reply to COMMIT ChangeLost

Every change is one transaction, short by `SET LOCAL` limits, with an advisory lock per username. The
statement carries a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677) that libpq makes here; the server is not asked.
"""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg.sql import SQL, Composed, Literal

from providers.databases import postgresql_roles as roles
from providers.databases.postgresql_login import Bounded, Certificates, LoginFailed, connect, sendable
from service.core.connection import Accepted, Access, Endpoint, NotPermitted, Probe, Rejected, Unreachable
from service.core.database import Fence, Session
from service.core.errors import ChangeError, ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret

_LOGIN_FORBIDDEN = {
    "28000": "this login is not allowed here: the role may not log in, or pg_hba.conf has no rule for it",
    "42501": "the role lacks a privilege that logging in needs, such as CONNECT on the database",
    "3D000": "the database does not exist",
    "55000": "the database takes no connections",
    "22021": "no login can have such a name or password",
}
_BUSY = ("25006", "55P03", "57014", "55006")
_BUSY_CLASSES = ("08", "40", "53", "57", "58", "XX")
_LIMITS = (
    "SET LOCAL lock_timeout = '3s'",
    "SET LOCAL statement_timeout = '5s'",
    "SET LOCAL idle_in_transaction_session_timeout = '10s'",
)
_PLACEHOLDER = SQL("'<verifier of the new password>'")

_IDENTITY = """
SELECT current_user::text,
  (SELECT coalesce(string_agg(DISTINCT g.rolname, ',' ORDER BY g.rolname), '')
     FROM pg_catalog.pg_auth_members m
     JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member
    WHERE u.rolname = current_user),
  (SELECT coalesce(string_agg(name || '=' || setting, E'\\n' ORDER BY name), '')
     FROM pg_catalog.pg_settings
    WHERE source IN ('global', 'database', 'user', 'database user') AND name NOT IN ('role', 'session_authorization'))
"""


class PostgreSQL:
    """The ports Database, Pairing, DrainView and Examination. `seconds` bounds every login."""

    def __init__(self, *, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._certificates = Certificates()

    def probe(self, access: Access, endpoint: Endpoint) -> Probe:
        """Log in at exactly that endpoint; `Database.probe`."""
        try:
            with closing(connect(access, endpoint, self._certificates, seconds=self._seconds)) as connection:
                row = connection.execute(_IDENTITY).fetchone()
        except LoginFailed as failure:
            return _outcome(failure)
        except psycopg.Error as error:
            return Unreachable(f"{endpoint} let the login in, and then gave no answer ({error.sqlstate or 'silence'})")
        return Accepted(dict(zip(("current_user", "memberships", "settings"), row or (), strict=True)))

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:  # noqa: ARG002
        """Make `password` the only one of `username`; `Database.set_password`."""
        with self._changing(administration, username) as connection:
            _permitted(roles.administrator(connection), roles.role(connection, username), username)
            connection.execute(roles.change_password(username, _verifier(connection, username, password)))
        return ()

    def join(self, administration: Access, role: str, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:  # noqa: ARG002
        """Make `username` a login that acts as `role`; `Pairing.join`."""
        with self._changing(administration, username) as connection:
            verifier = _verifier(connection, username, password)
            for statement in _plan(connection, role, username, verifier)[0]:
                try:
                    connection.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    # Neither the verifier nor a setting's value belongs into a message.
                    text = statement.as_string(connection).partition(" TO ")[0].partition(" CONNECTION LIMIT ")[0]
                    raise ChangeNotPermitted(
                        f"{administration.account.username} may not run {text} …; a superuser can, once, by hand"
                    ) from None
        return ()

    def explain(self, administration: Access, role: str, username: str) -> tuple[str, ...]:
        """What `join` would send now; `Pairing.explain`."""
        with self._changing(administration, username) as connection:
            statements, direct = _plan(connection, role, username, _PLACEHOLDER)
            lines = [f"{statement.as_string(connection)};" for statement in statements]
            if direct:
                lines.append(
                    f"-- once nobody logs in as {role} itself any more:\n-- {roles.retire(role).as_string(connection)};"
                )
        return tuple(lines)

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """Who is connected as `username`; `DrainView.sessions`.

        Every login may see that somebody is connected, and as whom; addresses come as "" without pg_monitor.
        """
        endpoint = administration.target.primary
        try:
            with closing(connect(administration, endpoint, self._certificates, seconds=self._seconds)) as connection:
                rows = connection.execute(
                    "SELECT usename::text, coalesce(host(client_addr), ''), coalesce(application_name, '')"
                    " FROM pg_catalog.pg_stat_activity WHERE usename = %s AND pid <> pg_backend_pid() ORDER BY pid",
                    (username,),
                ).fetchall()
        except LoginFailed as failure:
            outcome = _outcome(failure)
            return outcome if isinstance(outcome, Unreachable | NotPermitted) else NotPermitted(outcome.reason)
        except psycopg.errors.InsufficientPrivilege:
            return NotPermitted(f"{administration.account.username} may not read pg_stat_activity")
        except psycopg.Error as error:
            return Unreachable(f"{endpoint}: no list of sessions (SQLSTATE {error.sqlstate})")
        return tuple(Session(*row) for row in rows)

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """What the administration login could not do for `username`; `Examination.lacks`.

        Proved by doing it, with a verifier of noise, in a transaction that is rolled back.
        """
        with self._changing(administration, username) as connection:
            who, role = roles.administrator(connection), roles.role(connection, username)
            sentences = roles.missing(who, role, username)
            if not sentences:
                try:
                    noise = _verifier(connection, username, Secret(secrets.token_hex(32)))
                    connection.execute(roles.change_password(username, noise))
                except psycopg.Error as error:
                    failure = _failure(error, administration)
                    if isinstance(failure, ChangeUnreachable):
                        raise failure from None
                    sentences = (failure.message,)
            connection.rollback()
        return sentences

    @contextmanager
    def _changing(self, administration: Access, username: str) -> Iterator[Bounded]:
        """One bounded transaction, alone with `username`, committed at the end. Raises ChangeError."""
        endpoint = administration.target.primary
        try:
            connection = connect(administration, endpoint, self._certificates, seconds=self._seconds)
        except LoginFailed as failure:
            raise _not_let_in(failure, administration) from None
        with closing(connection):
            try:
                for limit in _LIMITS:
                    connection.execute(limit)
                connection.execute(*roles.lock(username))
                yield connection
            except psycopg.Error as error:
                raise _failure(error, administration) from None
            try:
                connection.commit()
            except psycopg.Error as error:
                if connection.broken or connection.closed or error.sqlstate is None:
                    raise ChangeLost(f"{endpoint} did not confirm the change; whether it holds is unknown") from None
                raise _failure(error, administration) from None


def _outcome(failure: LoginFailed) -> Rejected | NotPermitted | Unreachable:
    if failure.sqlstate == "28P01":
        return Rejected(f"{failure.reason}: username and password do not go together")
    if failure.sqlstate in _LOGIN_FORBIDDEN:
        return NotPermitted(f"{failure.reason}: {_LOGIN_FORBIDDEN[failure.sqlstate]}")
    return Unreachable(failure.reason)


def _not_let_in(failure: LoginFailed, administration: Access) -> ChangeError:
    outcome = _outcome(failure)
    who = f"the administration login {administration.account.username} at {administration.target.primary}"
    match outcome:
        case Rejected():
            return ChangeNotPermitted(f"{who} was rejected: its password is not right. {outcome.reason}")
        case NotPermitted():
            return ChangeNotPermitted(f"{who} was not let in. {outcome.reason}")
        case Unreachable():
            return ChangeUnreachable(f"{who} got no connection: {outcome.reason}")


def _failure(error: psycopg.Error, administration: Access) -> ChangeError:
    """What a statement's failure means. Until COMMIT is sent, a lost connection is a rollback."""
    endpoint, code = administration.target.primary, error.sqlstate
    if code is None or code in _BUSY or code[:2] in _BUSY_CLASSES:
        reason = {
            None: "the connection broke before the change was committed, so it was rolled back",
            "25006": "this server is read-only, a standby perhaps",
            "55P03": "busy: somebody else holds the role",
            "57014": "busy: the statement took too long",
        }.get(code, "the server could not do it now")
        return ChangeUnreachable(f"{endpoint}: {reason} (SQLSTATE {code})")
    said = f"{endpoint} refused: {error.diag.message_primary} (SQLSTATE {code})"
    if code in ("42501", "42704"):
        return ChangeNotPermitted(f"{said}; the administration login is {administration.account.username}")
    return ChangeRefused(said)


def _verifier(connection: Bounded, username: str, password: Secret) -> Literal:
    text = password.reveal()
    if not text or not sendable(text):
        raise ChangeRefused("PostgreSQL takes no empty password, and none with a NUL character or half a surrogate")
    # With the algorithm named, libpq computes this without asking the server anything.
    made = connection.pgconn.encrypt_password(text.encode(), username.encode(), b"scram-sha-256")
    return Literal(made.decode())


def _permitted(who: roles.Administrator, role: roles.Role | None, username: str) -> None:
    if sentences := roles.missing(who, role, username):
        raise ChangeNotPermitted(" ".join(sentences))


def _plan(connection: Bounded, shared: str, username: str, verifier: roles.Verifier) -> tuple[list[Composed], bool]:
    """The statements of `join`, and whether the shared role can itself log in."""
    if shared == username:
        raise ChangeNotPermitted(f"{username} cannot be a member of itself; the login needs a name of its own")
    connection.execute("SET LOCAL TimeZone = 'UTC'")
    who, role, login = (
        roles.administrator(connection),
        roles.role(connection, shared),
        roles.role(connection, username),
    )
    if role is not None and role.expired:
        raise ChangeNotPermitted(f"the role {shared} expired at {role.until}; extend it with ALTER ROLE … VALID UNTIL")
    for name, existing in ((shared, role), (username, login)):
        if existing is not None:
            _permitted(who, existing, name)
    if not who.creates_roles and not who.superuser:
        raise ChangeNotPermitted(roles.needs_createrole(who))
    is_joined = roles.joined(connection, shared, username)
    statements = roles.join(who, role or shared, login or username, verifier, is_joined=is_joined)
    return statements, bool(role and role.login)
