"""The chain of events, followed a page at a time: each page is read on a short snapshot of its own.

A chain only grows, so what was its end when somebody began to follow it is passed later all the same; and nobody is
held up meanwhile. (On SQLite a snapshot that stays open would keep the write-ahead log from being taken over.)
It begins behind what was pruned, and goes on there where more was pruned meanwhile: a signed record says how far.
"""

import hmac
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Row, func, select

from service.core.event import GENESIS, intact, link
from service.core.pruned import authentic
from service.ledger import log, pruned
from service.ledger.agreement import Agreement
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, head

BATCHES = 500
EVENTS = 2_000
"""Of both, at most so many in one page, about."""


@dataclass(frozen=True)
class Proof:
    """What following the chain found. `broken_at` is the first sequence number that does not fit.

    `events` were followed, behind those up to `pruned`, in whose place a signed record stands.
    """

    events: int
    end: str
    broken_at: int | None = None
    finding: str = "the chain is whole"
    pruned: int = 0
    last: int = 0
    """The event that the log ended with when it was begun."""
    index: str | None = None
    """How the query index differs from the log; empty: it does not. None: it was not compared."""


@dataclass
class Following:
    """On the way along the chain: `seq` events and their hash `former` are behind, `end` is where it is to end.

    `noted` is an end that was noted outside the ledger earlier, and not passed yet.
    """

    end: int
    end_hash: bytes
    seq: int = 0
    former: bytes = GENESIS
    pruned: int = 0
    noted: bytes | None = None
    agreement: Agreement | None = None
    """The query index is compared on the way."""


class Chain:
    """Follows it. `key` is the chain's, and `signer` signed the record of what was pruned."""

    def __init__(self, key: bytes, signer: Ed25519PrivateKey) -> None:
        self._key = key
        self._signer = signer

    def begun(self, tx: Transaction, noted: bytes | None = None) -> Following | Proof:
        """At the beginning of the log as it is now. A chain that does not pass through `noted` was cut behind, or
        before, that point, and grown again."""
        seq, end = tx.sql.execute(select(head.c.seq, head.c.hash)).one()
        following = Following(seq, bytes(end), noted=None if noted == GENESIS else noted)
        return self._beyond(tx, following) or following

    def _beyond(self, tx: Transaction, following: Following) -> Proof | None:
        seq = following.end
        beyond = tx.sql.execute(select(func.max(batches.c.first)).where(batches.c.first > seq)).scalar_one()
        if beyond is not None:
            return _broken(following, seq + 1, f"the log has event {beyond}, and its head says that it ends at {seq}")
        return None

    def went_on(self, tx: Transaction, following: Following) -> Proof | None:
        """Follow it through the next page. None: there is more."""
        if refused := self.behind_what_was_pruned(tx, following):
            return refused
        rows = log.page(tx, following.seq, BATCHES, EVENTS, following.end)
        for row in rows:
            if broken := self.passed(following, row):
                return broken
        if following.agreement is not None:
            following.agreement.page(tx, rows)
            if not rows:
                following.agreement.ended(tx, following.seq)
        return None if rows else _ended(following)

    def passed(self, following: Following, row: Row[Any]) -> Proof | None:
        """One batch further. A proof: it does not fit."""
        first, made, expected = row.first, log.stored(row), following.seq + 1
        if first != expected:
            return _broken(following, expected, f"event {expected} is missing: removed, or moved elsewhere")
        if not hmac.compare_digest(link(self._key, following.former, first, made), row.hash):
            return _broken(following, first, f"the batch that begins with event {first} was changed")
        if not intact(made):
            return _broken(following, first, f"names or addresses beside event {first} and on were changed")
        following.seq, following.former = following.seq + made.count, bytes(row.hash)
        if following.noted is not None and hmac.compare_digest(following.noted, following.former):
            following.noted = None
        return None

    def behind_what_was_pruned(self, tx: Transaction, following: Following) -> Proof | None:
        """Go on behind what was pruned, where that reaches further. A proof: its record was changed."""
        record = pruned.record(tx)
        if record is None or (record.seq <= following.pruned and record.seq <= following.seq):
            return None
        if not authentic(self._signer, record):
            return _broken(following, following.seq + 1, "the record of what was pruned was changed")
        if record.seq > following.seq:
            following.seq, following.former, following.pruned = record.seq, record.hash, record.seq
            if following.noted is not None and hmac.compare_digest(following.noted, record.hash):
                following.noted = None
        if record.seq > following.end:  # what was its end then went too: it goes on to what is the end now
            following.end, following.end_hash = tx.sql.execute(select(head.c.seq, head.c.hash)).one()
            return self._beyond(tx, following)
        return None

    def stands(self, tx: Transaction, seq: int) -> Row[Any] | None:
        """The batch of an event, if it was chained by who holds the key to the batch that is stored before it.

        That it was cannot be pretended without the key; the rest of the chain is not looked at. None: it was changed,
        or is not there.
        """
        query = select(batches).where(batches.c.first <= seq).order_by(batches.c.first.desc()).limit(2)
        rows = tx.sql.execute(query).all()
        if not rows or seq >= rows[0].first + rows[0].events:
            return None
        record = pruned.record(tx)
        former = bytes(rows[1].hash) if rows[1:] else record.hash if record else GENESIS
        row = rows[0]
        if len(former) != len(GENESIS):  # or parts of a body could pass for a number, and others for a body
            return None
        return row if hmac.compare_digest(link(self._key, former, row.first, log.stored(row)), row.hash) else None


def _ended(it: Following) -> Proof:
    if it.seq != it.end or not hmac.compare_digest(it.former, it.end_hash):
        return _broken(it, it.seq + 1, f"the log ends at event {it.seq}, its head at {it.end}")
    if it.noted is not None:
        unless = f", unless that lay among the {it.pruned} that were pruned" if it.pruned else ""
        finding = f"the log ends at event {it.seq} and never had the end that was noted: its tail was cut{unless}"
        return _broken(it, it.seq + 1, finding)
    behind = f" from event {it.pruned + 1} on, behind {it.pruned} that were pruned" if it.pruned else ""
    return so_far(it, f"the chain is whole{behind}")


def so_far(it: Following, finding: str = "whole so far; there is more") -> Proof:
    """What was found up to here."""
    index = it.agreement.finding if it.agreement else None
    return Proof(it.seq - it.pruned, it.former.hex(), None, finding, it.pruned, it.end, index)


def _broken(it: Following, at: int, finding: str) -> Proof:
    index = it.agreement.finding if it.agreement else None
    return Proof(max(0, it.seq - it.pruned), it.former.hex(), at, finding, it.pruned, it.end, index)
