"""Draining, as it is shown: who is still on the former credential of a rotation, and how long it is waited for."""

from dataclasses import dataclass
from datetime import datetime

from service.core.access import Caller, Kind, Level, Thing
from service.core.database import Session
from service.core.drain import Seen, limit_at
from service.core.rotation import Rotation, Stage
from service.keeper import definitions
from service.keeper.holders import Holder, holders
from service.ledger import rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Draining:
    """A rotation that drains. Who is on it is told only to callers who may edit the connection; else None.

    `sessions` and `unknown` are a worker's last look, of `seen_at`; `callers` are of now, but for the last
    `lag` events, which are not counted in yet. `more`: there are more callers than are told.
    """

    since: datetime
    not_before: datetime | None
    limit_at: datetime
    sessions: tuple[Session, ...] | None
    callers: tuple[Holder, ...] | None
    more: bool
    lag: int
    seen_at: datetime | None
    unknown: tuple[str, ...]


def draining(tx: Transaction, caller: Caller, rotation: Rotation, stored: StoredConnection) -> Draining | None:
    """What is to be told of it; None for one that does not drain."""
    policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
    if rotation.reached is not Stage.DRAINING or rotation.ended_at or policy is None:
        return None
    since = rotations.began(tx, rotation.id).get(Stage.DRAINING, rotation.updated_at)
    seen, held = Seen.of(rotation.seen), holders(tx, rotation)
    level = caller.level(Thing(Kind.CONNECTION, rotation.environment_id, rotation.connection))
    told = level is not None and level >= Level.EDIT
    return Draining(
        since,
        rotation.not_before,
        limit_at(policy, since, rotation.not_before),
        seen.sessions if told else None,
        held.callers if told else None,
        held.more,
        held.lag,
        seen.at,
        seen.unknown if told else (),
    )
