"""Signals: what applications and administrators may react to, made of the events of what was changed.

A signal's kind is its event's action, its id the event's sequence number: nothing is said that the log does not hold.
Fetches, looks and refusals are not signalled. A signal names things. It tells the few details in `TOLD`, which are
numbers, ids and fixed words; never a value, a sentence, or who did it.

    {"id": "4711", "at": "…", "kind": "rotation.published", "environment": "production", "resource": "shop/db",
     "generation": 7, "rotation": "…"}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.core import names
from service.core.access import Kind as On
from service.core.access import Thing
from service.core.errors import Invalid
from service.core.event import Detail, Event, Outcome

KINDS: Mapping[str, On] = {
    "variable.put": On.FOLDER,
    "variable.activate": On.FOLDER,
    "variable.delete": On.FOLDER,
    "version.delete": On.FOLDER,
    "version.destroy": On.FOLDER,
    "connection.put": On.CONNECTION,
    "connection.delete": On.CONNECTION,
    "connection.check": On.CONNECTION,
    "connection.drift": On.CONNECTION,
    "escrow.check": On.CONNECTION,
    "rotation.staged": On.CONNECTION,
    "rotation.announced": On.CONNECTION,
    "rotation.applied": On.CONNECTION,
    "rotation.verified": On.CONNECTION,
    "rotation.published": On.CONNECTION,
    "rotation.draining": On.CONNECTION,
    "rotation.retired": On.CONNECTION,
    "rotation.stuck": On.CONNECTION,
    "rotation.abandoned": On.CONNECTION,
    "rotation.revert": On.CONNECTION,
    "rotation.overdue": On.CONNECTION,
    "restoration.connection": On.CONNECTION,
    "incident.begin": On.FOLDER,
    "incident.cancel": On.FOLDER,
    "incident.resume": On.FOLDER,
    "incident.end": On.FOLDER,
    "approval.asked": On.FOLDER,
    "approval.decided": On.FOLDER,
    "break-glass.taken": On.ENVIRONMENT,
    "break-glass.ended": On.ENVIRONMENT,
    "restoration.begin": On.EVERYTHING,
    "restoration.end": On.EVERYTHING,
}
"""Each kind, and what the resource of one is. A restoration holds everybody's rotations: it has no resource."""
TOLD = (
    "version",
    "generation",
    "rotation",
    "incident",
    "restoration",
    "outcome",
    "finding",
    "approval",
    "decision",
    "break_glass",
)
"""The details that are told: numbers, ids, fixed words."""
WORDS = tuple(sorted(KINDS.keys() | {kind.partition(".")[0] for kind in KINDS}))
"""What may be listened to: kinds, and their first words, each of which stands for all that begin with it."""
MOST_KINDS = 20
_SENTENCES = {"rotation.overdue": {"finding"}}
"""Of these kinds the detail is a sentence, and is left out."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. `environment_id` is empty for what is in none."""

    seq: int
    at: datetime
    kind: str
    environment_id: str
    environment: str
    resource: str
    told: Mapping[str, Detail] = field(default_factory=dict)

    @property
    def thing(self) -> Thing:
        """What a grant must be on, for its holder to be told."""
        on = KINDS[self.kind]
        if on is On.FOLDER and not self.resource:
            on = On.ENVIRONMENT  # an incident in the whole of it
        return Thing(on, self.environment_id, self.resource)

    def payload(self) -> dict[str, Any]:
        """As it is sent."""
        fields = {"id": str(self.seq), "at": stamp(self.at), "kind": self.kind}
        return fields | {"environment": self.environment or None, "resource": self.resource or None} | dict(self.told)

    def text(self) -> str:
        """The payload as JSON on one line."""
        return json.dumps(self.payload(), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody listens to. An empty part is all of it."""

    environment_id: str = ""
    folder: str = ""
    kinds: tuple[str, ...] = ()

    def fits(self, signal: Signal) -> bool:
        """Is it one of those? What is in no environment concerns every one."""
        if signal.kind not in KINDS:
            return False  # of a newer program beside this one
        if self.environment_id and signal.environment_id and signal.environment_id != self.environment_id:
            return False
        if self.folder and signal.environment_id:
            whole = KINDS[signal.kind] is On.FOLDER and signal.resource == self.folder  # an incident in all of it
            if not whole and not names.within(signal.resource, self.folder):
                return False
        return not self.kinds or signal.kind in self.kinds or signal.kind.partition(".")[0] in self.kinds


def stamp(at: datetime) -> str:
    """A moment as all answers have it (RFC 3339)."""
    return at.isoformat().replace("+00:00", "Z")


def kinds(words: tuple[str, ...], field_: str) -> tuple[str, ...]:
    """Kinds, or their first words, each once. Raises Invalid naming `field_`."""
    found = tuple(dict.fromkeys(words))
    if len(found) > MOST_KINDS or not all(word in WORDS for word in found):
        raise Invalid(
            f"{field_} must hold kinds of signals, such as rotation.published, or rotation for all of those: "
            f"{', '.join(WORDS)}",
            field=field_,
        )
    return found


def told(event: Event) -> dict[str, Detail] | None:
    """What a signal of this event tells; None if it is none."""
    if event.action not in KINDS or event.outcome is not Outcome.ALLOWED:
        return None
    detail = event.detail
    if detail.get("live") is False:
        return None  # a version that nobody is answered with came or went
    left_out = _SENTENCES.get(event.action, set())
    return {key: detail[key] for key in TOLD if key in detail and key not in left_out}
