"""How often what was shown was wrong, one after another: by account, by network, by account in a place of its own.

What is counted goes by a digest. A place stays known for months, everything else is forgotten after a day.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.ledger.ledger import Transaction
from service.ledger.persons import delays

REMEMBERED = timedelta(days=1)
PLACES_REMEMBERED = timedelta(days=180)
_SWEPT = 20


@dataclass(frozen=True)
class Count:
    """So many in a row, the last of them then."""

    failures: int
    failed_at: datetime | None


def digest(*parts: str) -> bytes:
    """What is counted under."""
    return hashlib.sha256("\0".join(parts).encode()).digest()


def counted(tx: Transaction, made: Collection[bytes], found: Collection[bytes]) -> Mapping[bytes, Count]:
    """What is counted now, nobody else counting meanwhile: all of `made`, and those of `found` that there are."""
    sweep(tx)
    _make(tx, made, tx.now + REMEMBERED)
    # In one order always, so that two who come at once wait for each other in turn.
    query = select(delays).where(delays.c.hash.in_([*made, *found])).order_by(delays.c.hash).with_for_update()
    return {row.hash: Count(row.failures, row.failed_at) for row in tx.sql.execute(query)}


def count(tx: Transaction, hash_: bytes, failures: int) -> None:
    """So many now, the last of them at this moment."""
    values = {"failures": failures, "failed_at": tx.now}
    tx.sql.execute(update(delays).where(delays.c.hash == hash_).values(values))


def right(tx: Transaction, place: bytes, account: bytes, network: bytes) -> None:
    """It was right: the place is known, the account begins anew, and of the network this one does not count."""
    _make(tx, [place], tx.now + PLACES_REMEMBERED)
    known = {"failures": 0, "failed_at": None, "expires_at": tx.now + PLACES_REMEMBERED}
    tx.sql.execute(update(delays).where(delays.c.hash == place).values(known))
    tx.sql.execute(delete(delays).where(delays.c.hash == account))
    fewer = delays.c.failures - 1
    tx.sql.execute(update(delays).where(delays.c.hash == network, delays.c.failures > 0).values(failures=fewer))


def forget(tx: Transaction, hashes: Collection[bytes]) -> None:
    """Nothing is counted there any more."""
    tx.sql.execute(delete(delays).where(delays.c.hash.in_(hashes)))


def sweep(tx: Transaction) -> None:
    """Some of what nobody needs any more goes."""
    over = select(delays.c.hash).where(delays.c.expires_at <= tx.now).limit(_SWEPT)
    if hashes := list(tx.sql.execute(over).scalars()):
        tx.sql.execute(delete(delays).where(delays.c.hash.in_(hashes)))


def _make(tx: Transaction, hashes: Collection[bytes], until: datetime) -> None:
    dialect = sqlite if tx.sql.dialect.name == "sqlite" else postgresql
    query = dialect.insert(delays).on_conflict_do_nothing(index_elements=["hash"])
    rows = [{"hash": each, "failures": 0, "failed_at": None, "expires_at": until} for each in sorted(hashes)]
    tx.sql.execute(query, rows)
