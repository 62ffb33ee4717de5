"""How applications come by what they log in with: three habits, of which each relies on another promise."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import structlog

from service.demo.credential import PATH, Entry, entries, now
from service.demo.wire import CallFailed, Wire

log = structlog.get_logger("demo")

_WAIT = 1.0
"""Seconds that one question waits for a change: well below the drain minimum."""
_COLLECT_EVERY = 0.5


class Habit(Protocol):
    """What to log in with now."""

    words: str
    """For the table."""

    def choose(self) -> Entry:
        """An entry whose promise has not passed. Raises CallFailed."""


class EveryTime:
    """Fetches before every login."""

    words = "fetches every time"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def choose(self) -> Entry:
        """The best entry of an answer that was given just now."""
        return entries(self._wire.get(PATH))[0]


class OncePerGeneration:
    """Fetches once, and again when the credential turns: a thread of its own waits for that with `?wait=`.

    An answer "nothing has changed" (304) renews the promise of what is held by as long as it held at first.
    """

    words = "waits for a change"

    def __init__(self, wire: Wire, stop: threading.Event) -> None:
        self._wire = wire
        self._stop = stop
        self._lock = threading.Lock()
        self._held: Entry | None = None
        self._tag = ""
        self._lasts = timedelta(0)
        self._follower: threading.Thread | None = None

    def choose(self) -> Entry:
        """The entry held, while it is good; else a new one."""
        with self._lock:
            held = self._held
        if held is None or not held.good:
            held = self._ask("", 0)
        if self._follower is None:
            self._follower = threading.Thread(target=self._follow, name="follower", daemon=True)
            self._follower.start()
        return held

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._ask(self._tag, _WAIT)
            except CallFailed as error:
                if not self._stop.is_set():
                    log.warning("a wait for changes failed", error=error.message)
                self._stop.wait(_WAIT / 4)

    def _ask(self, tag: str, wait: float) -> Entry:
        asked = now()
        answer, found = self._wire.unless(tag, PATH, wait)
        with self._lock:
            if answer is not None:
                best = entries(answer)[0]
                self._lasts = best.good_until - now()
                self._held, self._tag = best, found
            elif self._held is not None and tag == self._tag:
                self._held = replace(self._held, good_until=max(self._held.good_until, asked + self._lasts))
            if self._held is None:
                raise CallFailed(f"GET {PATH}: nothing is held, and nothing was answered")
            return self._held


class Oldest:
    """Holds on to the oldest credential that it was ever given, until the very end of its promise."""

    words = "keeps the oldest"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._collected: dict[str, Entry] = {}
        self._asked_at = 0.0

    def choose(self) -> Entry:
        """The one that was given first, of those whose promise has not passed."""
        if time.monotonic() - self._asked_at > _COLLECT_EVERY:
            self._collect()
        held = next(self._good(), None)
        if held is None:
            self._collect()
            held = next(self._good(), None)
        if held is None:
            raise CallFailed(f"GET {PATH}: every promise of the answer had passed when it arrived")
        return held

    def _collect(self) -> None:
        answer = self._wire.get(PATH)
        self._asked_at = time.monotonic()
        self._collected = {key: entry for key, entry in self._collected.items() if entry.good}
        for entry in reversed(entries(answer)):  # within one answer, the ones that drain are older
            key = entry.url.reveal()
            former = self._collected.get(key)
            if former is None or entry.good_until > former.good_until:
                self._collected[key] = entry  # keeps its place

    def _good(self) -> "filter[Entry]":
        return filter(lambda entry: entry.good, self._collected.values())
