"""A database in memory that keeps the ports' promises in microseconds, and misbehaves when it is told to.

fake.unreachable.add(endpoint)   nobody gets through to that endpoint (`fake.everywhere` for all)
fake.hanging = True              it takes requests and never answers; what is asked is not done
fake.losing = 1                  so many changes are made, and their replies lost
fake.policy = lambda p: len(p) > 40   passwords that it accepts; ChangeRefused for others
fake.powerless = True            the administration login may change nothing
fake.trusting = True             any password will do
fake.locking = 5                 so many rejected logins in a row lock a login; `fake.locked` tells which
fake.before = function           called with the name of each operation before it happens: wait there, or die
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from service.core.connection import (
    Accepted,
    Access,
    Account,
    Endpoint,
    Engine,
    NotPermitted,
    Probe,
    Rejected,
    Target,
    Tls,
    TlsMode,
    Unreachable,
)
from service.core.database import Fence, Findings, Session, Trial
from service.core.errors import ChangeFenced, ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret

_UNSENDABLE = {"\0", *map(chr, range(0xD800, 0xE000))}
ANYWHERE = Endpoint("anywhere", 0)


def _verifier(password: str) -> str:
    return hashlib.sha256(password.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class FakeLogin:
    """One account: its valid passwords (as verifiers), whom it acts as, and whether it is blocked."""

    verifiers: tuple[str, ...] = ()
    acts_as: str | None = None
    blocked: bool = False


@dataclass
class FakeDatabase:
    """The ports Database, Fencing, Overlap, Pairing, OwnChange, DrainView, SessionEnd, Examination
    and Rehearsing."""

    engine: Engine = Engine.POSTGRESQL
    endpoints: tuple[Endpoint, ...] = (Endpoint("db.test", 5432),)
    databases: tuple[str, ...] = ("shop",)
    logins: dict[str, FakeLogin] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    unfenced: tuple[str, ...] = ()
    """What of the fence its administration login may not do; it then keeps none."""
    connected: list[Session] = field(default_factory=list)
    unreachable: set[Endpoint] = field(default_factory=set)
    hanging: bool = False
    losing: int = 0
    policy: Callable[[str], bool] = lambda password: True
    powerless: bool = False
    trusting: bool = False
    locking: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Rejected logins in a row, of logins that exist."""
    before: Callable[[str], None] = lambda operation: None
    log: list[str] = field(default_factory=list)
    """Statements, as the server would have logged them."""

    everywhere = ANYWHERE

    def create(self, username: str, password: str) -> None:
        """Make a login with one password."""
        self.logins[username] = FakeLogin((_verifier(password),))

    def administration(self) -> Access:
        """The way in of a login that may change others."""
        self.create("admin", "admin-password")
        return self.access("admin", "admin-password")

    def access(self, username: str, password: str, database: str = "shop") -> Access:
        """The way in for a login."""
        target = Target(self.engine, self.endpoints, database, Tls(TlsMode.DISABLE))
        return Access(target, Account(username, Secret(password)))

    def valid(self, username: str, password: str) -> bool:
        """Would this log in, were the server up? For a test to look behind the scenes."""
        return username in self.logins and _verifier(password) in self.logins[username].verifiers

    @property
    def locked(self) -> set[str]:
        """Who is locked."""
        return {name for name, run in self.rejected.items() if self.locking and run >= self.locking}

    def probe(self, access: Access, endpoint: Endpoint) -> Probe:
        """`Database.probe`."""
        self.before("probe")
        if self._away(endpoint):
            return Unreachable(f"{endpoint} does not answer")
        username, login = access.account.username, self.logins.get(access.account.username)
        if username in self.locked:
            return NotPermitted("the login is locked: too many were rejected")
        if not self.trusting and not self.valid(username, access.account.password.reveal()):
            if login is not None:
                self.rejected[username] = self.rejected.get(username, 0) + 1
            return Rejected("username and password do not go together")
        self.rejected.pop(username, None)
        if login is None or login.blocked:
            return NotPermitted("the login is blocked, or there is none")
        if access.target.database not in self.databases:
            return NotPermitted("the database does not exist")
        return Accepted({"current_user": login.acts_as or username})

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """`Database.set_password`."""
        return self._change("set_password", administration, username, self.logins.get(username), fence, password)

    def add_password(
        self, administration: Access, username: str, kept: Secret, added: Secret, fence: Fence
    ) -> tuple[str, ...]:
        """`Overlap.add_password`."""
        return self._change("add_password", administration, username, self.logins.get(username), fence, kept, added)

    def join(self, administration: Access, role: str, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """`Pairing.join`."""
        login = replace(self.logins.get(username, FakeLogin()), acts_as=role)
        return self._change("join", administration, username, login, fence, password)

    def change_own(self, access: Access, password: Secret, fence: Fence, works: Callable[[], bool]) -> tuple[str, ...]:
        """`OwnChange.change_own`."""
        username = access.account.username
        former = self.logins.get(username)
        left_out = self._change("change_own", access, username, former, fence, password)
        seen = False
        try:
            seen = works()
        finally:
            if not seen:
                self.logins[username] = former or FakeLogin()
        if not seen:
            raise ChangeRefused("the new password does not log in; the former one is back")
        return left_out

    def raise_fence(self, administration: Access, username: str, fence: Fence) -> tuple[str, ...]:
        """`Fencing.raise_fence`."""
        self.before("raise_fence")
        self._reach(administration)
        return self._pass(fence)

    def fence_number(self, administration: Access, key: str) -> int | None:
        """`Fencing.fence_number`."""
        self._reach(administration)
        return self.fences.get(key)

    def _pass(self, fence: Fence) -> tuple[str, ...]:
        if self.unfenced:
            return self.unfenced
        if fence.number < self.fences.get(fence.key, 0):
            raise ChangeFenced("a later worker was here")
        self.fences[fence.key] = fence.number
        return ()

    def explain(self, administration: Access, role: str, username: str) -> tuple[str, ...]:
        """`Pairing.explain`."""
        self._reach(administration)
        return (f"JOIN {username} TO {role} PASSWORD '<verifier of the new password>';",)

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """`DrainView.sessions`."""
        self.before("sessions")
        if self._away(administration.target.primary):
            return Unreachable("it does not answer")
        if self.powerless:
            return NotPermitted("the administration login may not see sessions")
        return tuple(session for session in self.connected if session.username == username)

    def end_sessions(self, administration: Access, sessions: tuple[Session, ...]) -> int:
        """`SessionEnd.end_sessions`."""
        self.before("end_sessions")
        self._reach(administration)
        if self.powerless:
            raise ChangeNotPermitted("the administration login may not end sessions")
        before = len(self.connected)
        self.connected = [session for session in self.connected if session not in sessions]
        return before - len(self.connected)

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """`Examination.lacks`."""
        self._reach(administration)
        if username not in self.logins:
            return (f"{username} does not exist.",)
        return ("The administration login may not change passwords.",) if self.powerless else ()

    def rehearse(self, administration: Access, trial: Trial, fence: Fence) -> Findings:
        """`Rehearsing.rehearse`."""
        self.before("rehearse")
        self._reach(administration)
        problems = [] if self.policy(trial.password.reveal()) else ["the password does not fit the policy"]
        problems += ["the administration login may not change passwords"] if self.powerless else []
        return Findings(tuple(problems), self.unfenced)

    def protocol(self, access: Access, endpoint: Endpoint) -> str | None:
        """`Rehearsing.protocol`."""
        return "" if isinstance(self.probe(access, endpoint), Accepted) else None

    def _change(
        self,
        operation: str,
        administration: Access,
        username: str,
        login: FakeLogin | None,
        fence: Fence,
        *passwords: Secret,
    ) -> tuple[str, ...]:
        self.before(operation)
        if self.hanging:
            raise ChangeLost("no reply came, and nothing was done")
        self._reach(administration)
        if self.powerless:
            raise ChangeNotPermitted("the administration login may not change passwords; run: GRANT …")
        if login is None:
            raise ChangeNotPermitted(f"{username} does not exist")
        revealed = [password.reveal() for password in passwords]
        if not all(text and not set(text) & _UNSENDABLE and self.policy(text) for text in revealed):
            raise ChangeRefused("the password does not fit the policy")
        left_out = self._pass(fence)
        verifiers = tuple(map(_verifier, revealed))
        self.log.append(f"{operation} {username} {' '.join(verifiers)}")
        self.logins[username] = replace(login, verifiers=verifiers)
        if self.losing:
            self.losing -= 1
            raise ChangeLost("no reply came, and it was done")
        return left_out

    def _away(self, endpoint: Endpoint) -> bool:
        known = endpoint in self.endpoints
        return self.hanging or not known or endpoint in self.unreachable or ANYWHERE in self.unreachable

    def _reach(self, administration: Access) -> None:
        endpoint = administration.target.primary
        if self._away(endpoint):
            raise ChangeUnreachable(f"{endpoint} does not answer")
        account = administration.account
        if not self.trusting and not self.valid(account.username, account.password.reveal()):
            raise ChangeNotPermitted(f"the administration login {account.username} was rejected")
