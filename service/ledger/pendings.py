"""Pendings: what waits for its other half, for minutes; and what is remembered to have been seen.

    state and nonce of a sign-in elsewhere, a challenge for a passkey, a sign-in that waits for its second factor, …

Whoever goes on shows a text that it was given. Stored is its hash only, with the kind, so that one kind cannot be
passed off as another; what belongs to it is sealed. Taken is taken: nothing is gone on with twice, on any replica.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from service.ledger.ledger import Transaction
from service.ledger.persons import pendings


@dataclass(frozen=True)
class Pending:
    """What waits. `sealed` is under the installation's own key."""

    kind: str
    sealed: bytes
    user_id: str
    expires_at: datetime
    network: bytes = b""
    """A digest of where it was begun; empty where nobody counts that."""


def digest(kind: str, text: str) -> bytes:
    """What is stored of the text."""
    return hashlib.sha256(f"{kind}\0{text}".encode()).digest()


def put(tx: Transaction, text: str, pending: Pending) -> None:
    """Let it wait."""
    row: dict[str, object] = {"hash": digest(pending.kind, text), "kind": pending.kind, "sealed": pending.sealed}
    row |= {"user_id": pending.user_id or None, "network": pending.network or None, "expires_at": pending.expires_at}
    tx.sql.execute(insert(pendings).values(row))


def peek(tx: Transaction, kind: str, text: str) -> Pending | None:
    """What waits for this text, if it is not too late. It goes on waiting."""
    query = select(pendings).where(pendings.c.hash == digest(kind, text), pendings.c.expires_at > tx.now)
    row = tx.sql.execute(query).one_or_none()
    return Pending(row.kind, row.sealed or b"", row.user_id or "", row.expires_at) if row else None


def take(tx: Transaction, kind: str, text: str) -> Pending | None:
    """The same; it waits no more."""
    found = peek(tx, kind, text)
    tx.sql.execute(delete(pendings).where(pendings.c.hash == digest(kind, text)))
    return found


def mark(tx: Transaction, kind: str, text: str, until: datetime) -> bool:
    """Remember to have seen this. False: it was seen before."""
    if tx.sql.execute(select(pendings.c.hash).where(pendings.c.hash == digest(kind, text))).first():
        return False
    tx.sql.execute(insert(pendings).values(hash=digest(kind, text), kind=kind, expires_at=until))
    return True


def waiting(tx: Transaction, kind: str) -> int:
    """How many of a kind wait."""
    query = select(func.count()).where(pendings.c.kind == kind, pendings.c.expires_at > tx.now)
    return int(tx.sql.execute(query).scalar_one())


def begun_in(tx: Transaction, kind: str, network: bytes) -> tuple[int, datetime | None]:
    """How many of a kind wait that were begun in this network, and when the first of them waits no more."""
    here = pendings.c.kind == kind, pendings.c.network == network, pendings.c.expires_at > tx.now
    query = select(func.count().label("waiting"), func.min(pendings.c.expires_at).label("ends")).where(*here)
    found = tx.sql.execute(query).one()
    return int(found.waiting), found.ends


def make_room(tx: Transaction, kind: str, user_id: str, most: int) -> None:
    """Room for one more of a kind that waits for a user, of whom that many may: what ends soonest goes."""
    mine = pendings.c.kind == kind, pendings.c.user_id == user_id
    kept = select(pendings.c.hash).where(*mine).order_by(pendings.c.expires_at.desc()).limit(most - 1)
    if len(hashes := list(tx.sql.execute(kept).scalars())) == most - 1:
        tx.sql.execute(delete(pendings).where(*mine, pendings.c.hash.not_in(hashes)))


def sweep(tx: Transaction, limit: int) -> None:
    """What came too late goes, so many of them."""
    over = select(pendings.c.hash).where(pendings.c.expires_at <= tx.now).limit(limit)
    hashes = list(tx.sql.execute(over).scalars())
    if hashes:
        tx.sql.execute(delete(pendings).where(pendings.c.hash.in_(hashes)))


def end(tx: Transaction, user_id: str) -> None:
    """Nothing waits for this user any more."""
    tx.sql.execute(delete(pendings).where(pendings.c.user_id == user_id))
