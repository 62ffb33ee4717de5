"""What is done with every request, whichever way it takes: an id, limits, a count, a line in the log."""

import os
from collections.abc import Callable

import structlog

from service.http.limits import Limits

log = structlog.get_logger("http")

Refusal = tuple[int, str, str, str]
"""Status, slug, title, detail."""
OFTEN: Refusal = (
    429,
    "too-many",
    "Too many",
    "more requests than one address, or one token, may make",
)
WRONG: Refusal = (429, "too-many", "Too many", "too many requests from this address without a token that is known")
BUSY: Refusal = (503, "unavailable", "Not now", "as many requests are being worked on as this server allows")
_RANDOM = 4096


class Reception:
    """Of one application. One event loop's thread uses it."""

    def __init__(self, count: Callable[[str, int, float], None], limits: Limits) -> None:
        self.limits = limits
        self.count = count
        """Count an answer: its method, status, and how many seconds it took."""
        self._random, self._at = "", 0

    def new_id(self) -> str:
        """16 hex digits. A system call for each id would cost more than the id."""
        if self._at >= len(self._random):
            self._random, self._at = os.urandom(_RANDOM).hex(), 0
        at = self._at
        self._at = at + 16
        return self._random[at : at + 16]

    def refusal(self, address: str, shown: bytes) -> Refusal | None:
        """Why a request of who shows this is turned away, if it is. It has been counted in `limits.working` already."""
        limits = self.limits
        if limits.rated and not (limits.address(address) and limits.caller(shown)):
            return OFTEN
        return BUSY if limits.working > limits.most else None

    def note(self, method: str, path: str, status: int, seconds: float, address: str, request_id: str) -> None:
        """Note an answer in the log: not of fetches that were answered, which the event log has."""
        # The path may hold a name, never a value; the query is left out.
        log.info(
            "request",
            method=method,
            path=path[:200],
            status=status,
            ms=round(seconds * 1000, 1),
            address=address,
            id=request_id,
        )
