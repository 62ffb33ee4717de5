"""`/events`: the audit log, and the proof of its chain."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from service.core.errors import Invalid
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, Limit, Seconds, TheKeeper, cursor_of, page, position
from service.keeper.events import Agreement, Following, Question

router = native("events")

Text = Annotated[str, Query(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
Time = Annotated[
    Annotated[str, Field(max_length=60, json_schema_extra={"format": "date-time"})] | None,
    Query(description="RFC 3339, with its zone.", examples=["2026-11-22T12:00:00Z"]),
]


_WAY = re.compile(
    r"([0-9]{1,18}) ([0-9a-f]{64}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{64})(?: ([0-9]{1,18}) ([0-9]{1,18}))?"
)


@router.get("/events", response_model=shapes.EventPage)
def listed(
    caller: Asking,
    keeper: TheKeeper,
    actor: Text = "",
    action: Text = "",
    resource: Text = "",
    environment: Text = "",
    outcome: Annotated[shapes.Outcome | None, Query(description="How it ended.")] = None,
    since: Time = None,
    until: Time = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """Events, the youngest first. `actor` is a token's id or name."""
    behind = position(cursor)
    if behind and not (behind.isdecimal() and len(behind) <= 18):
        raise Invalid("cursor is not one that was given out", field="cursor")
    question = Question(
        actor,
        action,
        resource,
        environment,
        outcome or "",
        moment_of(since, "since"),
        moment_of(until, "until"),
        int(behind) if behind else None,
        limit,
    )
    found = keeper.events.answer(caller, question)
    return page(found.events, limit, lambda it: str(it["id"]), lambda it: it) | {"index_lag": found.lag}


@router.get("/events/checkpoint", response_model=shapes.Checkpoint)
def checkpoint(caller: Asking, keeper: TheKeeper) -> Any:
    """Where the chain has come to, signed. Keep it outside: a tail that is cut later is found against it."""
    return vars(keeper.events.checkpoint(caller))


@router.get("/events/verify", response_model=shapes.Proof)
def verify(
    caller: Asking,
    keeper: TheKeeper,
    cursor: Cursor = "",
    seconds: Seconds = 0,
    index: Annotated[bool, Query(description="Hold the query index against the log, too.")] = False,
) -> Any:
    """Follow the whole chain: finds what was changed, removed or reordered.

    Of a long log that takes a while. With `seconds` it is done piece by piece: `next` says where to go on.
    """
    following = _following(position(cursor)) if cursor else None
    proof, on = keeper.events.verify_on(caller, following, seconds or None, index=index)
    onward = cursor_of(_place(on)) if on else None
    return {"whole": proof.broken_at is None, **vars(proof), "next": onward}


def _place(it: Following) -> str:
    index = f" {it.agreement.seq} {it.agreement.at}" if it.agreement else ""
    return f"{it.seq} {it.former.hex()} {it.pruned} {it.end} {it.end_hash.hex()}{index}"


def _following(text: str) -> Following:
    """Where somebody was on the way. Whoever makes one up deceives nobody but itself."""
    found = _WAY.fullmatch(text)
    if found is None:
        raise Invalid("cursor is not one that was given out", field="cursor")
    seq, former, pruned, end, end_hash, compared, at = found.groups()
    agreement = Agreement(int(compared), int(at)) if compared else None
    return Following(
        int(end), bytes.fromhex(end_hash), int(seq), bytes.fromhex(former), int(pruned), agreement=agreement
    )


def moment_of(text: str | None, field: str) -> datetime | None:
    """A time as a request has it. Raises Invalid naming `field`."""
    if text is None:
        return None
    try:
        if not re.fullmatch(_TIME, text):
            raise ValueError
        seconds = "59" if text[17:19] == "60" else text[17:19]  # a leap second, which datetime does not know
        moment = datetime.fromisoformat(text[:17] + seconds + text[19:].upper())
        return moment.astimezone(UTC)
    except ValueError:
        raise Invalid(
            f"{field} must be a time with its zone, as RFC 3339 has it: 2026-11-22T12:00:00Z", field=field
        ) from None
    except OverflowError:  # the first or the last day of the calendar, moved over its edge
        return datetime.min.replace(tzinfo=UTC) if text.startswith("0001") else datetime.max.replace(tzinfo=UTC)
