"""Events and readiness on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.core.restoration import Replication
from service.http.shapes.words import Answer

Outcome = Literal["allowed", "refused", "failed"]


class Event(Answer):
    """One entry of the audit log."""

    id: str
    at: datetime
    actor: str
    kind: str
    name: str | None
    address: str | None
    request: str
    action: str
    outcome: Outcome
    environment: str
    resource: str
    detail: dict[str, Any]


class EventPage(Answer):
    """A page of Event."""

    items: list[Event]
    next: str | None = Field(None, description="Give it as `cursor` for the next page.")
    index_lag: int = Field(
        description="So many of the youngest events are not taken into account yet; 0: nothing was left out."
    )


class Proof(Answer):
    """What following the chain found."""

    whole: bool = Field(description="Nothing was found, as far as it was followed.")
    events: int = Field(description="So many were followed.")
    end: str = Field(description="Hash of the last batch that fits: note it outside to find a cut tail later.")
    broken_at: int | None
    finding: str
    pruned: int = Field(description="Events up to this one were pruned, by a signed record; 0: none.")
    last: int = Field(description="The event that the log ended with when this was begun.")
    index: str | None = Field(
        None,
        description="How the query index differs from the log, as far as this piece went; empty: it does not. "
        "null: it was not asked for.",
    )
    next: str | None = Field(None, description="The end was not reached: give it as `cursor` to go on.")


class Checkpoint(Answer):
    """Where the chain of events had come to, signed with Ed25519."""

    installation: str = Field(description="Hash of the log's first batch.")
    seq: int = Field(description="The last event.")
    hash: str = Field(description="The end of the chain.")
    at: str = Field(description="As it was signed, to the letter.")
    key: str = Field(description="The public key, in hex. It is the same in all checkpoints of an installation.")
    signature: str


class Ready(Answer):
    """Readiness, by part."""

    ready: bool
    ledger: bool
    clock: bool
    held: bool = Field(description="Every rotation is held: the ledger's past may have been lost.")
    connections_held: int = Field(0, description="Connections that may not rotate: all of them, or some until a look.")
    replication: Replication = Field(description="How the ledger's PostgreSQL replicates.")
    warnings: list[str]
    overdue: int = 0
