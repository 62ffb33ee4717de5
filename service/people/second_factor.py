"""The second half of signing in.

    every way in ──► begins ──┬──► None: the session may open at once
                              └──► a text, for which the sign-in waits ten minutes
                                       │ has a factor: a code, a recovery code, or a passkey's answer
                                       │ has none, and needs one: led through enrolment, and shows it for the first time
                                       ▼
                              ends ──► the session opens, `factor_at` now

The text is as good as the first proof, and no better: with it, nothing can be done but to show the second one.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from service.core import factor as rules
from service.core.errors import Forbidden, Unauthenticated
from service.core.event import Event, Outcome
from service.core.factor import BEGUN
from service.core.person import User
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.factors import Factors
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions, Way
from service.ledger import users
from service.ledger.ledger import Transaction
from service.people.arrival import Place, SignedIn, unknown
from service.people.enrolment import Begun, Enrolment, FirstAnswer, FirstCode
from service.people.showing import WRONG, For, Showing, Shown

T = TypeVar("T")

KIND = "factor"
PURPOSE = "sign-in"
_UNKNOWN = "this sign-in is over, or took longer than ten minutes: begin again"
_HAS = "you have a second factor already: show it"


@dataclass(frozen=True)
class Waiting:
    """A sign-in that waits for its second factor: of which kinds there are; with none, one must be added first."""

    email: str
    kinds: tuple[str, ...]

    @property
    def enrol(self) -> bool:
        """Must one be added first?"""
        return not self.kinds


class SecondFactor:
    """See above."""

    def __init__(
        self,
        door: Door,
        recorder: Recorder,
        factors: Factors,
        pendings: Pendings,
        sessions: Sessions,
        enrolment: Enrolment,
        showing: Showing,
    ) -> None:
        self._door = door
        self._recorder = recorder
        self._factors = factors
        self._pendings = pendings
        self._sessions = sessions
        self._enrolment = enrolment
        self._showing = showing

    def begins(self, tx: Transaction, user: User, way: Way) -> str | None:
        """A text for which the sign-in waits; None where the session may open at once.

        Within the transaction in which the first proof was found right. Raises Often.
        """
        if way.factor_at is not None:  # whom an identity provider asked for one, and is trusted to
            return None
        if not user.factors and not self._factors.required(tx, user):
            return None
        data = {
            "user": user.id,
            "method": way.method,
            "address": way.address,
            "agent": way.agent,
            "provider_id": way.provider_id,
            "provider_session": way.provider_session,
        }
        return self._pendings.put(tx, KIND, data, BEGUN, user_id=user.id)

    def told(self, text: str, place: Place) -> Waiting:
        """What a sign-in waits for. Raises Unauthenticated."""
        user, _ = self._known(self._door.look(lambda tx: self._waiting(tx, text)), place)
        return Waiting(user.email, tuple(sorted(set(user.factors))))

    def challenge(self, text: str, place: Place) -> dict[str, Any]:
        """What the browser is to ask an authenticator for, to end a sign-in. Raises Unauthenticated, Conflict."""
        self._showing.require_passkeys()

        def evaluate(tx: Transaction) -> dict[str, Any] | None:
            found = self._waiting(tx, text)
            return self._showing.challenge(tx, _for(text), found[0]) if found else None

        return self._known(self._door.look(evaluate), place)

    def enrol_totp(self, text: str, name: str, place: Place) -> Begun:
        """For a sign-in of who has no factor, and needs one: a TOTP. Raises Unauthenticated, Forbidden, Invalid."""
        called = rules.named(name)
        return self._enrols(text, place, lambda tx, user: self._enrolment.begun(tx, user, called))

    def enrol_passkey(self, text: str, place: Place) -> dict[str, Any]:
        """The same with a passkey. Raises Unauthenticated, Forbidden, Conflict."""
        self._showing.require_passkeys()
        return self._enrols(text, place, lambda tx, user: self._enrolment.challenged(tx, user, _for(text).of))

    def _enrols(self, text: str, place: Place, begin: Callable[[Transaction, User], T]) -> T:
        user, _ = self._known(self._door.look(lambda tx: self._waiting(tx, text)), place)
        deed = Deed("factor.begin", resource=user.id)

        def act(tx: Transaction) -> T | None:
            found = self._waiting(tx, text)
            if found is None:  # somebody was quicker
                deed.outcome = Outcome.REFUSED
                return None
            if found[0].factors:
                raise Forbidden(_HAS)
            return begin(tx, found[0])

        return self._known(self._door.change(place.caller(user), deed, act), place)

    def ends(self, text: str, shown: Shown | FirstCode | FirstAnswer, place: Place) -> SignedIn:
        """The session opens. Raises Unauthenticated, also for what is wrong; Often, for who has to wait; Invalid."""
        known, way = self._known(self._door.look(lambda tx: self._waiting(tx, text)), place)
        caller = place.caller(known)
        deed = Deed("session.open", resource=known.id, detail={"method": way.method})

        def act(tx: Transaction) -> SignedIn | None:
            found = self._waiting(tx, text)
            if found is None:  # somebody was quicker
                deed.outcome = Outcome.REFUSED
                return None
            user, way = found
            codes: Sequence[Secret] = ()
            if isinstance(shown, FirstCode | FirstAnswer):
                if user.factors:
                    raise Forbidden(_HAS)
                added = self._enrolment.added(tx, user, shown, _for(text).of)
                if added is None:
                    deed.outcome = Outcome.REFUSED
                    return None
                codes, kind = added.codes, added.factor.kind.value
                told = {"kind": kind, "factor": added.factor.id}
                tx.events.append(Event(tx.now, caller, "factor.add", Outcome.ALLOWED, "", user.id, told))
                deed.detail["factor"] = kind
                users.failed(tx, user.id, 0)
            elif not self._showing.proves(tx, user, shown, _for(text), deed):
                return None
            self._pendings.take(tx, KIND, text)
            token, session = self._sessions.opened(tx, user, replace(way, factor_at=tx.now))
            deed.detail["session"] = token.id
            return SignedIn(user, token, session, codes)

        opened = self._door.change(caller, deed, act)
        if opened is None:
            raise Unauthenticated(WRONG)
        return opened

    def _waiting(self, tx: Transaction, text: str) -> tuple[User, Way] | None:
        data = self._pendings.peek(tx, KIND, text)
        user = users.get(tx, str(data["user"])) if data else None
        if data is None or user is None or not user.enabled:
            return None
        said = {name: str(value) for name, value in data.items()}
        way = Way(said["method"], said["address"], said["agent"], said["provider_id"], said["provider_session"])
        return user, way

    def _known(self, found: T | None, place: Place) -> T:
        if found is None:
            raise unknown(self._recorder, place, _UNKNOWN)
        return found


def _for(text: str) -> For:
    """What is shown for a sign-in; challenges are bound to it."""
    return For(PURPOSE, hashlib.sha256(text.encode()).hexdigest())
