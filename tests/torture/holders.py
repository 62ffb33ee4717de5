"""Holders: everybody who was ever given an answer, and who is promised to get in with it until its `good_until`."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from service.core.rotation import GRACE, Strategy
from service.keeper.credentials import Credential

Pair = tuple[str, str]
"""User name and password."""


@dataclass(frozen=True)
class Answer:
    """What one of them holds: the set in its order."""

    at: datetime
    entries: tuple[tuple[Pair, datetime], ...]


@dataclass
class Holders:
    """Remembered in a file, so that they outlive the process that gave the answers."""

    strategy: Strategy
    file: Path
    answers: list[Answer] = field(default_factory=list)
    logins: int = 0
    logins_oldest: int = 0

    def __post_init__(self) -> None:
        if self.file.exists():
            for line in self.file.read_text().splitlines():
                at, entries = json.loads(line)
                made = tuple(((u, p), datetime.fromisoformat(until)) for u, p, until in entries)
                self.answers.append(Answer(datetime.fromisoformat(at), made))

    def given(self, answer: Credential) -> Answer:
        """One more of them has this."""
        entries = tuple(((e.account.username, e.account.password.reveal()), e.good_until) for e in answer.entries)
        made = Answer(datetime.now(UTC), entries)
        self.answers.append(made)
        text = json.dumps([made.at.isoformat(), [[*pair, until.isoformat()] for pair, until in entries]])
        with self.file.open("ab", buffering=0) as file:
            file.write(f"{text}\n".encode())
        return made

    def promised(self, now: datetime) -> list[tuple[tuple[Pair, ...], datetime]]:
        """What must get in now, the oldest first: one pair each, or under `single` any of a set; and until when."""
        found: dict[tuple[Pair, ...], datetime] = {}
        for answer in self.answers:
            if self.strategy is Strategy.SINGLE:
                whole = tuple(pair for pair, _ in answer.entries)
                until = max(until for _, until in answer.entries)
                found[whole] = max(until, found.get(whole, until))
            else:
                for pair, until in answer.entries:
                    found[(pair,)] = max(until, found.get((pair,), until))
        return [(pairs, until) for pairs, until in found.items() if until > now]

    def broken(self, accepts: Callable[[Pair], bool]) -> list[str]:
        """Try everything that is promised; a sentence for each that does not get in."""
        wrong = []
        promised = self.promised(datetime.now(UTC))
        for number, (pairs, until) in enumerate(promised):
            self.logins += 1
            self.logins_oldest += number == 0 and len(promised) > 1
            # A login that took longer than the grace proves nothing.
            if not any(map(accepts, pairs)) and datetime.now(UTC) < until + GRACE:
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
