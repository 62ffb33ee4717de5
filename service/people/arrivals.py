"""Arrivals: what happens once an identity provider has proven who somebody is, whatever its protocol.

    proven ──► still the same provider? ──► admitted ──┬──► second factor is to be shown yet: a text to go on with
                                                       └──► a session

All of it is one transaction: an account, its groups, the session and their events are there together or not at all.
Whoever is turned away is a stranger to the log, like one with a wrong token: a bounded number of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from service.core.access import Caller, Stranger
from service.core.errors import Often
from service.core.event import Detail, Event, Outcome
from service.core.identity import Claimed, IdentityProvider, NotLetIn
from service.core.person import User
from service.core.secret import Secret
from service.core.token import Token
from service.keeper.asked import Asked
from service.keeper.door import Door
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions, Way
from service.keeper.snapshot import View
from service.ledger import identity_providers, settings
from service.ledger.ledger import Transaction
from service.people.admission import Admission

OPEN = "session.open"
HINT = "sign-out"
"""What waits with a session for its end: by whom it was opened, and what that one wants to see again."""


class SecondFactor(Protocol):
    """Asks for a second factor where one is needed."""

    def begins(self, tx: Transaction, user: User, way: Way) -> str | None:
        """A text with which the sign-in goes on once it was shown; None: none is needed."""
        ...


@dataclass(frozen=True)
class Visitor:
    """The browser that somebody comes with."""

    address: str
    agent: str
    request_id: str


@dataclass(frozen=True)
class Arrived:
    """Somebody who was let in: with a session, or with a text to show a second factor for."""

    user: User
    token: Token | None = None
    text: Secret | None = field(default=None, repr=False)
    waits: str = field(default="", repr=False)


class Arrivals:
    """Lets people in. Without `second_factor` none is ever asked for."""

    def __init__(
        self,
        door: Door,
        recorder: Recorder,
        pendings: Pendings,
        sessions: Sessions,
        second_factor: SecondFactor | None = None,
    ) -> None:
        self._door = door
        self._recorder = recorder
        self._pendings = pendings
        self._sessions = sessions
        self._second_factor = second_factor
        self._admission = Admission(door)

    def arrive(self, provider: IdentityProvider, claimed: Claimed, visitor: Visitor) -> Arrived:
        """Let in whom `provider` proved. Raises NotLetIn."""
        about = Caller(provider.id, provider.method, "provider", (), visitor.address, visitor.request_id)

        def act(tx: Transaction) -> Arrived:
            if identity_providers.get(tx, provider.id) != provider:
                raise NotLetIn("the identity provider was configured anew meanwhile: sign in once more", "changed")
            user = self._admission.admit(tx, provider, claimed, about)
            way = Way(provider.method, visitor.address, visitor.agent, provider.id, claimed.session, claimed.factor_at)
            if self._second_factor and (waits := self._second_factor.begins(tx, user, way)):
                return Arrived(user, waits=waits)
            token, text = self._sessions.opened(tx, user, way)
            self._keep_hint(tx, provider, claimed, token)
            person = Caller(token.id, user.email, "person", (), visitor.address, visitor.request_id)
            detail: dict[str, Detail] = {"method": way.method, "factor": way.factor_at is not None, "user": user.id}
            tx.events.append(Event(tx.now, person, OPEN, Outcome.ALLOWED, resource=token.id, detail=detail))
            return Arrived(user, token, text)

        return self._door.change(about, (), act)

    def turned_away(self, provider: str, wrong: NotLetIn, visitor: Visitor) -> NotLetIn:
        """Tell the log of somebody who was not let in; what to answer. Raises Unrecorded."""
        detail = {"method": provider, "reason": wrong.reason}
        stranger = Stranger(wrong.message, visitor.address, visitor.request_id, deed=(OPEN, "", detail))

        def evaluate(_: View, __: Asked) -> None:
            raise stranger

        try:
            self._recorder.fetch(Asked(evaluate, OPEN, "", ""))
        except Stranger:
            return wrong
        raise AssertionError("a stranger was let in")

    def hint(self, tx: Transaction, token_id: str) -> Mapping[str, object] | None:
        """What was kept for the end of this session: `provider`, the id, and `hint`. It is kept no more."""
        return self._pendings.take(tx, HINT, token_id)

    def _keep_hint(self, tx: Transaction, provider: IdentityProvider, claimed: Claimed, token: Token) -> None:
        try:
            kept = {"provider": provider.id, "hint": claimed.hint}
            life = settings.read(tx).life
            self._pendings.put(tx, HINT, kept, life, user_id=token.user_id, text=token.id)
        except Often:
            return  # so many are signed in: this one will be asked at its provider whether it wants to leave
