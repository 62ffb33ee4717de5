"""Many variables, put straight through the ledger's and the keeper's code, a thousand in one transaction."""

from pathlib import Path
from typing import Any

from bench.fields import FIELDS
from service.core.sealed import version_context
from service.core.variable import ValueKind, Variable, Version, VersionState
from service.keeper.door import Deed
from service.keeper.granting import WantedGrant
from service.keeper.tokens import SYSTEM
from service.keeper.variables import NewValue
from service.ledger import environments, variables
from service.ledger.ledger import Transaction
from service.settings import read
from service.wiring import Service, build

ENVIRONMENTS = 50
_AT_ONCE = 1_000


def name_of(number: int) -> tuple[str, str]:
    """Environment and name of one of them."""
    return f"wall-{number % ENVIRONMENTS:02}", f"shop-{number % 97}/db-{number:06}"


def made(data: Path, count: int) -> dict[str, Any]:
    """A new ledger with that many variables of five fields, spread over the environments; its tokens."""
    service = build(read({}, data=data))
    try:
        owner = service.keeper.tokens.first()
        for number in range(ENVIRONMENTS):
            service.keeper.environments.add(SYSTEM, f"wall-{number:02}", {}, ())
        for first in range(0, count, _AT_ONCE):
            _put(service, range(first, min(count, first + _AT_ONCE)))
        grants = tuple(WantedGrant("use", "environment", f"wall-{number:02}", "") for number in range(ENVIRONMENTS))
        token = service.keeper.tokens.add(SYSTEM, "load", grants, None, ())[2]
    finally:
        service.close()
    assert owner is not None
    return {"variables": count, "owner": owner.reveal(), "token": token.reveal()}


def _put(service: Service, numbers: range) -> None:
    keeper = service.keeper
    text = NewValue(ValueKind.LITERAL, dict(FIELDS)).sealable()
    deeds = [Deed("variable.put", *name_of(number), {"version": 1}) for number in numbers]

    def act(tx: Transaction) -> None:
        walls = {wall.name: wall.id for wall in environments.every(tx)}
        rings = {wall_id: keeper.keyrings.sealer(tx, wall_id) for wall_id in walls.values()}
        for number in numbers:
            wall, name = name_of(number)
            wall_id, id_ = walls[wall], keeper.door.new_id()
            ring = rings[wall_id]
            sealed = ring.seal(text, version_context(wall_id, id_, 1), keeper.door.randomness)
            variables.add(tx, Variable(id_, wall_id, name, True, 1, 1, 1, tx.now))
            state = VersionState.LIVE
            variables.add_version(tx, Version(id_, 1, ValueKind.LITERAL, state, sealed, tx.now, SYSTEM.name))

    keeper.door.change(SYSTEM, deeds, act)
