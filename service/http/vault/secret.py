"""A KV version 2 secret as it is kept here: one variable, whose value is an object.

a string             appears as {"value": "…"}, and what is written as exactly that is kept as a string
version, created_time, deletion_time, destroyed          those of the variable's version
current version      the live one, also after a rollback; where none is live, the newest that was deleted or
                     destroyed; where there is none either, the newest one, which can be read by its number only
custom_metadata      the variable's notes
"""

import json
from typing import Any

from service.core.variable import Value, Version, VersionState
from service.http.vault.answer import moment
from service.keeper.values import Fetched
from service.keeper.variables import Definition

GONE = (VersionState.DELETED, VersionState.DESTROYED)


def found(it: Fetched) -> str:
    """What a read of the live version tells: the value is JSON already, and is not looked into."""
    notes = it.notes or "null"
    return (
        f'{{"data":{shown(it)},"metadata":{{"created_time":"{moment(it.created_at)}","custom_metadata":{notes},'
        f'"deletion_time":"","destroyed":false,"version":{it.version}}}}}'
    )


def shown(it: Fetched) -> str:
    """The value as an object: the one place of this door where one is opened for its caller."""
    text = it.text.reveal()
    return f'{{"value":{text}}}' if text.startswith('"') else text


def read(it: Fetched) -> dict[str, Any]:
    """The same, looked into."""
    found: dict[str, Any] = json.loads(shown(it))
    return found


def object_of(value: Value) -> dict[str, Any]:
    """A value as an object."""
    return {"value": value} if isinstance(value, str) else value


def value_of(data: dict[str, Any]) -> Value:
    """What is kept of an object."""
    only = data.get("value")
    return only if len(data) == 1 and isinstance(only, str) else data


def metadata(version: Version, notes: str | None) -> dict[str, Any]:
    """What is told of one version beside its value."""
    return {
        "created_time": moment(version.created_at),
        "custom_metadata": json.loads(notes) if notes else None,
        "deletion_time": moment(version.deleted_at),
        "destroyed": version.state is VersionState.DESTROYED,
        "version": version.number,
    }


def told_of(it: Fetched) -> dict[str, Any]:
    """The same of the live version."""
    return {
        "created_time": moment(it.created_at),
        "custom_metadata": json.loads(it.notes) if it.notes else None,
        "deletion_time": "",
        "destroyed": False,
        "version": it.version,
    }


def current(it: Definition) -> Version | None:
    """The current version, as above; None where there never was one."""
    standing = [version for version in it.versions if version.state is VersionState.LIVE]
    gone = [version for version in it.versions if version.state in GONE]
    return next(iter([*standing, *gone, *it.versions]), None)


def history(it: Definition) -> dict[str, Any]:
    """What is told of the secret as a whole."""
    variable, now = it.variable, current(it)
    return {
        "cas_required": False,
        "created_time": moment(it.versions[-1].created_at if it.versions else variable.updated_at),
        "current_version": now.number if now else 0,
        "custom_metadata": json.loads(variable.notes) if variable.notes else None,
        "delete_version_after": "0s",
        "max_versions": 0,
        "oldest_version": 0,  # until the oldest are dropped, and none ever is
        "updated_time": moment(variable.updated_at),
        "versions": {str(version.number): _in_history(version) for version in reversed(it.versions)},
    }


def _in_history(version: Version) -> dict[str, Any]:
    return {
        "created_time": moment(version.created_at),
        "deletion_time": moment(version.deleted_at),
        "destroyed": version.state is VersionState.DESTROYED,
    }


def keys_of(value: Any, depth: int) -> Any:
    """The keys of an object and of the objects in it, to a depth (0: all), without a value."""
    if not isinstance(value, dict):
        return None
    deeper = depth - 1 if depth else 0
    return {key: keys_of(inner, deeper) if depth != 1 else None for key, inner in value.items()}


def merged(value: Any, patch: Any) -> Any:
    """A value after a merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(value) if isinstance(value, dict) else {}
    for key, inner in patch.items():
        if inner is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), inner)
    return kept
