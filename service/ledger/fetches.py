"""The youngest fetch of each connection by each caller: who holds which generation.

A row for each caller and connection, written over by each later fetch, so that asking who is behind costs
no more than there are callers. It is built together with the log's query index, and is as far behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from service.core.event import Detail, Opened, Outcome, moment
from service.ledger.identities import machines, tokens
from service.ledger.ledger import Transaction
from service.ledger.tables import fetches

_CREDENTIAL, _VALUE = "credential.fetch", "value.fetch"
_ALLOWED = Outcome.ALLOWED.value


@dataclass(frozen=True)
class LastFetch:
    """The youngest fetch of a connection that a token made; `seq` is its event."""

    token_id: str
    token: str
    seq: int
    at: datetime
    generation: int


Youngest = dict[tuple[str, str, str], tuple[int, int, int]]
"""By environment, connection and caller: sequence number, microseconds since 1970, generation."""


def take(youngest: Youngest, opened: Opened, first: int) -> None:
    """Take the fetches of a batch into account; batches come the oldest first."""
    fetched = {
        place: (deed[2], list(_generations(*deed)))
        for place, deed in enumerate(opened.deeds)
        if (deed[0] == _CREDENTIAL or (deed[0] == _VALUE and "generations" in deed[4])) and deed[1] == _ALLOWED
    }
    fetched = {place: told for place, told in fetched.items() if told[1]}
    if not fetched:
        return
    last = {(who, deed): place for place, (_, who, deed, _) in enumerate(opened.lines) if deed in fetched}
    for (who, deed), place in sorted(last.items(), key=lambda item: item[1]):
        environment, generations = fetched[deed]
        for connection, generation in generations:
            key = (environment, connection, opened.callers[who][0])
            youngest[key] = (first + place, opened.lines[place][0], generation)


def store(tx: Transaction, youngest: Youngest) -> None:
    """Write down the youngest ones, over those before."""
    if not youngest:
        return
    dialect = sqlite if tx.sql.dialect.name == "sqlite" else postgresql
    query = dialect.insert(fetches)
    keys = ("environment", "connection", "actor")
    query = query.on_conflict_do_update(
        index_elements=keys, set_={name: query.excluded[name] for name in ("seq", "at", "generation")}
    )
    rows = [
        dict(zip(keys, key, strict=True)) | {"seq": seq, "at": moment(at), "generation": generation}
        for key, (seq, at, generation) in sorted(youngest.items())
    ]
    tx.sql.execute(query, rows)


def _generations(action: str, _: str, __: str, resource: str, detail: dict[str, Detail]) -> Iterable[tuple[str, int]]:
    """The connections that a fetch answered from, each with the generation that it gave out."""
    if action == _CREDENTIAL:
        if isinstance(generation := detail.get("generation"), int):
            yield resource, generation
        return
    for word in str(detail.get("generations") or "").split():
        connection, _, number = word.rpartition(":")
        yield connection, int(number)


def behind(
    tx: Transaction, environment: str, connection: str, generation: int, since: datetime, limit: int
) -> list[LastFetch]:
    """Tokens that may still fetch, and did so since then, but not this generation or a later one; youngest first."""
    query = (
        select(fetches, func.coalesce(tokens.c.name, machines.c.name).label("token"))
        .join(tokens, tokens.c.id == fetches.c.actor)  # what was revoked is gone from there
        .outerjoin(machines, machines.c.id == tokens.c.machine_id)
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
