"""Signals and webhooks on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.core.signal import WORDS
from service.core.webhook import LONGEST_URL, Outcome, State
from service.http.shapes.words import Answer, Folder, Line, Request, Word

SignalKind = Annotated[str, Field(max_length=32, json_schema_extra={"enum": list(WORDS)})]
SignalKinds = Annotated[
    list[SignalKind],
    Field(
        max_length=20, description="Kinds of signals, or their first words: `rotation` for all of those. Empty: all."
    ),
]
Url = Annotated[
    str, Field(max_length=LONGEST_URL, pattern=r"^https?://[!-~]+$", examples=["https://hooks.example.com/keywright"])
]


class Signal(Answer):
    """Something was changed. It names things, and holds no value."""

    id: str | None = Field(description="The number of its event. null: somebody tries a webhook.")
    at: datetime
    kind: str
    environment: str | None = None
    resource: str | None = None
    version: int | None = None
    generation: int | None = None
    rotation: str | None = None
    incident: str | None = None
    restoration: str | None = None
    outcome: str | None = None
    finding: str | None = None
    approval: str | None = Field(None, description="The approval that it is about, or that it was done by.")
    decision: str | None = None
    break_glass: str | None = Field(None, description="It was done without an approval, by this right.")


class NewWebhook(Request):
    """Signals to be sent to an address."""

    name: Word
    url: Url
    environment: Word | None = Field(None, description="Left out: the whole installation.")
    folder: Folder = Field("", description="Only what lies in it, at any depth.")
    kinds: SignalKinds = Field(default_factory=list)


class ChangedWebhook(Request):
    """What is given becomes so."""

    url: Url | None = None
    kinds: SignalKinds | None = None
    enabled: bool | None = None


class Webhook(Answer):
    """What is sent where; never its secret."""

    id: str
    name: str
    url: str
    environment: str | None
    folder: str
    kinds: list[str]
    enabled: bool
    disabled_because: str
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    former_until: datetime | None = Field(description="Until then the former secret signs as well.")


class MadeWebhook(Webhook):
    """A webhook whose signing secret was made just now."""

    secret: str = Field(description="`whsec_…`, as Standard Webhooks has it. Shown only now.")


class Delivery(Answer):
    """One signal on its way to one target. Of what the target answered there is the status, and no more."""

    id: str
    message: str = Field(description="Its `webhook-id`, the same in every attempt and replay.")
    signal: str | None
    kind: str
    state: State
    attempts: int
    next_at: datetime | None = Field(description="When it is tried next, while it waits.")
    outcome: Outcome = Field(description="How the last attempt ended; empty before the first one.")
    status: int | None
    created_at: datetime
    ended_at: datetime | None


class AskReplay(Request):
    """One delivery, or everything from a time on, is to be sent again."""

    delivery: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{1,64}$")] | None = None
    since: Line | None = Field(
        None, description="RFC 3339, with its zone.", json_schema_extra={"examples": ["2026-11-22T12:00:00Z"]}
    )


class Replay(Answer):
    """What is sent again."""

    queued: int
    complete: bool = Field(description="false: there is more of it; ask again with `until` as `since`.")
    until: datetime | None
