"""JSON objects as outside stores hold them: the size limit, and replacing some of their keys."""

import json
from collections.abc import Mapping
from typing import Any

from service.core.errors import StoreError, StoreMalformed
from service.core.reference import Reading, Reference, select
from service.core.secret import Secret

LARGEST = 64 * 1024
"""Bytes (UTF-8) of a value, in every store."""


def checked(text: str, reference: Reference) -> Secret:
    """`text` as a value. Raises StoreMalformed if it is over the limit, or cannot be written as UTF-8."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair: from JSON, or standing for a byte that did not decode
        raise StoreMalformed("is not valid UTF-8", **where(reference)) from None
    if size > LARGEST:
        raise StoreMalformed(f"is larger than {LARGEST} bytes, the most that a value may have", **where(reference))
    return Secret(text)


def where(reference: Reference) -> dict[str, str]:
    """What every StoreError names."""
    return {"store": reference.store, "reference": str(reference)}


def parsed(text: Secret, reference: Reference) -> dict[str, Any]:
    """The JSON object that is stored. Raises StoreMalformed if it is none."""
    try:
        held = json.loads(text.reveal())
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        raise StoreMalformed("is not a JSON object, so its keys cannot be replaced", **where(reference))
    return held


def replaced(held: dict[str, Any], changes: Mapping[str, Secret], reference: Reference) -> dict[str, Any]:
    """A copy of `held` with some keys replaced; keys are named as in a reference (`/` begins a JSON pointer).

    Raises StoreMalformed if a pointer leads through what is no object.
    """
    result: dict[str, Any] = json.loads(json.dumps(held))
    for key, value in changes.items():
        node: Any = result
        parts = [p.replace("~1", "/").replace("~0", "~") for p in key[1:].split("/")] if key[:1] == "/" else [key]
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise StoreMalformed(f"has no object on the way to the key '{key}'", **where(reference))
        node[parts[-1]] = value.reveal()
    return result


def written(held: dict[str, Any]) -> str:
    """The JSON text of an object."""
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"))


def holds(text: Secret, changes: Mapping[str, Secret], reference: Reference) -> bool:
    """Does the stored object have all of `changes` already?"""
    reading = Reading(text, None)
    try:
        return all(
            select(reading, Reference(reference.store, reference.location, key)) == value
            for key, value in changes.items()
        )
    except (StoreError, UnicodeEncodeError):
        return False
