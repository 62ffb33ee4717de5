"""The second half of signing in: what a sign-in waits for is shown.

    waits ──┬── has a factor ────────► a code, a recovery code, a passkey's answer ─┐
            └── has none, needs one ─► one is added, and shown by that ─────────────┴──► entering.py, `factor_at` now

The text that it waits for is as good as the first proof, and no better: nothing can be done with it but to show the
second one. Who has a factor adds none by it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from service.core import factor as rules
from service.core.access import Caller
from service.core.errors import Forbidden, KeywrightError, Unauthenticated
from service.core.event import Event, Outcome
from service.core.person import User
from service.core.secret import Secret
from service.keeper.delays import Delays
from service.keeper.door import Deed, Door
from service.keeper.recorder import Recorder
from service.keeper.sessions import OPEN
from service.ledger.ledger import Transaction
from service.people.enrolment import Begun, Enrolment, FirstAnswer, FirstCode, wrong
from service.people.entering import Entered, Entering, Visitor
from service.people.second_factor import SecondFactor
from service.people.showing import WRONG, For, Showing, Shown
from service.people.strangers import refused

T = TypeVar("T")

_UNKNOWN = "this sign-in is over, or took longer than ten minutes: begin again"
_HAS = "you have a second factor already: show it"


@dataclass(frozen=True)
class Waiting:
    """A sign-in that waits for its second factor: of which kinds there are; with none, one must be added first."""

    email: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """What came of it; with a first factor, recovery codes, which are told only now."""

    entered: Entered
    codes: Sequence[Secret] = field(default=(), repr=False)


class SecondHalf:
    """See above."""

    def __init__(
        self,
        door: Door,
        recorder: Recorder,
        delays: Delays,
        second_factor: SecondFactor,
        enrolment: Enrolment,
        showing: Showing,
        entering: Entering,
    ) -> None:
        self._door = door
        self._recorder = recorder
        self._delays = delays
        self._second_factor = second_factor
        self._enrolment = enrolment
        self._showing = showing
        self._entering = entering

    def told(self, text: str, visitor: Visitor) -> Waiting:
        """What a sign-in waits for. Raises Unauthenticated."""
        user = self._whose(text, visitor)
        return Waiting(user.email, tuple(sorted(set(user.factors))))

    def challenge(self, text: str, visitor: Visitor) -> dict[str, Any]:
        """What the browser is to ask an authenticator for. Raises Unauthenticated, Conflict."""
        self._showing.require_passkeys()
        user = self._whose(text, visitor)
        return self._door.look(lambda tx: self._showing.challenge(tx, _for(text), user))

    def enrol_totp(self, text: str, name: str, visitor: Visitor) -> Begun:
        """For who has no factor, and needs one: an authenticator app. Raises Unauthenticated, Forbidden, Invalid."""
        called = rules.named(name)
        return self._begun(text, visitor, lambda tx, user: self._enrolment.begun(tx, user, called))

    def enrol_passkey(self, text: str, visitor: Visitor) -> dict[str, Any]:
        """The same with a passkey. Raises Unauthenticated, Forbidden, Conflict."""
        self._showing.require_passkeys()
        return self._begun(text, visitor, lambda tx, user: self._enrolment.challenged(tx, user, _for(text).of))

    def _begun(self, text: str, visitor: Visitor, begin: Callable[[Transaction, User], T]) -> T:
        user = self._whose(text, visitor)

        def act(tx: Transaction) -> T:
            found = self._second_factor.waiting(tx, text)
            if found is None:  # somebody was quicker
                raise Unauthenticated(_UNKNOWN)
            if found[0].factors:
                raise Forbidden(_HAS)
            return begin(tx, found[0])

        return self._door.change(_caller(user, visitor), Deed("factor.begin", resource=user.id), act)

    def ends(self, text: str, shown: Shown | FirstCode | FirstAnswer, visitor: Visitor) -> Ended:
        """Shown: on to the session. Raises Unauthenticated, also for what is wrong; Often, Invalid, Forbidden."""
        known = self._whose(text, visitor)
        caller = _caller(known, visitor)
        try:
            self._delays.begin(known.email, visitor.address)
            ended = self._door.change(caller, (), lambda tx: self._shown(tx, caller, text, shown, visitor))
        except KeywrightError as refusal:
            self._door.refuse(caller, Deed(OPEN, resource=known.id), refusal)
            raise
        if ended is None:
            raise Unauthenticated(wrong(shown) if isinstance(shown, FirstCode | FirstAnswer) else WRONG)
        return ended

    def _shown(
        self, tx: Transaction, caller: Caller, text: str, shown: Shown | FirstCode | FirstAnswer, visitor: Visitor
    ) -> Ended | None:
        found = self._second_factor.waiting(tx, text)
        if found is None:  # somebody was quicker
            raise Unauthenticated(_UNKNOWN)
        user, way = found
        codes: Sequence[Secret] = ()
        if isinstance(shown, FirstCode | FirstAnswer):
            if user.factors:
                raise Forbidden(_HAS)
            added = self._enrolment.added(tx, user, shown, _for(text).of)
            kind = added.factor.kind.value if added else ""
            if added:
                codes = added.codes
                told = {"kind": kind, "factor": added.factor.id}
                tx.events.append(Event(tx.now, caller, "factor.add", Outcome.ALLOWED, "", user.id, told))
        else:
            kind = self._showing.proven(tx, user, shown, _for(text))
        outcome = Outcome.ALLOWED if kind else Outcome.REFUSED
        told = {"factor": kind} if kind else {"for": OPEN}
        tx.events.append(Event(tx.now, caller, "factor.show", outcome, "", user.id, told))
        if not kind:
            return None
        self._second_factor.over(tx, text)
        entered = self._entering.enter(tx, user, replace(way, factor_at=tx.now), visitor)
        if entered.token is not None:
            self._delays.right(tx, user.email, visitor.address)
        return Ended(entered, codes)

    def _whose(self, text: str, visitor: Visitor) -> User:
        found = self._door.look(lambda tx: self._second_factor.waiting(tx, text))
        if found is None:
            raise refused(self._recorder, visitor, OPEN, _UNKNOWN, "unknown text")
        return found[0]


def _caller(user: User, visitor: Visitor) -> Caller:
    """Who signs in, for the log: it may do nothing yet."""
    return Caller(user.id, user.email, "person", (), visitor.address, visitor.request_id)


def _for(text: str) -> For:
    """What is shown for a sign-in; challenges are bound to it."""
    return For("sign-in", hashlib.sha256(text.encode()).hexdigest())
