"""Environments: made, changed, deleted with everything in them."""

from dataclasses import replace

from service.core import names
from service.core.access import EVERYTHING, Caller, Level, admitted, networks, require
from service.core.approval import Terms
from service.core.environment import Environment, checked_stale, checked_stores
from service.core.errors import Absent, Conflict, Invalid, Outdated
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls, of_environment
from service.ledger import environments, rotations
from service.ledger.ledger import Transaction


class Environments:
    """Operations on environments."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings

    def listed(self, caller: Caller, after: str, limit: int) -> list[Environment]:
        """Those that the caller has any grant in, by name."""

        def evaluate(tx: Transaction) -> list[Environment]:
            everyone = environments.every(tx, after)
            return [e for e in everyone if caller.sees(e.id) and self._walls.serves(e.name)][:limit]

        return self._door.fetch(caller, Deed("environment.list"), evaluate)

    def get(self, caller: Caller, name: str) -> Environment:
        """One. Raises Absent."""
        deed = Deed("environment.get", name, name)
        return self._door.fetch(caller, deed, lambda tx: self._walls.enter(tx, caller, name))

    def enter(self, caller: Caller, name: str) -> None:
        """Has the caller any business there? No more is told, so that only a refusal is recorded. Raises as `get`."""
        self._door.poll(caller, Deed("environment.get", name, name), lambda tx: self._walls.enter(tx, caller, name))

    def add(
        self,
        caller: Caller,
        name: str,
        stores: dict[str, list[str]],
        allowlist: tuple[str, ...],
        stale_if_error: int = 0,
        approvals: Terms | None = None,
    ) -> Environment:
        """A new one, with a data key of its own. Raises Invalid, Forbidden, Conflict."""
        names.segment(name)
        checked_stores(stores)
        checked_stale(stale_if_error)
        allowed = networks(allowlist)

        def act(tx: Transaction) -> Environment:
            require(caller, Level.OWN, EVERYTHING, f"environment {name}")
            if not self._walls.serves(name):
                raise Absent(f"environment {name} does not exist")
            if environments.find(tx, name):
                raise Conflict(f"environment {name} exists already")
            _not_shut_out(caller, allowed)
            terms = approvals or Terms()
            new = Environment(self._door.new_id(), name, stores, allowed, 1, tx.now, tx.now, stale_if_error, terms)
            environments.add(tx, new)
            self._keyrings.add(tx, new.id)
            return new

        return self._door.change(caller, Deed("environment.add", name, name), act)

    def change(
        self,
        caller: Caller,
        name: str,
        *,
        stores: dict[str, list[str]] | None,
        allowlist: tuple[str, ...] | None,
        if_match: int | None,
        stale_if_error: int | None = None,
        approvals: Terms | None = None,
    ) -> Environment:
        """Change its rules; what is None stays. Raises Invalid, Absent, Forbidden, Outdated."""
        checked_stores(stores or {})
        checked_stale(stale_if_error or 0)
        allowed = networks(allowlist) if allowlist is not None else None

        def act(tx: Transaction) -> Environment:
            former = self._walls.enter(tx, caller, name)
            require(caller, Level.OWN, of_environment(former), f"environment {name}")
            check_revision(if_match, former.revision)
            _not_shut_out(caller, allowed or ())
            new = replace(
                former,
                stores=former.stores if stores is None else stores,
                allowlist=former.allowlist if allowed is None else allowed,
                stale_if_error=former.stale_if_error if stale_if_error is None else stale_if_error,
                approvals=former.approvals if approvals is None else approvals,
                revision=former.revision + 1,
                updated_at=tx.now,
            )
            environments.replace(tx, new)
            return new

        return self._door.change(caller, Deed("environment.change", name, name), act)

    def delete(self, caller: Caller, name: str, *, if_match: int | None) -> None:
        """Delete it with all it holds; its data keys are shredded. Raises Absent, Forbidden, Outdated."""

        def act(tx: Transaction) -> str:
            former = self._walls.enter(tx, caller, name)
            require(caller, Level.OWN, of_environment(former), f"environment {name}")
            check_revision(if_match, former.revision)
            if rotations.any_open(tx, former.id):
                raise Conflict(f"environment {name} has rotations under way; let them end, or abandon them, first")
            environments.shred(tx, former.id)
            return former.id

        self._keyrings.forget(self._door.change(caller, Deed("environment.delete", name, name), act))


def _not_shut_out(caller: Caller, allowlist: tuple[str, ...]) -> None:
    """Raises Invalid for an allowlist that would keep out whoever sets it: nobody could mend it from there."""
    if caller.kind != "system" and not admitted(caller.address, allowlist):
        raise Invalid(f"allowlist does not hold the address that you come from, {caller.address}", field="allowlist")


ANY = -1
"""The revision that stands for every one that exists (`If-Match: *`)."""


def check_revision(if_match: int | None, revision: int) -> None:
    """Raises Outdated if the caller meant another revision than the present one; 0 is that of what is not there."""
    if if_match == ANY:
        if revision == 0:
            raise Outdated("it does not exist")
        return
    if if_match is not None and if_match != revision:
        raise Outdated(f"it was changed meanwhile: the revision is {revision} now")
