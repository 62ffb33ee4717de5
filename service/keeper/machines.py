"""Machines: what they are called, how they prove themselves, and what they may do.

    *use* on a machine, on a folder of machines, on all   see it, its grants and its proofs
    *edit*                                                add it, narrow it, disable it; widen it, as is said below
    *own*                                                 remove it; its proofs, secret ids and tokens

Whoever may add a proof to a machine may become it: so nobody does who does not own all that it holds. Nor does anybody
else make its tokens good again, from elsewhere, or for longer: a leaked one may be of no use just because of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from service.core import names
from service.core.access import Caller, Kind, Level, Thing, networks, require
from service.core.errors import Absent, Conflict
from service.core.event import Detail
from service.core.machine import MOST_PROOFS, HeldProof, Lives, Machine
from service.core.proof import AppRole, Certificate, Jwt, Kubernetes, Proof
from service.core.token import NO_SECRET, Token, fingerprints
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.granting import Granting, ShownGrant, WantedGrant, require_directory, require_few_rules
from service.keeper.standing import require_over
from service.keeper.tokens import only_one
from service.ledger import grants, machines, tokens
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class ShownMachine:
    """A machine, its grants with environments by name."""

    machine: Machine
    grants: tuple[ShownGrant, ...]


class Machines:
    """Operations on machines and their proofs."""

    def __init__(self, door: Door, granting: Granting) -> None:
        self._door = door
        self._granting = granting

    def listed(self, caller: Caller, after: str, limit: int) -> list[ShownMachine]:
        """Those that the caller may see, by name. Raises Absent for who has no business with machines."""

        def evaluate(tx: Transaction) -> list[ShownMachine]:
            if not any(grant.kind in (Kind.EVERYTHING, Kind.MACHINE) for grant in caller.grants):
                raise Absent("the list of machines does not exist")
            seen: list[Machine] = []
            position = after
            while len(seen) < limit:
                page = machines.every(tx, position, limit)
                seen += [machine for machine in page if caller.level(of_machine(machine.name))]
                if len(page) < limit:
                    break
                position = page[-1].name
            return [self._shown(tx, machine) for machine in seen[:limit]]

        return self._door.fetch(caller, Deed("machine.list"), evaluate)

    def get(self, caller: Caller, name: str) -> ShownMachine:
        """One machine. Raises Absent, Forbidden."""
        names.path(name)
        return self._door.fetch(
            caller,
            Deed("machine.get", resource=name),
            lambda tx: self._shown(tx, self.found(tx, caller, name, Level.USE)),
        )

    def add(
        self,
        caller: Caller,
        name: str,
        wanted: Sequence[WantedGrant] = (),
        proofs: Sequence[Proof] = (),
        allowlist: tuple[str, ...] = (),
        lives: Lives | None = None,
    ) -> ShownMachine:
        """A new machine. Nobody can grant more than they own. Raises Invalid, Forbidden, Absent, Conflict."""
        names.path(name)
        allowed = networks(allowlist)

        def act(tx: Transaction) -> ShownMachine:
            require(caller, Level.OWN if proofs else Level.EDIT, of_machine(name), f"machine {name}")
            granted = [self._granting.granted(tx, caller, each) for each in wanted]
            require_directory(caller, granted)
            require_few_rules(granted)
            require_fresh(tx, caller, "making a machine")
            if machines.find(tx, name):
                raise Conflict(f"a machine named {name} exists already")
            machine = Machine(self._door.new_id(), name, True, allowed, lives or Lives(), 1, tx.now, caller.name)
            machines.add(tx, machine)
            for grant in granted:
                grants.add(tx, self._door.new_id(), Holder(machine.id, name, Holding.MACHINE), grant)
            for proof in proofs:
                self._prove(tx, caller, machine, proof)
            return self._found(tx, name)

        detail: dict[str, Detail] = {"grants": len(wanted), "proofs": " ".join(proof.kind for proof in proofs)}
        return self._door.change(caller, Deed("machine.add", resource=name, detail=detail), act)

    def change(
        self,
        caller: Caller,
        name: str,
        *,
        enabled: bool | None = None,
        allowlist: tuple[str, ...] | None = None,
        token_ttl: timedelta | None = None,
        token_max_life: timedelta | None = None,
        if_match: int | None = None,
    ) -> ShownMachine:
        """Change what is given. Disabled, it and its tokens are of no use from now on, until it is enabled again.

        Raises Invalid, Absent, Forbidden, FactorNeeded, Outdated.
        """
        names.path(name)
        allowed = None if allowlist is None else networks(allowlist)

        def act(tx: Transaction) -> ShownMachine:
            machine = self.found(tx, caller, name, Level.EDIT)
            changed = replace(
                machine,
                enabled=machine.enabled if enabled is None else enabled,
                allowlist=machine.allowlist if allowed is None else allowed,
                lives=Lives(token_ttl or machine.lives.ttl, token_max_life or machine.lives.most),
                revision=machine.revision + 1,
            )
            if changed.wider(machine):
                _require_all(caller, machine)
                require_fresh(tx, caller, "letting a machine do more")
            check_revision(if_match, machine.revision)
            machines.change(tx, changed)
            return self._found(tx, name)

        detail: dict[str, Detail] = {} if enabled is None else {"enabled": enabled}
        return self._door.change(caller, Deed("machine.change", resource=name, detail=detail), act)

    def remove(self, caller: Caller, name: str) -> None:
        """It, its proofs, its grants and its tokens are gone. Raises Absent, Forbidden."""
        names.path(name)

        def act(tx: Transaction) -> None:
            machines.remove(tx, self.found(tx, caller, name).id)

        self._door.change(caller, Deed("machine.remove", resource=name), act)

    def add_proof(self, caller: Caller, name: str, proof: Proof) -> HeldProof:
        """One more way to prove itself. Raises Invalid, Absent, Forbidden, Conflict."""
        names.path(name, "machine")

        def act(tx: Transaction) -> HeldProof:
            machine = self.found(tx, caller, name, becomes=True)
            require_fresh(tx, caller, "adding a proof to a machine")
            if len(machine.proofs) >= MOST_PROOFS:
                raise Conflict(f"machine {name} has {MOST_PROOFS} proofs, and those are the most")
            return self._prove(tx, caller, machine, proof)

        return self._door.change(caller, Deed("machine.prove", resource=name, detail={"proof": proof.kind}), act)

    def remove_proof(self, caller: Caller, proof_id: str) -> None:
        """One way less. Tokens that it was given by it stay until they expire. Raises Absent, Forbidden."""

        def act(tx: Transaction) -> None:
            whose = machines.named(tx, proof_id=proof_id)
            require(caller, Level.OWN, of_machine(whose), f"proof {proof_id[:64]}")
            machine = machines.owner(tx, proof_id)
            if machine is None:
                raise Absent(f"proof {proof_id[:64]} does not exist")
            self._granting.require_within(tx, caller, f"machine {machine.name}", machine.grants)
            deed.detail["machine"] = machine.name
            machines.remove_proof(tx, proof_id)
            tokens.remove(tx, proof_id)  # that of a certificate, which goes by the same id

        deed = Deed("machine.unprove", resource=proof_id)
        self._door.change(caller, deed, act)

    # -- for what else is a machine's

    def found(
        self, tx: Transaction, caller: Caller, name: str, level: Level = Level.OWN, *, becomes: bool = False
    ) -> Machine:
        """The machine, if the caller has this level on it; `becomes`: and could be let in as it.

        Raises Absent, Forbidden.
        """
        require(caller, level, of_machine(name), f"machine {name}")
        machine = machines.find(tx, name)
        if machine is None:
            raise Absent(f"machine {name} does not exist")
        if level > Level.USE:
            self._granting.require_within(tx, caller, f"machine {name}", machine.grants)
        if becomes:
            _require_all(caller, machine)
        return machine

    def _prove(self, tx: Transaction, caller: Caller, machine: Machine, proof: Proof) -> HeldProof:
        if isinstance(proof, (Jwt, Kubernetes)) and proof.signer:
            proof.signer.check()
        if isinstance(proof, AppRole) and machines.role(tx, proof.role_id):
            raise Conflict("another machine has this role id")
        if isinstance(proof, AppRole) and not proof.role_id:
            proof = AppRole(self._door.new_id())
        if isinstance(proof, Certificate):
            proof = Certificate(fingerprints(proof.certificates))
            only_one(tx, proof.certificates)
        held = HeldProof(self._door.new_id(), proof, tx.now, caller.name)
        machines.add_proof(tx, machine.id, held)
        if isinstance(proof, Certificate):
            bound = proof.certificates
            standing = Token(held.id, "", NO_SECRET, (), (), tx.now, caller.name, None, bound, machine.id)
            tokens.add(tx, standing, {"proof": proof.kind})
        return held

    def _found(self, tx: Transaction, name: str) -> ShownMachine:
        machine = machines.find(tx, name)
        assert machine is not None  # it was written just now  # noqa: S101
        return self._shown(tx, machine)

    def _shown(self, tx: Transaction, machine: Machine) -> ShownMachine:
        return ShownMachine(machine, tuple(self._granting.shown(tx, Holder(machine.id, machine.name, Holding.MACHINE))))


def _require_all(caller: Caller, machine: Machine) -> None:
    """Raises Forbidden for who does not own all that it holds."""
    require_over(caller, machine.grants, f"machine {machine.name}")
    require_directory(caller, machine.grants)


def of_machine(name: str) -> Thing:
    """A machine, or with an empty name all of them."""
    return Thing(Kind.MACHINE, "", name)
