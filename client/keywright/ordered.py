"""Logging in with an ordered set: which entry next, and after which error. Nothing here connects or waits.

                  ┌─────────────── refused, an entry is left ──────────────┐
    the set ──▶ try an entry ── refused, none is left ──▶ ask anew, once ──┴─▶ nothing new: the driver's own error
                  ├── worked ──▶ done
                  └── any other error ──▶ that error, at once: no other password mends a network

A refusal is what the driver tells by code to be one of authentication (`keywright.refusals`). Entries that the `Budget`
does not allow are passed over. `keywright.attempts` carries out what `plan` decides.
"""

from collections.abc import Generator
from dataclasses import dataclass

from keywright.budget import Budget, Leave, fingerprint
from keywright.credential import Credential, Entry

POLL = 0.01
"""Seconds between two looks whether another login under way has been decided."""


@dataclass(frozen=True)
class Try:
    """Log in with this entry; send back None if it worked, or the error of the refusal."""

    credential: Credential
    entry: Entry


@dataclass(frozen=True)
class Refresh:
    """Ask for the set, anew or as others were answered just now; send back the credential, or None if that failed."""

    fresh: bool


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Plan = Generator[Try | Refresh | Pause, "Credential | Exception | None", None]


def plan(budget: Budget, credential: Credential) -> Plan:
    """What to do, step by step; over when it worked, and when nothing is left. Close it after any other error."""
    known = credential
    tried: set[tuple[str, bytes]] = set()
    for last in (False, True):
        for entry in known.entries:
            key = entry.username, fingerprint(entry)
            if key in tried:
                continue
            while (asked := budget.begin(known, entry))[0] is Leave.LATER:
                yield Pause(POLL)
            leave, number = asked
            if leave is Leave.NO:
                continue
            tried.add(key)
            worked, error = False, None
            try:
                said = yield Try(known, entry)
                worked, error = said is None, said if isinstance(said, Exception) else None
            finally:
                budget.end(known, entry, number, error, worked=worked)
            if worked:
                return
        if last:
            return
        said = yield Refresh(budget.asks(known))
        if not isinstance(said, Credential):
            return
        known = said
