"""Applications for tests: threads that keep logging in with what Keywright promised them.

Newest   fetches before every login, and tries the entries of the set in their order
Oldest   remembers everything it was ever given, and logs in with the oldest whose promise is not over
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from service.core.connection import Accepted, Access, Account, Target
from service.core.database import Database
from service.core.secret import Secret

PAUSE = 0.05


@dataclass
class Application(threading.Thread):
    """Counts logins that worked, and notes those that did not."""

    name_: str
    fetch: Callable[[], dict[str, Any]]
    database: Database
    target: Target
    oldest: bool
    """Log in with the oldest credential that is still promised, rather than the newest."""
    logins: int = 0
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(name=f"application {self.name_}", daemon=True)
        self._known: dict[tuple[str, str], datetime] = {}

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Log in until it is over."""
        while not self.over.is_set():
            try:
                answer = self.fetch()
            except httpx2.HTTPError as error:
                self.failures.append(f"no answer: {type(error).__name__}")
                break
            entries = [(e["username"], e["password"]) for e in answer["credentials"]]
            if self.oldest:
                for entry in answer["credentials"]:
                    until = datetime.fromisoformat(entry["good_until"])
                    key = (entry["username"], entry["password"])
                    self._known[key] = max(until, self._known.get(key, until))
                now = datetime.now(UTC)
                entries = [key for key, until in self._known.items() if now < until][:1]
            self._log_in(entries)
            time.sleep(PAUSE)

    def _log_in(self, entries: list[tuple[str, str]]) -> None:
        said = []
        for username, password in entries:
            access = Access(self.target, Account(username, Secret(password)))
            probe = self.database.probe(access, self.target.primary)
            if isinstance(probe, Accepted):
                self.logins += 1
                return
            said.append(f"{username}: {type(probe).__name__}")
        self.failures.append(f"{datetime.now(UTC).isoformat()} {'; '.join(said)}")
