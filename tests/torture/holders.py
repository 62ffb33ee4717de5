"""Holders: everybody who was ever given an answer, and who is promised to get in with it until its `good_until`."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from service.core.rotation import GRACE, Strategy
from service.wiring import utc_now

Pair = tuple[str, str]
"""User name and password."""


Answer = tuple[tuple[Pair, datetime], ...]
"""What one of them holds: the set in its order, each with its `good_until`."""


@dataclass
class Holders:
    """Remembered in a file, so that they outlive the process that gave the answers."""

    strategy: Strategy
    file: Path | None = None
    answers: list[Answer] = field(default_factory=list)
    over: dict[tuple[Pair, ...], datetime] = field(default_factory=dict)
    """Promises that ended by the clock that they were given by; a clock that goes back does not revive them."""
    logins: int = 0
    logins_oldest: int = 0

    def __post_init__(self) -> None:
        if self.file and self.file.exists():
            for line in self.file.read_text().splitlines():
                self.answers.append(tuple(((u, p), datetime.fromisoformat(until)) for u, p, until in json.loads(line)))

    def given(self, answer: Answer) -> None:
        """One more of them has this."""
        self.answers.append(answer)
        if self.file:
            note(self.file, json.dumps([[*pair, until.isoformat()] for pair, until in answer]))

    def promised(self, now: datetime) -> list[tuple[tuple[Pair, ...], datetime]]:
        """What must get in now, the oldest first: one pair each, or under `single` any of a set; and until when."""
        found: dict[tuple[Pair, ...], datetime] = {}
        for answer in self.answers:
            if self.strategy is Strategy.SINGLE:
                whole = tuple(pair for pair, _ in answer)
                until = max(until for _, until in answer)
                found[whole] = max(until, found.get(whole, until))
            else:
                for pair, until in answer:
                    found[(pair,)] = max(until, found.get((pair,), until))
        self.over.update({pairs: until for pairs, until in found.items() if until <= now})
        ended = {pairs for pairs, until in self.over.items() if until >= found[pairs]}
        return [(pairs, until) for pairs, until in found.items() if pairs not in ended]

    def broken(self, accepts: Callable[[Pair], bool], now: Callable[[], datetime] = utc_now) -> list[str]:
        """Try everything that is promised by the clock `now`; a sentence for each that does not get in."""
        wrong = []
        promised = self.promised(now())
        for number, (pairs, until) in enumerate(promised):
            self.logins += 1
            self.logins_oldest += number == 0 and len(promised) > 1
            # A login that took longer than the grace proves nothing.
            if not any(map(accepts, pairs)) and now() < until + GRACE:
                wrong.append(f"{_names(pairs)} does not get in, and is promised until {until.isoformat()}")
        return wrong


def _names(pairs: Iterable[Pair]) -> str:
    return " nor ".join(f"{user} ({password[:3]}…)" for user, password in pairs)


def note(file: Path, text: str) -> None:
    """One more line, there whatever becomes of the process."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)
