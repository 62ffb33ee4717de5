"""Environments: the walls between development, testing, staging and production."""

from dataclasses import dataclass, field
from datetime import datetime

from service.core.approval import ALONE, Glass, Terms
from service.core.errors import Invalid
from service.core.reference import STORES


@dataclass(frozen=True)
class Environment:
    """A wall. `stores` says which locations its references may read, `allowlist` from where it may be used.

    `stale_if_error` is for how many seconds a value of a store that cannot be reached is answered still; 0 for never.
    `approvals` says what of it waits for a second person, `glasses` who may go without for a while.
    """

    id: str
    name: str
    stores: dict[str, list[str]]
    allowlist: tuple[str, ...]
    revision: int
    created_at: datetime
    updated_at: datetime
    stale_if_error: int = 0
    approvals: Terms = ALONE
    glasses: tuple[Glass, ...] = field(default=(), compare=False)  # what is over may be in it still


LONGEST_STALE = 3600
"""Seconds."""


def checked_stale(seconds: int) -> int:
    """The choice, if it can be meant. Raises Invalid."""
    if not 0 <= seconds <= LONGEST_STALE:
        raise Invalid(f"stale_if_error: 0 to {LONGEST_STALE} seconds", field="stale_if_error")
    return seconds


def checked_stores(rules: dict[str, list[str]]) -> dict[str, list[str]]:
    """The rules, if they can be meant. Raises Invalid naming the store."""
    for store, locations in rules.items():
        field = f"stores.{store}"
        if store not in STORES:
            raise Invalid(f"{field}: the stores are {', '.join(STORES)}", field=field)
        for location in locations:
            inner = location.removesuffix("*").strip("/")
            if not location or any(part in (".", "..") for part in inner.split("/")) or "//" in location:
                raise Invalid(f"{field}: a rule is a location, or the beginning of one followed by '*'", field=field)
    return rules
