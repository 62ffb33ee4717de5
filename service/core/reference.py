"""References: values that live in an outside store and are read when they are asked for.

    store:location[#key]

    vault:secret/shop/db#password      mount `secret`, path `shop/db`, the key `password` of its JSON object
    aws-sm:shop/db#password            the secret `shop/db` (or its ARN), the key `password`
    env:SHOP_DB_PASSWORD               an environment variable of the service
    file:/run/secrets/shop-db#password a file

Without `#key` the whole value is meant. A key that begins with `/` is a JSON pointer (RFC 6901) into
nested objects; any other key is a member of the top object. A location is refused when it has an empty,
`.` or `..` segment or a control character, so that a prefix rule cannot be walked around.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from service.core.errors import Invalid, StoreAbsent, StoreMalformed
from service.core.secret import Secret

STORES = ("vault", "aws-sm", "env", "file")
LONGEST = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Reference:
    """Where a value lives."""

    store: str
    location: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.store}:{self.location}" + (f"#{self.key}" if self.key is not None else "")

    @classmethod
    def parse(cls, text: str, field: str = "reference") -> "Reference":
        """Raises Invalid, naming `field`, for what is not a reference."""
        if len(text) > LONGEST:
            raise Invalid(f"{field} has {len(text)} characters; {LONGEST} are the most", field=field)
        store, colon, rest = text.partition(":")
        if not colon or store not in STORES:
            raise Invalid(f"{field} must begin with one of {', '.join(s + ':' for s in STORES)}", field=field)
        location, hash_mark, key = rest.partition("#")
        if not location or _CONTROL.search(rest):
            raise Invalid(f"{field} names no location, or holds a control character", field=field)
        inner = location[1:] if store == "file" and location.startswith("/") else location
        if any(part in ("", ".", "..") for part in inner.split("/")):
            raise Invalid(f"{field} has an empty, '.' or '..' segment", field=field)
        if hash_mark and not key:
            raise Invalid(f"{field} ends in '#' but names no key", field=field)
        return cls(store, location, key if hash_mark else None)


def allowed(reference: Reference, rules: dict[str, list[str]]) -> bool:
    """Do an environment's rules let its references read this? Deny by default.

    `rules` maps a store to locations; one that ends in `*` covers everything that begins with the part
    before it. A store that is not named is closed.
    """
    return any(covers(rule, reference.location) for rule in rules.get(reference.store, []))


def covers(rule: str, location: str) -> bool:
    """Does one rule cover a location? Only a `*` at the end has a meaning."""
    return location.startswith(rule[:-1]) if rule.endswith("*") else location == rule


@dataclass(frozen=True)
class Reading:
    """What a store gave: the whole value at the location, before a key is selected."""

    value: Secret
    version: str | None
    """The store's own name for the version that was read, where it has one."""


class Store(Protocol):
    """An outside home of secrets that can be read.

    Raises StoreAbsent, StoreRefused, StoreUnreachable or StoreMalformed (`service.core.errors`);
    messages name the store and the reference, never a value. Every call is bounded by the store's timeout.
    """

    def read(self, reference: Reference) -> Reading:
        """Read the value at `reference.location`; a JSON object comes as its JSON text."""


@runtime_checkable
class WritableStore(Protocol):
    """The extra ability of a store that takes values back (`write-back`)."""

    def write(self, reference: Reference, changes: dict[str, Secret], expected: str | None) -> str:
        """Replace the named keys of the JSON object at the location, and leave its other keys as they are.

        `expected` is the version that was read before: if the store holds another by now, nothing is
        written and Conflict is raised. Returns the new version. The value is current when this returns.
        """

    def turned_elsewhere(self, reference: Reference) -> bool:
        """Does somebody else rotate this secret (AWS: `RotationEnabled`)? Then Keywright must not."""


def select(reading: Reading, reference: Reference) -> Secret:
    """The value that `reference` means within what its store gave.

    Raises StoreMalformed if a key is asked of what is no JSON object, StoreAbsent if the key is not in it.
    """
    if reference.key is None:
        return reading.value
    where = {"store": reference.store, "reference": str(reference)}
    try:
        node = json.loads(reading.value.reveal())
    except (ValueError, RecursionError):
        raise StoreMalformed("is not JSON, so it has no keys", **where) from None
    for part in _steps(reference.key):
        if not isinstance(node, dict):
            raise StoreMalformed("is not a JSON object where the key needs one", **where)
        if part not in node:
            raise StoreAbsent("has no such key", **where)
        node = node[part]
    return Secret(node if isinstance(node, str) else json.dumps(node, separators=(",", ":")))


def _steps(key: str) -> Iterable[str]:
    if not key.startswith("/"):
        return [key]
    return [part.replace("~1", "/").replace("~0", "~") for part in key[1:].split("/")]
