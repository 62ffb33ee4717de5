"""Who listens to the stream: reads server-sent events in a thread, as the HTML standard has them read.

with listens(client) as it:
    …
    it.wait(lambda: "variable.put" in it.kinds)
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.rigs.keywright import wait_until


@dataclass
class Listens:
    """What was heard. `last` is the id to resume by; `ended` is set when the stream ended in order."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    last: str = ""
    comments: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)

    def wait(self, seen: Callable[[], bool]) -> None:
        """Until something is so."""
        wait_until(seen, lambda: f"heard only {self.text[-3000:]}", 60)

    def take(self, line: str, event: dict[str, str]) -> None:
        """One line."""
        self.lines.append(line)
        name, _, value = line.partition(":")
        if not line:
            self.last = event.get("id", self.last)
            if self.last:
                self.begun.set()
            if "data" in event:
                self.heard.append(json.loads(event["data"]))
                self.kinds.append(event["event"])
            event.clear()
        elif name:
            event[name] = value.removeprefix(" ")
        else:
            self.comments += 1


@contextmanager
def listens(client: httpx2.Client, last: str | None = None, **query: str) -> Iterator[Listens]:
    """Begin to listen; returns when the stream has said where it begins."""
    it = Listens(last=last or "")
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", "/stream", params=query, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")

        def read() -> None:
            event: dict[str, str] = {}
            with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
                for line in answer.iter_lines():
                    it.take(line, event)
                it.ended.set()

        thread = threading.Thread(target=read, name="listens", daemon=True)
        thread.start()
        assert it.begun.wait(60)
        try:
            yield it
        finally:
            raw = answer.extensions["network_stream"].get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.shutdown(2)
            thread.join(30)
            assert not thread.is_alive()
