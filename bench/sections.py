"""The sections of the suite: what each measures, and how long it may take."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import decisions, due, fetches, idle, log, replicas, rotations, variables, waiting
from bench.run import Run


@dataclass(frozen=True)
class Section:
    """`measure` gives what stands under the section's name in the results. `seconds` is the most it may take."""

    name: str
    what: str
    measure: Callable[[Run], dict[str, Any]]
    seconds: float


SECTIONS: Sequence[Section] = (
    Section("start", "seconds until it is ready", idle.starts, 120),
    Section("idle", "memory and processor time of a server that nobody asks", idle.idle, 60),
    Section(
        "fetch", "fetches beside OpenBao's, plain and TLS, by the Vault door, and the ceiling", fetches.measure, 1200
    ),
    Section("log", "a log of millions of events: questions, bytes, the index's lag", log.measure, 900),
    Section("variables", "fetches among few variables and among many; memory for each", variables.measure, 400),
    Section("decisions", "may this person do that, among few grants and among many", decisions.measure, 60),
    Section("waiting", "fetches while thousands wait for a change", waiting.measure, 300),
    Section("replicas", "fetches from one and from three on PostgreSQL", replicas.measure, 400),
    Section("due", "the clock's look for due work", due.measure, 200),
    Section("rotations", "rotations beside the bare loop, and OpenBao's", rotations.measure, 900),
)


def chosen(names: Sequence[str]) -> list[Section]:
    """Those of these names, or all. Raises SystemExit for one that there is not."""
    known = {section.name for section in SECTIONS}
    if wrong := [name for name in names if name not in known]:
        raise SystemExit(f"bench: there is no section {', '.join(wrong)}; there are: {', '.join(sorted(known))}")
    return [section for section in SECTIONS if not names or section.name in names]


def listed() -> Iterable[str]:
    """A line for each."""
    return (f"  {section.name:10} {section.what}" for section in SECTIONS)
