"""Environments: the walls between development, testing, staging and production."""

from dataclasses import dataclass
from datetime import datetime

from service.core.errors import Invalid
from service.core.reference import STORES


@dataclass(frozen=True)
class Environment:
    """A wall. `stores` says which locations its references may read, `allowlist` from where it may be used."""

    id: str
    name: str
    stores: dict[str, list[str]]
    allowlist: tuple[str, ...]
    revision: int
    created_at: datetime
    updated_at: datetime


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
