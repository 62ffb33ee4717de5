"""Adding a second factor: begun, and held only once it was seen to work.

    totp      begin ─► id, secret, otpauth URI: told only now     finish ─► a first code of it
    passkey   begin ─► a challenge for the browser                finish ─► what the authenticator made of it

A secret that waits for its first code is a pending, one for each user: beginning again forgets the former one. The
code that confirms it is used up by that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from service.core import factor as rules
from service.core.access import Caller
from service.core.errors import Conflict, Forbidden
from service.core.event import Outcome
from service.core.factor import BEGUN, Factor, FactorKind
from service.core.person import User
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.factors import Factors
from service.keeper.pendings import Pendings
from service.ledger import factors as kept
from service.ledger.ledger import Transaction
from service.people import totp
from service.people.challenges import Challenges
from service.people.passkeys import Answer, NotShown, Passkeys, challenge_in
from service.people.step_up import Fresh, Freshening

KIND = "totp"
PURPOSE = "enrolment"


@dataclass(frozen=True)
class Begun:
    """A TOTP that waits for its first code. What is secret in it is told only now."""

    id: str
    secret: Secret = field(repr=False)
    uri: Secret = field(repr=False)


@dataclass(frozen=True)
class FirstCode:
    """What confirms a TOTP."""

    id: str
    code: str


@dataclass(frozen=True)
class FirstAnswer:
    """What an authenticator made."""

    name: str
    answer: Answer


@dataclass(frozen=True)
class Added:
    """A factor that counts from now on; with the first one, recovery codes, which are told only now."""

    factor: Factor
    codes: Sequence[Secret] = field(repr=False)
    fresh: Fresh | None = None
    """The session in which it was added, and shown by that."""


class Enrolment:
    """Adds second factors: for who is signed in, and for who needs one to sign in."""

    def __init__(
        self,
        door: Door,
        factors: Factors,
        pendings: Pendings,
        challenges: Challenges,
        passkeys: Passkeys,
        freshening: Freshening,
    ) -> None:
        self._door = door
        self._factors = factors
        self._pendings = pendings
        self._challenges = challenges
        self._passkeys = passkeys
        self._freshening = freshening

    # -- for who is signed in

    def begin_totp(self, caller: Caller, name: str) -> Begun:
        """Raises Invalid, Forbidden, FactorNeeded, Conflict."""
        called = rules.named(name)

        def act(tx: Transaction) -> Begun:
            return self.begun(tx, self._factors.require_room(tx, caller), called)

        return self._door.change(caller, Deed("factor.begin", resource=caller.actor, detail={"kind": "totp"}), act)

    def begin_passkey(self, caller: Caller) -> dict[str, Any]:
        """What the browser is to be asked for. Raises Forbidden, FactorNeeded, Conflict."""
        self._passkeys.require()

        def evaluate(tx: Transaction) -> dict[str, Any]:
            user = self._factors.require_room(tx, caller)
            return self.challenged(tx, user, caller.id)

        deed = Deed("factor.begin", resource=caller.actor, detail={"kind": "passkey"})
        return self._door.fetch(caller, deed, evaluate)

    def finish(self, caller: Caller, shown: FirstCode | FirstAnswer, *, anew: bool) -> Added:
        """It counts, and was shown in this session just now: see `step_up.py`.

        Raises Invalid, Forbidden, FactorNeeded, Conflict.
        """
        deed = Deed("factor.add", resource=caller.actor)

        def act(tx: Transaction) -> Added | None:
            user = self._factors.require_room(tx, caller)
            added = self.added(tx, user, shown, caller.id)
            if added is None:
                deed.outcome = Outcome.REFUSED
                return None
            deed.detail.update(kind=added.factor.kind.value, factor=added.factor.id)
            if caller.user is None or not caller.user.session:
                return added
            return replace(added, fresh=self._freshening.freshened(tx, caller, anew=anew))

        added = self._door.change(caller, deed, act)
        if added is None:
            raise Forbidden(wrong(shown))
        return added

    # -- within a transaction

    def begun(self, tx: Transaction, user: User, name: str) -> Begun:
        """A TOTP waits for its first code."""
        self._pendings.take(tx, KIND, user.id)
        factor_id, secret = self._door.new_id(), totp.make(self._door.randomness)
        data = {"id": factor_id, "name": name, "secret": secret.reveal()}
        self._pendings.put(tx, KIND, data, BEGUN, user_id=user.id, text=user.id)
        return Begun(factor_id, secret, totp.uri(secret, user.email, self._passkeys.host))

    def challenged(self, tx: Transaction, user: User, of: str) -> dict[str, Any]:
        """A challenge for an authenticator that has none of this user's passkeys yet. Raises Conflict."""
        return self._passkeys.creation(user, self._challenges.make(tx.now, PURPOSE, of), kept.of(tx, user.id))

    def added(self, tx: Transaction, user: User, shown: FirstCode | FirstAnswer, of: str) -> Added | None:
        """A factor that was seen to work. None: it was not. Raises Invalid, Conflict."""
        if isinstance(shown, FirstCode):
            return self._confirmed(tx, user, shown)
        name, challenge = rules.named(shown.name), challenge_in(shown.answer)
        if not self._challenges.take(tx, challenge, PURPOSE, of):
            return None
        try:
            made = self._passkeys.made(shown.answer, challenge)
        except NotShown:
            return None
        what = {"public_key": made.public_key}
        return Added(*self._factors.add(tx, user, FactorKind.PASSKEY, name, what, made.count, made.credential_id))

    def _confirmed(self, tx: Transaction, user: User, shown: FirstCode) -> Added | None:
        waits = self._pendings.peek(tx, KIND, user.id)
        if waits is None or waits["id"] != shown.id:
            raise Conflict("this waited ten minutes for its first code, or was begun anew: begin again")
        secret = Secret(str(waits["secret"]))
        step = totp.step_of(secret, shown.code, tx.now)
        if step is None:
            return None
        self._pendings.take(tx, KIND, user.id)
        what = {"secret": secret.reveal()}
        return Added(*self._factors.add(tx, user, FactorKind.TOTP, str(waits["name"]), what, step))


def wrong(shown: FirstCode | FirstAnswer) -> str:
    """What is said of what does not confirm a factor."""
    if isinstance(shown, FirstCode):
        return "this is not the code of now: look whether the clocks of both devices are right, and take the next one"
    return "the authenticator's answer is not right here, or came twice or too late: begin again"
