"""`/stream`: signals as server-sent events."""

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from service.core.errors import Invalid
from service.core.signal import Wanted, kinds
from service.http import shapes
from service.http.fetching import TheFetching
from service.http.native import native
from service.http.request import Asking, TheKeeper, Who
from service.http.streams import Feed, Stream

router = native("signals")


def _feed_of(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events, without end. `event` is a signal's kind, `id` its number, `data` a "
            "Signal as JSON. The event `reset` says that signals behind `Last-Event-ID` are not known any more.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream(
    caller: Asking,
    who: Who,
    keeper: TheKeeper,
    fetching: TheFetching,
    feed: Annotated[Feed, Depends(_feed_of)],
    environment: Annotated[shapes.Word | None, Query(description="Only what is in this one.")] = None,
    kind: Annotated[
        str | None,
        Query(
            description="Comma-separated kinds, or their first words: `rotation` for all of those.",
            max_length=1000,
            pattern=r"^[a-z-]+(\.[a-z]+)?(,[a-z-]+(\.[a-z]+)?)*$",
            examples=["rotation.published,variable"],
        ),
    ] = None,
    last: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="The id that was seen last: go on behind it.", max_length=40),
    ] = None,
) -> Response:
    """Listen to what is changed: signals as they come, of what the caller may use at that moment."""
    if last is not None and not re.fullmatch(r"[0-9]{1,18}", last):
        raise Invalid("Last-Event-ID must be an id that the stream gave", field="Last-Event-ID")
    behind = None if last is None else int(last)
    wanted = Wanted(kinds=kinds(tuple(kind.split(",")) if kind else (), "kind"))
    feed.require_room(caller)
    wanted = await fetching.recorded(keeper.signals.asked(who, environment or "", wanted, behind))
    # Read only now: what is changed from the record on is behind this place.
    first = await feed.read(2**62 if behind is None else behind)
    return Stream(feed, who, caller, wanted, first, behind)
