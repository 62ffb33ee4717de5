"""What a rotation would do and meet, as `keywright rotate --rehearse` tells it."""

from collections.abc import Iterable, Sequence
from typing import Any

from keywright.commands import screen


def show(told: dict[str, Any]) -> None:
    """A rehearsal, for people: what would be done on standard output, problems on standard error."""
    _table("what it would do, at the earliest", ("stage", "at", "sentence"), told.get("plan"))
    _table("endpoints", ("endpoint", "part", "outcome", "protection", "protocol", "reason"), told.get("endpoints"))
    _table("callers who fetched it lately", ("name", "generation", "at", "address"), told.get("callers"))
    _table("who is connected now", ("username", "address", "application", "since"), told.get("sessions"))
    for statement in told.get("statements") or ():
        screen.say(f"  {statement}")
    for warning in told.get("warnings") or ():
        screen.say(f"note: {warning}")
    for problem in told.get("problems") or ():
        screen.complain(str(problem))


def _table(title: str, keys: Sequence[str], rows: Iterable[Any] | None) -> None:
    """Its title and its rows; nothing where there are none, or the server does not tell them."""
    known = [row for row in rows or () if isinstance(row, dict)]
    if known:
        screen.say(f"{title}:")
        screen.table([key.upper() for key in keys], [[row.get(key) for key in keys] for row in known])
        screen.say("")
