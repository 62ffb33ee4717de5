"""Tokens of machines that somebody asked for by hand: for what cannot prove itself in any other way.

They end, cannot be renewed, and are replaced one by another: the former one lasts for the overlap that is given.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from service.core import names
from service.core.access import Caller
from service.core.errors import Absent, Conflict, Invalid
from service.core.event import Detail
from service.core.machine import MOST_TOKENS, Metadata
from service.core.secret import Secret
from service.core.token import Token, make
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.machines import Machines
from service.ledger import tokens
from service.ledger.ledger import Transaction

LONGEST = timedelta(days=3650)
KIND = "token"


@dataclass(frozen=True)
class WantedToken:
    """How long a token is to last, and the one that it takes the place of, which lasts for `overlap` still."""

    expires_in: timedelta
    replaces: str = ""
    overlap: timedelta = timedelta()

    def __post_init__(self) -> None:
        if not timedelta() < self.expires_in <= LONGEST:
            raise Invalid("expires_in must be from one second to ten years", field="expires_in")
        if self.overlap and not self.replaces:
            raise Invalid("overlap goes with replaces", field="overlap")


class MachineTokens:
    """Operations on tokens of machines."""

    def __init__(self, door: Door, owners: Machines) -> None:
        self._door = door
        self._owners = owners

    def add(self, caller: Caller, machine: str, wanted: WantedToken) -> tuple[Token, Secret]:
        """A new one with its text, which is shown only now. Raises Invalid, Absent, Forbidden, Conflict."""
        names.path(machine, "machine")
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> Token:
            found = self._owners.found(tx, caller, machine, becomes=True)
            require_fresh(tx, caller, "making a token")
            if tokens.of_machine(tx, found.id) >= MOST_TOKENS:
                raise Conflict(f"machine {machine} has {MOST_TOKENS:,} tokens in force, and those are the most")
            if wanted.replaces:
                self._end(tx, found.id, wanted)
            until = tx.now + wanted.expires_in
            token = Token(token_id, machine, hashed, (), (), tx.now, caller.name, until, (), found.id)
            tokens.add(tx, token, {"proof": KIND})
            return token

        detail: dict[str, Detail] = {"token": token_id, "replaces": wanted.replaces or None}
        return self._door.change(caller, Deed("machine_token.add", resource=machine, detail=detail), act), text

    @staticmethod
    def _end(tx: Transaction, machine_id: str, wanted: WantedToken) -> None:
        former = tokens.find(tx, wanted.replaces)
        if former is None or former.machine_id != machine_id or former.expires_at is None:
            raise Absent(f"token {wanted.replaces[:64]} of this machine does not exist")
        tokens.prolong(tx, replace(former, expires_at=min(former.expires_at, tx.now + wanted.overlap)))

    def listed(self, caller: Caller, machine: str, after: str, limit: int) -> list[tuple[Token, Metadata]]:
        """A machine's that are in force, whoever gave them out, by id; never their texts. Raises Absent, Forbidden."""
        names.path(machine, "machine")

        def evaluate(tx: Transaction) -> list[tuple[Token, Metadata]]:
            return tokens.of(tx, self._owners.found(tx, caller, machine).id, after, limit)

        return self._door.fetch(caller, Deed("machine_token.list", resource=machine), evaluate)
