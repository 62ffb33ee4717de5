"""The peer: who waits at the other end of a connection, as a handler that waits with it sees it.

The listener puts it into each scope's `extensions`. What an answer waits for (`waiting.py`) is told by it, without
a task that listens, when nobody is there any more to be answered, and when the server is told to stop.
"""

import asyncio
from typing import Protocol

from starlette.types import Scope

EXTENSION = "keywright.peer"
"""Its name in `scope["extensions"]`."""


class Peer(Protocol):
    """One connection, in its event loop."""

    lost: bool
    """The client went away."""
    leaving: bool
    """The server is told to stop, or the client went away: what is known is answered now."""
    waiter: asyncio.Future[None] | None
    """Done as soon as `leaving` is so. Whoever waits puts it here, and takes it away again."""


class Nobody:
    """The peer of a request that came through another server: nothing is ever heard of it."""

    lost = leaving = False
    waiter: asyncio.Future[None] | None = None


def peer_of(scope: Scope) -> Peer:
    """Who waits for the answer to this request."""
    found: Peer | None = scope.get("extensions", {}).get(EXTENSION)
    return found or Nobody()


def let_go(waiter: "asyncio.Future[None] | None") -> None:
    """End the wait, if it lasts still."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
