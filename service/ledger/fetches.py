"""The youngest fetch of each connection by each caller: who holds which generation.

A row for each caller and connection, written over by each later fetch, so that asking who is behind costs
no more than there are callers. It is built together with the log's query index, and is as far behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, or_, select

from service.core.event import Outcome
from service.ledger.ledger import Transaction
from service.ledger.tables import fetches, tokens

_FETCHES = frozenset({"credential.fetch", "value.fetch"})


@dataclass(frozen=True)
class LastFetch:
    """The youngest fetch of a connection that a token made; `seq` is its event."""

    token_id: str
    token: str
    seq: int
    at: datetime
    generation: int


def index(tx: Transaction, entries: Iterable[tuple[int, dict[str, object]]]) -> None:
    """Take events into account, given as sequence number and entry, the oldest first."""
    youngest: dict[tuple[object, str, object], dict[str, object]] = {}
    for seq, entry in entries:
        if entry["action"] in _FETCHES and entry["outcome"] == Outcome.ALLOWED.value:
            for connection, generation in _generations(entry):
                key = (entry["environment"], connection, entry["actor"])
                at = datetime.fromisoformat(str(entry["at"]))
                youngest[key] = {"seq": seq, "at": at, "generation": generation}
    rows = [
        {"environment": environment, "connection": connection, "actor": actor} | said
        for (environment, connection, actor), said in youngest.items()
    ]
    for row in rows:
        same = (fetches.c[name] == row[name] for name in ("environment", "connection", "actor"))
        tx.sql.execute(delete(fetches).where(*same))
    if rows:
        tx.sql.execute(insert(fetches), rows)


def _generations(entry: dict[str, object]) -> Iterable[tuple[str, int]]:
    """The connections that a fetch answered from, each with the generation that it gave out."""
    detail = entry["detail"]
    assert isinstance(detail, dict)  # as `Event.entry` makes it  # noqa: S101
    if entry["action"] == "credential.fetch":
        if isinstance(generation := detail.get("generation"), int):
            yield str(entry["resource"]), generation
        return
    for word in str(detail.get("generations") or "").split():
        connection, _, number = word.rpartition(":")
        yield connection, int(number)


def behind(
    tx: Transaction, environment: str, connection: str, generation: int, since: datetime, limit: int
) -> list[LastFetch]:
    """Tokens that may still fetch, and did so since then, but not this generation or a later one; youngest first."""
    query = (
        select(fetches, tokens.c.name.label("token"))
        .join(tokens, tokens.c.id == fetches.c.actor)  # what was revoked is gone from there
        .where(
            fetches.c.environment == environment,
            fetches.c.connection == connection,
            fetches.c.generation < generation,
            fetches.c.at >= since,
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now),
        )
        .order_by(fetches.c.seq.desc())
        .limit(limit)
    )
    return [LastFetch(row.actor, row.token, row.seq, row.at, row.generation) for row in tx.sql.execute(query)]
