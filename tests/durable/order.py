"""The order of things, judged by system calls: receipt of a request, its event to disk, and only then the answer.

received   the request was read from its socket
written    its event is in what was written: to SQLite's write-ahead log; or to the PostgreSQL backend, which
           writes its own
synced     that log was synced, by a call that began after that (SQLite), or that the backend waited for before it
           said that it had committed (PostgreSQL)
sent       the answer's first byte was given to its socket
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.durable.calls import Call

FETCH = re.compile(rb"GET /api/v1/environments/[^/ ]+/(values|credentials)[/? ]")
ANSWER = re.compile(rb"HTTP/1\.1 200 .*?x-request-id: ([0-9a-f]+)", re.S | re.I)
SYNCS = ("fdatasync", "fsync")
WRITES = ("pwrite64", "write", "writev")
DONE = b"Z\0\0\0\5I"
"""ReadyForQuery, no transaction open (PostgreSQL's documentation, "Message Formats"): the commit is over."""
FRAME = 24
"""Bytes of the header of a frame of SQLite's write-ahead log (https://sqlite.org/fileformat2.html#the_write_ahead_log)."""
POINTER = 4
"""Bytes at the beginning of an overflow page."""


@dataclass
class Order:
    """What was found. `wrong` names answers, and what was missing before each."""

    answers: int = 0
    syncs: int = 0
    lags: list[int] = field(default_factory=list)
    """Microseconds between the end of the sync and the answer."""
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """For machines."""
        middle = sorted(self.lags)[len(self.lags) // 2] if self.lags else 0
        told = f"answers={self.answers} unordered={len(self.wrong)} syncs={self.syncs}"
        return f"{told} microseconds_after_sync_least={min(self.lags, default=0)} median={middle}"


@dataclass(frozen=True)
class Answered:
    """An answer to a fetch that left."""

    request_id: bytes
    received: int
    sent: int


def answered(seen: Sequence[Call]) -> list[Answered]:
    """Every 200 to a fetch."""
    found, received = [], dict[str, int]()
    for call in sorted((c for c in seen if c.on_socket), key=lambda c: c.began):
        if call.name in ("recvfrom", "read") and FETCH.match(call.data):
            received[call.file] = call.ended
        elif (answer := ANSWER.search(call.data)) and call.file in received:
            found.append(Answered(answer[1], received.pop(call.file), call.began))
    return found


def on_sqlite(seen: Sequence[Call]) -> Order:
    """One process with its ledger in SQLite."""
    log = [c for c in seen if c.file.endswith("-wal")]
    stream = Stream((c.ended, c.data) for c in log if c.name in WRITES and len(c.data) != FRAME)
    cut = Stream((c.ended, c.data[POINTER:]) for c in log if c.name in WRITES and len(c.data) != FRAME)
    syncs = sorted((c.began, c.ended) for c in log if c.name in SYNCS)
    order = Order(syncs=len(syncs))
    for each in answered(seen):
        order.answers += 1
        written = stream.when(each.request_id) or cut.when(each.request_id)
        _judge(order, each, written, syncs)
    return order


def on_postgresql(seen: Sequence[Call], server: Sequence[Call]) -> Order:
    """A process with its ledger in PostgreSQL; `server` are the calls of that."""
    heard: dict[int, list[Call]] = defaultdict(list)
    said: dict[int, list[int]] = defaultdict(list)
    for call in sorted((c for c in server if c.on_socket), key=lambda c: c.ended):
        if call.name in ("recvfrom", "read"):
            heard[call.pid].append(call)
        elif DONE in call.data:
            said[call.pid].append(call.began)
    streams = {pid: Stream((c.ended, c.data) for c in calls) for pid, calls in heard.items()}
    syncs = sorted((c.began, c.ended) for c in server if "/pg_wal/" in c.file and c.name in SYNCS)
    order = Order(syncs=len(syncs))
    for each in answered(seen):
        order.answers += 1
        places = [(pid, when) for pid, stream in streams.items() if (when := stream.when(each.request_id))]
        if not places:
            _judge(order, each, None, syncs)
            continue
        pid, when = min(places, key=lambda place: place[1])
        done = next((moment for moment in said[pid] if moment > when), each.sent + 1)
        in_time = [sync for sync in syncs if sync[1] <= done] if done < each.sent else []
        _judge(order, each, when, in_time)
    return order


def _judge(order: Order, each: Answered, written: int | None, syncs: Sequence[tuple[int, int]]) -> None:
    name = each.request_id.decode()
    if written is None:
        order.wrong.append(f"{name}: its event was written nowhere")
        return
    place = bisect_left(syncs, (written, 0))
    after = syncs[place][1] if place < len(syncs) else None
    if not each.received <= written or after is None or after > each.sent:
        told = f"received {each.received}, written {written}, synced {after}, sent {each.sent}"
        order.wrong.append(f"{name}: {told}")
        return
    order.lags.append(each.sent - after)


class Stream:
    """Pieces put together, so that a word which was cut between two of them is found; and when it was complete."""

    def __init__(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        self._starts, self._times, parts, length = [], [], [], 0
        for when, data in pieces:
            self._starts.append(length)
            self._times.append(when)
            parts.append(data)
            length += len(data)
        self._whole = b"".join(parts)

    def when(self, word: bytes) -> int | None:
        """The end of the piece in which the word was complete for the first time; None if it never was."""
        place = self._whole.find(word)
        if place < 0:
            return None
        return int(self._times[bisect_right(self._starts, place + len(word) - 1) - 1])
