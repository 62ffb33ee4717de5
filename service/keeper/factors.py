"""Second factors of users: kept, listed, taken away; and used up when they are shown.

What a code or an authenticator's answer is worth is judged above (`service/people`), within the transaction in which
it is used up here. Who may take others' factors away owns people, and all that they hold: or whoever looks after
accounts could become one that may do more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from service.core.access import PEOPLE, Caller, Level, require
from service.core.errors import Absent, Conflict, Forbidden
from service.core.factor import MOST, Factor, FactorKind, code_hash, make_codes, matching
from service.core.keyring import SYSTEM
from service.core.person import User
from service.core.sealed import factor_context
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_first, require_fresh
from service.keeper.granting import Granting
from service.keeper.keys import Keyrings
from service.keeper.snapshot import Person
from service.keeper.standing import require_over, standing
from service.ledger import factors, settings, users
from service.ledger.ledger import Transaction

Kept = Mapping[str, str]
"""What is sealed of a factor: a TOTP's `secret`, or a passkey's `public_key`."""


@dataclass(frozen=True)
class Held:
    """What somebody has to show."""

    factors: tuple[Factor, ...]
    codes_left: int
    """Recovery codes that were not used yet."""
    required: bool
    """By the settings, or by one of its groups."""


class Factors:
    """Operations on second factors."""

    def __init__(self, door: Door, keyrings: Keyrings, granting: Granting) -> None:
        self._door = door
        self._keyrings = keyrings
        self._granting = granting

    def listed(self, caller: Caller, user_id: str = "") -> Held:
        """The caller's own, or a user's, for who may see people. Raises Absent, Forbidden."""

        def evaluate(tx: Transaction) -> Held:
            return self.held(tx, self._meant(tx, caller, user_id).user)

        return self._door.fetch(caller, Deed("factor.list", resource=user_id or caller.actor), evaluate)

    def remove(self, caller: Caller, factor_id: str) -> None:
        """One less: of the caller's own, or of somebody's whose grants it owns all of, who is then led to a new one.

        Raises Absent, Forbidden, FactorNeeded; Conflict for one's own last one while one is required.
        """

        def act(tx: Transaction) -> None:
            factor = factors.find(tx, factor_id)
            own = factor is not None and caller.user is not None and factor.user_id == caller.user.id
            if factor is None or not (own or caller.level(PEOPLE)):
                raise Absent(f"factor {factor_id[:64]} does not exist")
            whose = self._person(tx, factor.user_id)
            deed.detail.update(user=factor.user_id, kind=factor.kind.value)
            if not own:
                require(caller, Level.OWN, PEOPLE, f"user {factor.user_id}")
                require_over(caller, whose.grants, f"user {whose.user.email}")
                self._granting.require_within(tx, caller, f"user {whose.user.email}", whose.grants)
            require_fresh(tx, caller, "taking a second factor away")
            left = len(factors.of(tx, factor.user_id)) - 1
            if own and not left and self._required(tx, whose):
                raise Conflict("a second factor is required of you, and this is the last one: add another one first")
            factors.remove(tx, factor)
            if not own:
                factors.stale(tx, factor.user_id)
            deed.detail["left"] = left

        deed = Deed("factor.remove", resource=factor_id)
        self._door.change(caller, deed, act)

    def renew_codes(self, caller: Caller) -> tuple[Secret, ...]:
        """New recovery codes, shown only now; the former ones are of no use from now on.

        Raises Forbidden, FactorNeeded, Conflict.
        """

        def act(tx: Transaction) -> tuple[Secret, ...]:
            user = self.own(tx, caller)
            require_fresh(tx, caller, "making recovery codes")
            if not factors.of(tx, user.id):
                raise Conflict("recovery codes stand in for a second factor, and you have none: add one first")
            return self._codes(tx, user.id)

        return self._door.change(caller, Deed("recovery_codes.make", resource=caller.actor), act)

    # -- within a transaction: for enrolment, signing in and stepping up

    def own(self, tx: Transaction, caller: Caller) -> User:
        """The user who asks. Raises Forbidden for machines, and FactorNeeded as adding a factor does."""
        user = users.get(tx, caller.user.id) if caller.user else None
        if user is None:
            raise Forbidden("only people have second factors: sign in")
        return user

    def require_room(self, tx: Transaction, caller: Caller) -> User:
        """The user who asks, if it may have one more. Raises Forbidden, FactorNeeded, Conflict."""
        user = self.own(tx, caller)
        require_first(tx, caller, "adding a second factor")
        self.room(tx, user)
        return user

    def room(self, tx: Transaction, user: User) -> None:
        """Raises Conflict where there is no room for one more."""
        if len(factors.of(tx, user.id)) >= MOST:
            raise Conflict(f"you have {MOST} second factors, and those are the most: take one away first")

    def held(self, tx: Transaction, user: User) -> Held:
        """What it has to show."""
        required = self._required(tx, self._person(tx, user.id))
        return Held(tuple(factors.of(tx, user.id)), factors.codes_left(tx, user.id), required)

    def required(self, tx: Transaction, user: User) -> bool:
        """Does it need one, by the settings or by one of its groups?"""
        return self._required(tx, self._person(tx, user.id))

    def add(
        self, tx: Transaction, user: User, kind: FactorKind, name: str, kept: Kept, used: int, credential_id: str = ""
    ) -> tuple[Factor, tuple[Secret, ...]]:
        """It counts from now on. With the first one come recovery codes, which are shown only now. Raises Conflict."""
        self.room(tx, user)
        if credential_id and factors.credential(tx, credential_id):
            raise Conflict("this passkey is known already")
        first = not factors.of(tx, user.id)
        factor_id = self._door.new_id()
        ring = self._keyrings.sealer(tx, SYSTEM)
        sealed = ring.seal(Secret(json.dumps(dict(kept))), factor_context(SYSTEM, factor_id), self._door.randomness)
        factor = Factor(factor_id, user.id, kind, name, sealed, credential_id or None, used, tx.now, tx.now)
        factors.add(tx, factor)
        return factor, self._codes(tx, user.id) if first else ()

    def opened(self, tx: Transaction, factor: Factor) -> Kept:
        """What is sealed of it. Raises SealBroken."""
        ring = self._keyrings.opener(tx, SYSTEM, factor.sealed)
        kept: dict[str, str] = json.loads(ring.unseal(factor.sealed, factor_context(SYSTEM, factor.id)).reveal())
        return kept

    def use_code(self, tx: Transaction, user: User, code: str) -> bool:
        """A recovery code was shown: True, for the only time, if it is one."""
        found = matching(code_hash(code), factors.codes(tx, user.id))
        return found is not None and factors.use_code(tx, found)

    def _codes(self, tx: Transaction, user_id: str) -> tuple[Secret, ...]:
        made = make_codes(self._door.randomness)
        factors.replace_codes(tx, user_id, [(self._door.new_id(), code_hash(code.reveal())) for code in made])
        return made

    def _meant(self, tx: Transaction, caller: Caller, user_id: str) -> Person:
        own = caller.user is not None and user_id in ("", caller.user.id)
        if not own and not user_id:
            raise Forbidden("only people have second factors: sign in, or say whose")
        if not own:
            require(caller, Level.USE, PEOPLE, f"user {user_id[:64]}")
        return self._person(tx, caller.user.id if own and caller.user else user_id)

    @staticmethod
    def _person(tx: Transaction, user_id: str) -> Person:
        user = users.get(tx, user_id)
        if user is None:
            raise Absent(f"user {user_id[:64]} does not exist")
        return standing(tx, user)

    @staticmethod
    def _required(tx: Transaction, whose: Person) -> bool:
        return settings.read(tx).second_factor_required or any(group.second_factor for group in whose.groups)
