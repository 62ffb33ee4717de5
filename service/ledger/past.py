"""The ledger's past: what of it the ledger holds, and where the ledger lived when it was last looked at."""

from enum import Enum

from sqlalchemy import insert, select, text, update

from service.core.restoration import Home, Point
from service.ledger import pruned
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, head, home


def end(tx: Transaction) -> Point:
    """The last event."""
    row = tx.sql.execute(select(head.c.seq, head.c.hash)).one()
    return Point(row.seq, row.hash, tx.now)


def beginning(tx: Transaction) -> bytes | None:
    """The hash of the first batch, by which a ledger is told from another; None if nothing was recorded yet."""
    if record := pruned.record(tx):
        return record.installation  # the first batch went with what was pruned
    found: bytes | None = tx.sql.execute(select(batches.c.hash).where(batches.c.first == 1)).scalar_one_or_none()
    return found


class Held(Enum):
    """Is a point in the chain?"""

    YES = "yes"
    NO = "no"
    PRUNED = "pruned"  # nobody can tell any more


def holds(tx: Transaction, point: Point) -> Held:
    """Is that point in the chain? A point is the end of a batch: one that ends elsewhere shows another past."""
    record = pruned.record(tx)
    if record and point.seq <= record.seq:
        if point.seq < record.seq:
            return Held.PRUNED
        return Held.YES if point.hash == record.hash else Held.NO
    query = select(batches.c.first, batches.c.events, batches.c.hash).where(batches.c.first <= point.seq)
    row = tx.sql.execute(query.order_by(batches.c.first.desc()).limit(1)).one_or_none()
    held = row is not None and row.first + row.events - 1 == point.seq and row.hash == point.hash
    return Held.YES if held else Held.NO


def home_now(tx: Transaction) -> Home:
    """Where the ledger in PostgreSQL lives now. Every role may call these functions (manual, 9.28.4 and 9.28.12).

    The timeline is that of the WAL being written: the control file learns of a promotion only at its next checkpoint.
    """
    system = "SELECT system_identifier::text FROM pg_control_system()"
    database = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"
    row = tx.sql.execute(text(f"SELECT ({system}), ({database}), pg_walfile_name(pg_current_wal_lsn())")).one()
    return Home(row[0], row[1], int(row[2][:8], 16))


def home_before(tx: Transaction) -> tuple[Home | None, bool]:
    """Where it lived when it was last looked at, and whether an embedded one had a witness."""
    row = tx.sql.execute(select(home)).one_or_none()
    return (Home(row.system, row.database, row.timeline), row.witnessed) if row else (None, False)


def settle_in(tx: Transaction, now: Home, *, witnessed: bool) -> None:
    """Note where the ledger lives."""
    row = {"system": now.system, "database": now.database, "timeline": now.timeline, "witnessed": witnessed}
    if tx.sql.execute(update(home).values(row)).rowcount == 0:
        tx.sql.execute(insert(home).values(row | {"id": 1}))


def standbys(tx: Transaction) -> tuple[str, list[tuple[str | None, str | None]]]:
    """`synchronous_standby_names`, and state and sync_state of each that is attached."""
    names = tx.sql.execute(text("SELECT current_setting('synchronous_standby_names')")).scalar_one()
    rows = tx.sql.execute(text("SELECT state, sync_state FROM pg_stat_replication")).all()
    return names, [(row[0], row[1]) for row in rows]
