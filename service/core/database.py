"""Ports of the target databases: what an engine can do, and the fence that its changes pass.

    Database     every engine: log in, change a password
    Fencing      keep a number in the target that late workers fail at
    Overlap      one login with two valid passwords                    (strategy `overlapping`)
    Pairing      two logins that act as one role                       (strategy `alternating`)
    Inheritance  what the logins of a pair have from their role
    OwnChange    a login changes its own password, a session held open until the new one was seen to work
    DrainView    who is connected                SessionEnd    end those sessions
    Examination  what an administration login could not do, without doing it
    Rehearsing   a change that is tried without effect
    Rows         accounts of one user name, of which a login from here reaches one

Every change raises, of `service.core.errors`: ChangeRefused (the password itself), ChangeNotPermitted,
ChangeFenced (a later worker was there), ChangeUnreachable (never asked), ChangeLost (done or not done).
It returns sentences: what of its fence had to be left out because the administration login may not do it;
none when the fence is whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from service.core.connection import Access, Endpoint, NotPermitted, Probe, Unreachable
from service.core.secret import Secret

FENCE = "keywright_fence_"
"""How what keeps a fence in a target is named, before the fence's key, which is the connection's id."""


@dataclass(frozen=True)
class Fence:
    """What a change in the target is conditional on, so that a worker who wakes up late changes nothing.

    The target remembers, for each `key`, the highest number it was shown; a change with a lower one fails
    there. `lease` bounds in seconds what the change may hold in the target: locks, an open transaction and
    a silent session are given up well within it, also when the worker stands still.
    """

    key: str
    number: int
    lease: float = 30.0


class Database(Protocol):
    """What every engine can do. One implementation per engine, in `providers/databases`."""

    def probe(self, access: Access, endpoint: Endpoint) -> Probe:
        """Log in with the access's account at that endpoint and leave again. Never raises for an answer."""

    def set_password(self, administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """Make `password` the only password of `username`, in one statement that carries a verifier."""


@runtime_checkable
class Fencing(Protocol):
    """An engine in which the highest number shown so far can be kept."""

    def raise_fence(self, administration: Access, username: str, fence: Fence) -> tuple[str, ...]:
        """Afterwards no change of `username` with a lower number takes effect, not even one under way now.

        Sentences say that this could not be had, because the administration login may not keep a number.
        """

    def fence_number(self, administration: Access, key: str) -> int | None:
        """The highest number shown so far under `key`; None if there is none, or it may not be read."""


@runtime_checkable
class Overlap(Protocol):
    """An engine on which one login can have two valid passwords."""

    def add_password(
        self, administration: Access, username: str, kept: Secret, added: Secret, fence: Fence
    ) -> tuple[str, ...]:
        """Afterwards both `kept` and `added` log in, and nothing else does."""


@runtime_checkable
class Pairing(Protocol):
    """An engine on which two logins can act as one shared role (strategy `alternating`)."""

    def join(self, administration: Access, role: str, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
        """Make `username` a login that acts as `role`, with exactly this password.

        Creates the login, or the role when it is missing; brings membership, settings, connection limit
        and expiry in line with the role's; repeating it changes nothing more.
        """

    def explain(self, administration: Access, role: str, username: str) -> tuple[str, ...]:
        """The statements that `join` would send now, for a person to read or run; no password in them."""


@runtime_checkable
class Inheritance(Protocol):
    """An engine on which roles have settings of their own, and logins copies of them."""

    def inherited(self, administration: Access, role: str, username: str, database: str) -> frozenset[str]:
        """Names of settings that `role` has for `database`, and that `username` has as it. Raises ChangeError."""


@runtime_checkable
class OwnChange(Protocol):
    """An engine on which a login may change its own password: how an administration login is turned."""

    def change_own(self, access: Access, password: Secret, fence: Fence, works: Callable[[], bool]) -> tuple[str, ...]:
        """Log in with `access`, make `password` the account's only one, and stay until `works()` has answered.

        If it answers no, the same session puts the former password back, and ChangeRefused is raised.
        """


@dataclass(frozen=True)
class Session:
    """Somebody who is connected to the target. `id` is the engine's own, for ending the session."""

    username: str
    address: str
    application: str
    id: int = 0
    since: datetime | None = None


@runtime_checkable
class DrainView(Protocol):
    """An engine that can tell who is connected."""

    def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
        """Sessions of `username` now, the longest first, or why that cannot be told."""


@runtime_checkable
class SessionEnd(Protocol):
    """An engine on which an administration login can end the sessions of others."""

    def end_sessions(self, administration: Access, sessions: tuple[Session, ...]) -> int:
        """End these, each only if it still is who it was; how many were. Raises ChangeError."""


@runtime_checkable
class Examination(Protocol):
    """An engine that can say what an administration login would be able to do, without doing it."""

    def lacks(self, administration: Access, username: str) -> tuple[str, ...]:
        """Sentences, each naming something the administration login cannot do for `username`; empty is well.

        Raises ChangeUnreachable, or ChangeNotPermitted when even looking is refused.
        """


@dataclass(frozen=True)
class Trial:
    """A change that is only tried. `password` is one as the policy makes them, and nobody will ever have it."""

    username: str
    role: str
    """Strategy `alternating`: the role that `username` is to act as; else empty."""
    live: str
    """The login that applications use now; empty if there is none."""
    database: str
    password: Secret
    ends_sessions: bool = False
    """Are sessions to be ended when the drain limit is over?"""


@dataclass(frozen=True)
class Findings:
    """Sentences: what would keep the change from being made, and what is good to know before it is."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Rehearsing(Protocol):
    """An engine on which a change can be tried without effect."""

    def rehearse(self, administration: Access, trial: Trial, fence: Fence) -> Findings:
        """Try the whole change and leave nothing behind. Raises ChangeError when there is nobody to try it with.

        What a try that died leaves behind harms nobody, and the next one takes it away.
        """

    def protocol(self, access: Access, endpoint: Endpoint) -> str | None:
        """The protocol and cipher that protect a login there; empty if nothing does, None if there is no login."""


@runtime_checkable
class Rows(Protocol):
    """An engine on which a user name can have several accounts, each with a password of its own."""

    def unreached(self, administration: Access, access: Access) -> tuple[str, ...]:
        """Accounts of `access`'s user name other than the one that it logs in to from here, at the primary.

        What their passwords are cannot be shown by a login. Raises ChangeUnreachable when `access` is not let in,
        ChangeNotPermitted when the administration login may not see accounts.
        """
