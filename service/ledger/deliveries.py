"""Deliveries: made of signals, claimed by lease, ended.

make     in one transaction with the place that it has come to in the signals: none is lost, none is made twice
claim    by one conditional statement, so that of many processes one sends it; whoever dies with it, its lease ends
settle   only by whoever holds it
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from service.core.signal import Signal
from service.core.webhook import LIVES, Answer, Delivery, Outcome, State
from service.ledger.ledger import Transaction
from service.ledger.outgoing import deliveries, outbox, webhooks
from service.ledger.tables import environments

MOST_WAITING = 10_000
"""Deliveries that may wait for one target; further ones are dead at once, and can be replayed."""
_ROWS = 500


@dataclass(frozen=True)
class Due:
    """A webhook that something is due for; its environment's id, empty where it listens to all; its target's host."""

    webhook_id: str
    environment: str
    host: str


@dataclass(frozen=True)
class Held:
    """A delivery that this process holds."""

    id: str
    webhook_id: str
    holder: str
    attempts: int
    dead_at: datetime
    body: str


@dataclass(frozen=True)
class Queue:
    """How things stand: counts, and the age of the oldest that waits."""

    waiting: int
    dead: int
    oldest: datetime | None


def place(tx: Transaction) -> int:
    """The last signal that deliveries were made of. Nobody else makes any until this transaction ends."""
    return int(tx.sql.execute(select(outbox.c.seq).with_for_update()).scalar_one())


def reached(tx: Transaction) -> int:
    """The last signal that deliveries were made of, as it is now."""
    return int(tx.sql.execute(select(outbox.c.seq)).scalar_one())


def reach(tx: Transaction, seq: int) -> None:
    """They were made of everything up to here."""
    tx.sql.execute(update(outbox).values(seq=seq))


def make(tx: Transaction, made: Sequence[tuple[str, str, Signal]]) -> None:
    """New ones: an id, the webhook and the signal of each."""
    rows = []
    room = {webhook_id: MOST_WAITING - waiting(tx, webhook_id) for webhook_id in {each[1] for each in made}}
    for delivery_id, webhook_id, signal in made:
        room[webhook_id] -= 1
        row = _row(tx, delivery_id, webhook_id, signal.kind, signal.text(), signal.seq)
        if room[webhook_id] < 0:
            row |= {"state": State.DEAD.value, "outcome": Outcome.OVERFULL.value, "ended_at": tx.now}
        rows.append(row)
    for begin in range(0, len(rows), _ROWS):
        tx.sql.execute(insert(deliveries), rows[begin : begin + _ROWS])


def add(tx: Transaction, delivery_id: str, webhook_id: str, kind: str, body: str) -> Delivery:
    """One that is made of no signal."""
    tx.sql.execute(insert(deliveries).values(_row(tx, delivery_id, webhook_id, kind, body, None)))
    return _delivery(tx.sql.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one())


def waiting(tx: Transaction, webhook_id: str) -> int:
    """How many wait for it."""
    query = select(func.count()).where(deliveries.c.webhook_id == webhook_id, deliveries.c.state == State.WAITING.value)
    return int(tx.sql.execute(query).scalar_one())


def again(tx: Transaction, webhook_id: str, *, ids: Collection[str] = (), seqs: Collection[int] = ()) -> set[int]:
    """Those of them that ended wait anew. The signals, of those that are named, that there are deliveries of."""
    named = deliveries.c.id.in_(ids) if ids else deliveries.c.seq.in_(seqs)
    mine = and_(deliveries.c.webhook_id == webhook_id, named)
    anew = {"state": State.WAITING.value, "attempts": 0, "next_at": tx.now, "dead_at": tx.now + LIVES}
    ended = update(deliveries).where(mine, deliveries.c.state != State.WAITING.value)
    tx.sql.execute(ended.values(anew | {"ended_at": None, "holder": None, "lease_until": None}))
    return {seq for seq in tx.sql.execute(select(deliveries.c.seq).where(mine)).scalars() if seq is not None}


def any_wait(tx: Transaction) -> bool:
    """Does any, for whichever webhook?"""
    query = select(deliveries.c.id).where(deliveries.c.state == State.WAITING.value).limit(1)
    return tx.sql.execute(query).first() is not None


def find(tx: Transaction, webhook_id: str, delivery_id: str) -> Delivery | None:
    """By id."""
    mine = (deliveries.c.webhook_id == webhook_id, deliveries.c.id == delivery_id)
    row = tx.sql.execute(select(deliveries).where(*mine)).one_or_none()
    return _delivery(row) if row else None


def listed(tx: Transaction, webhook_id: str, state: str, after: str, limit: int) -> list[Delivery]:
    """The youngest first, behind the one with the id `after`."""
    query = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if state:
        query = query.where(deliveries.c.state == state)
    marker = tx.sql.execute(select(deliveries.c.created_at).where(deliveries.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = (deliveries.c.created_at == marker) & (deliveries.c.id < after)
        query = query.where(or_(deliveries.c.created_at < marker, same))
    query = query.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit)
    return [_delivery(row) for row in tx.sql.execute(query)]


def due(tx: Transaction, within: frozenset[str] | None) -> list[Due]:
    """Webhooks that something is due for, the longest due first; in the environments named, if any are."""
    query = select(webhooks.c.id, webhooks.c.environment_id, webhooks.c.url).where(_due(tx.now), webhooks.c.enabled)
    query = query.join(deliveries, webhooks.c.id == deliveries.c.webhook_id).group_by(webhooks.c.id)
    query = query.order_by(func.min(deliveries.c.next_at), webhooks.c.id)
    if within is not None:
        query = query.join(environments, environments.c.id == webhooks.c.environment_id)
        query = query.where(environments.c.name.in_(within))
    return [Due(row.id, row.environment_id or "", urlsplit(row.url).netloc.lower()) for row in tx.sql.execute(query)]


def claim(tx: Transaction, webhook_id: str, holder: str, lease: timedelta, limit: int) -> list[Held]:
    """Hold what is due for a webhook, the longest due first."""
    first = select(deliveries.c.id).where(deliveries.c.webhook_id == webhook_id, _due(tx.now))
    first = first.order_by(deliveries.c.next_at, deliveries.c.id).limit(limit).with_for_update(skip_locked=True)
    ids = list(tx.sql.execute(first).scalars())
    taken = update(deliveries).where(deliveries.c.id.in_(ids), _due(tx.now))
    taken = taken.values(holder=holder, lease_until=tx.now + lease)
    columns = (deliveries.c.id, deliveries.c.webhook_id, deliveries.c.holder)
    more = (deliveries.c.attempts, deliveries.c.dead_at, deliveries.c.body)
    return [Held(*row) for row in tx.sql.execute(taken.returning(*columns, *more))] if ids else []


def settle(tx: Transaction, held: Held, answer: Answer, state: State, next_at: datetime) -> bool:
    """What came of the attempt. False: somebody else holds it by now."""
    mine = update(deliveries).where(deliveries.c.id == held.id, deliveries.c.holder == held.holder)
    values = {
        "state": state.value,
        "attempts": held.attempts + 1,
        "next_at": next_at,
        "holder": None,
        "lease_until": None,
        "outcome": answer.outcome.value,
        "status": answer.status,
        "ended_at": None if state is State.WAITING else tx.now,
    }
    return bool(tx.sql.execute(mine.values(values)).rowcount)


def take_over(tx: Transaction) -> None:
    """Every lease is over: for a process that knows that no other one lives."""
    tx.sql.execute(update(deliveries).where(deliveries.c.lease_until.is_not(None)).values(lease_until=None))


def drop(tx: Transaction, before: datetime) -> int:
    """Those that ended before that moment go."""
    return int(tx.sql.execute(delete(deliveries).where(deliveries.c.ended_at < before)).rowcount)


def queue(tx: Transaction) -> Queue:
    """For those who watch. What waits for a disabled webhook waits for a person."""
    rows = tx.sql.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    counted: dict[str, int] = {row[0]: row[1] for row in rows}
    oldest = select(func.min(deliveries.c.created_at)).join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
    oldest = oldest.where(deliveries.c.state == State.WAITING.value, webhooks.c.enabled)
    waits, dead = counted.get(State.WAITING.value, 0), counted.get(State.DEAD.value, 0)
    return Queue(waits, dead, tx.sql.execute(oldest).scalar_one())


def _due(now: datetime) -> Any:
    free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)
    return and_(deliveries.c.state == State.WAITING.value, deliveries.c.next_at <= now, free)


def _row(tx: Transaction, id_: str, webhook_id: str, kind: str, body: str, seq: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"id": id_, "webhook_id": webhook_id, "kind": kind, "body": body, "seq": seq}
    row |= {"state": State.WAITING.value, "attempts": 0, "next_at": tx.now, "dead_at": tx.now + LIVES}
    row |= {"holder": None, "lease_until": None, "outcome": Outcome.NONE.value, "status": None}
    return row | {"created_at": tx.now, "ended_at": None}


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        row.id,
        row.webhook_id,
        row.seq,
        row.kind,
        State(row.state),
        row.attempts,
        row.next_at,
        Outcome(row.outcome),
        row.status,
        row.created_at,
        row.ended_at,
        row.body,
    )
