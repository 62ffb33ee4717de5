"""Columns that tables are made of: moments, names, ids, and what belongs to what."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, ForeignKey, Integer, String, TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, stored as an integer of microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


# Names are ordered by their bytes on both engines: cursors and folder ranges depend on it.
NAME = String(200).with_variant(String(200, collation="C"), "postgresql")

EMAIL = String(254).with_variant(String(254, collation="C"), "postgresql")

TERM = String(210).with_variant(String(210, collation="C"), "postgresql")

# On SQLite an INTEGER PRIMARY KEY is the table's own order; any other type would have an index beside it, and every
# batch one page more to make durable.
PLACE = BigInteger().with_variant(Integer(), "sqlite")


def id_column() -> Column[str]:
    """A random, immutable id."""
    return Column("id", String(64), primary_key=True)


def belongs(column: str, to: str, *, cascade: bool = True) -> Column[str]:
    """The id of what a row belongs to, and goes with."""
    return Column(column, String(64), ForeignKey(to, ondelete="CASCADE" if cascade else None), nullable=False)
