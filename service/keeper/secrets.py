"""Secret ids: the secret half of an approle, handed out one by one, each of use once unless more is asked for."""

from dataclasses import dataclass
from datetime import timedelta

from service.core import names
from service.core.access import Caller, Level, networks, require
from service.core.errors import Absent, Conflict, Invalid
from service.core.event import Detail
from service.core.machine import MOST_SECRET_IDS, MOST_USES, Machine, SecretId, make_secret_id
from service.core.proof import AppRole
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.machines import Machines, of_machine
from service.ledger import machines
from service.ledger.ledger import Transaction

LIFE = timedelta(hours=24)
"""Of a secret id of which nothing else is said."""
LONGEST = timedelta(days=3650)


@dataclass(frozen=True)
class WantedSecret:
    """What a secret id is to be. `uses` None: any number; `expires_in` None: it does not expire."""

    uses: int | None = 1
    expires_in: timedelta | None = LIFE
    allowlist: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.uses is not None and not 1 <= self.uses <= MOST_USES:
            raise Invalid(f"uses must be from 1 to {MOST_USES:,}", field="uses")
        if self.expires_in is not None and not timedelta() < self.expires_in <= LONGEST:
            raise Invalid("expires_in must be from one second to ten years", field="expires_in")


class Secrets:
    """Operations on the secret ids of machines."""

    def __init__(self, door: Door, owners: Machines) -> None:
        self._door = door
        self._owners = owners

    def add(
        self, caller: Caller, machine: str, wanted: WantedSecret, role_id: str = ""
    ) -> tuple[SecretId, str, Secret]:
        """A new one with its role id, and its text, which is shown only now.

        `role_id` tells which approle is meant, where a machine has several.
        Raises Invalid, Absent, Forbidden, Conflict.
        """
        names.path(machine, "machine")
        allowed = networks(wanted.allowlist)
        secret_id, text, hashed = make_secret_id(self._door.randomness)

        def act(tx: Transaction) -> tuple[SecretId, str]:
            found = self._owners.found(tx, caller, machine, becomes=True)
            require_fresh(tx, caller, "making a secret id")
            proof_id, role = _approle(found, role_id)
            if machines.count_secret_ids(tx, proof_id) >= MOST_SECRET_IDS:
                raise Conflict(f"machine {machine} has {MOST_SECRET_IDS:,} secret ids in force, and those are the most")
            machines.sweep(tx, 100)
            expires_at = tx.now + wanted.expires_in if wanted.expires_in else None
            made = SecretId(secret_id, proof_id, hashed, wanted.uses, allowed, tx.now, caller.name, expires_at)
            machines.add_secret_id(tx, made)
            return made, role

        detail: dict[str, Detail] = {"secret_id": secret_id, "uses": wanted.uses}
        made, role = self._door.change(caller, Deed("secret_id.add", resource=machine, detail=detail), act)
        return made, role, text

    def listed(self, caller: Caller, machine: str, after: str, limit: int) -> list[SecretId]:
        """A machine's that are not over, by id; never their texts. Raises Absent, Forbidden."""
        names.path(machine, "machine")

        def evaluate(tx: Transaction) -> list[SecretId]:
            found = self._owners.found(tx, caller, machine)
            return machines.secret_ids_of(tx, [held.id for held in found.proofs], after, limit)

        return self._door.fetch(caller, Deed("secret_id.list", resource=machine), evaluate)

    def revoke(self, caller: Caller, secret_id: str) -> None:
        """It is of no use from now on. Tokens that it brought stay until they expire. Raises Absent, Forbidden."""

        def act(tx: Transaction) -> None:
            whose = machines.named(tx, secret_id=secret_id)
            require(caller, Level.OWN, of_machine(whose), f"secret id {secret_id[:64]}")
            found = machines.presented(tx, secret_id)
            if found is None:
                raise Absent(f"secret id {secret_id[:64]} does not exist")
            deed.detail["machine"] = found[2].name
            self._owners.found(tx, caller, found[2].name)
            machines.remove_secret_id(tx, secret_id)

        deed = Deed("secret_id.revoke", resource=secret_id)
        self._door.change(caller, deed, act)


def _approle(machine: Machine, role_id: str) -> tuple[str, str]:
    """The proof that is meant, and its role id. Raises Conflict, Invalid."""
    found = [(held.id, held.proof.role_id) for held in machine.proofs if isinstance(held.proof, AppRole)]
    meant = [each for each in found if not role_id or each[1] == role_id]
    if not found:
        raise Conflict(f"machine {machine.name} has no approle: add a proof of that kind first")
    if len(meant) != 1:
        raise Invalid("role_id must be one of the machine's", field="role_id")
    return meant[0]
