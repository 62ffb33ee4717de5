"""The audit: what clients wrote down against the log of events.

missing     an answer without its event, or with another's
repeated    an answer, or a request that got none, with more than one
foreign     an event of a fetch that no client asked for
spoken      an event for a 304, which appends none
broken      the chain does not verify, or the log is shorter than it was
orphans     an event for a request whose connection was lost before its answer was read: the client gave up, or
            something was killed. Not wrong, but counted
doubtful    an event for a request that was answered 503: the ledger took it, and its reply was lost. The answer says so
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.durable.client import DIGITS, Asked, number_of
from tests.rigs.line import Line

PAGE = 500
WITHIN = 30.0
"""Seconds that the ledger may be away after it was started again."""
WRONG = ("missing", "repeated", "foreign", "spoken", "broken")
FETCH = "value.fetch"


@dataclass
class Audit:
    """Of one log, again and again: each event and each request is looked at once."""

    line: Line
    counts: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    _seen: int = 0
    _length: int = 0

    @property
    def wrong(self) -> list[str]:
        """Sentences; none if all is well."""
        return self.shown

    def begin(self) -> None:
        """What is in the log already is nobody's concern."""
        self._fresh()

    def check(self, asked: Sequence[Asked]) -> None:
        """Requests that ended since the last time, and the events since then. Nobody asks meanwhile."""
        events = self._fresh()
        self._verify()
        by_number: dict[int, list[dict[str, Any]]] = {}
        polls: set[str] = set()
        for event in events:
            number = number_of(event["resource"])
            if event["resource"] == DIGITS[0]:  # what is polled: only the first look at its tag has an event
                polls.add(event["request"])
            elif number is None:
                self._found("foreign", f"event {event['id']} on {event['resource']}")
            else:
                by_number.setdefault(number, []).append(event)
        for one in asked:
            self._compare(one, by_number.pop(one.number, []), polls)
        for number, left in by_number.items():
            self._found("foreign", f"{len(left)} events for request {number}, which nobody made")

    def _compare(self, one: Asked, events: list[dict[str, Any]], polls: set[str]) -> None:
        self.counts["requests"] += 1
        if len(events) > 1:
            self._found("repeated", f"{one}: {len(events)} events")
        if one.status in (200, 404):
            outcome = "allowed" if one.status == 200 else "refused"
            if not any(e["request"] == one.request_id and e["outcome"] == outcome for e in events):
                self._found("missing", f"{one}: {events}")
            self.counts["answers"] += 1
        elif one.status == 304:
            self.counts["polls"] += 1
            if events or one.request_id in polls:
                self._found("spoken", f"{one}")
        elif one.status == 0:
            self.counts["aborted" if one.aborted else "lost"] += 1
            self.counts["orphans"] += len(events)
            if one.request_id and any(e["request"] != one.request_id for e in events):
                self._found("foreign", f"{one}: {events}")
        elif one.status == 503:
            self.counts["refused"] += 1
            self.counts["doubtful"] += len(events)
        else:
            self._found("foreign", f"{one}: nothing was wrong with the request")

    def _fresh(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        newest = self._seen
        while cursor is not None:
            page = self._ask(f"/events?action={FETCH}&limit={PAGE}&cursor={cursor}")
            items = [event for event in page["items"] if int(event["id"]) > self._seen]
            newest = max([newest, *(int(event["id"]) for event in items)])
            found += items
            cursor = page["next"] if len(items) == PAGE else None
        self._seen = newest
        return found

    def _verify(self) -> None:
        proof = self._ask("/events/verify")
        if not proof["whole"] or proof["events"] < self._length:
            self._found("broken", f"{proof}, after {self._length} events")
        self._length = proof["events"]

    def _ask(self, path: str) -> Any:
        """What is answered as soon as the ledger is back."""
        deadline = time.monotonic() + WITHIN
        while (reply := self.line.ask("GET", path)).status == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert reply.status == 200, reply.body
        return reply.json()

    def _found(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= 5:
            self.shown.append(f"{kind}: {sentence}")
