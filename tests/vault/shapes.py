"""What two answers must share: status, headers that clients look at, names, types, and every value that is not chance.

`differing(answered(one), answered(other))` walks two answers and names each place where they are not alike, with what
stands there:

    status                     200 and 404
    headers.Cache-Control      "no-store" and absent
    body.data.keys.0           "shop" and absent
    body.auth.client_token     <text> and ""

A value that chance or the clock made is shown as its kind in pointed brackets: the two need only be of one kind.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests

ABSENT = object()
HEADERS = ("Content-Type", "Cache-Control")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
"""RFC 3339 in UTC, to the nanosecond at most, which is what Go's clients parse."""
CHANCE = frozenset(
    {
        "request_id",
        "client_token",
        "accessor",
        "entity_id",
        "id",
        "token",
        "wrapped_accessor",
        "uuid",
        "password",
        "username",
        "secret_id",
        "secret_id_accessor",
        "role_id",
        "cluster_id",
        "cluster_name",
        "version",
        "plugin_version",
        "running_plugin_version",
        "build_date",
        "commit",
        "server_time_utc",
        "creation_time",
        "expire_time",
        "issue_time",
        "created_time",
        "updated_time",
        "deletion_time",
        "last_vault_rotation",
        "last_rotation",
        "ttl",
        "creation_ttl",
        "display_name",
        "policies",
        "token_policies",
    }
)
"""Fields whose value is made by chance, by the clock, or by who made the server."""
NUMBERED = frozenset({"version", "id"})
"""Of these, the numbers are no chance: the version of a secret."""


class Difference(NamedTuple):
    """One place where two answers are not alike, and what stands there."""

    at: str
    one: str
    other: str


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[Difference]:
    """Where two answers are not alike, in the order of the first one's fields."""
    return list(_walk("", one, other))


def answered(answer: requests.Response) -> dict[str, Any]:
    """What of an HTTP answer is compared."""
    headers = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
    body = json.loads(answer.content) if answer.content else ABSENT
    if isinstance(body, dict) and "errors" in body:
        # Words for people; whoever compares them says so in a test of its own.
        body = body | {"errors": ["<text>" for _ in body["errors"]]}
    return {"status": answer.status_code, "headers": headers, "body": body}


def shown(at: str, value: Any) -> str:
    """A value as the file of differences writes it."""
    name = next((part for part in reversed(at.split(".")) if not part.isdecimal()), "")
    if value is ABSENT:
        return "absent"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, str) and TIME.fullmatch(value):
        return "<time>"
    if name in CHANCE or at.endswith("auth.lease_duration"):
        if isinstance(value, str) and value:
            return "<text>"
        if type(value) is int and value and name not in NUMBERED:
            return "<number>"
    return json.dumps(value)


def _walk(at: str, one: Any, other: Any) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from _walk(f"{at}.{key}" if at else key, one.get(key, ABSENT), other.get(key, ABSENT))
    elif isinstance(one, list) and isinstance(other, list):
        for place in range(max(len(one), len(other))):
            yield from _walk(f"{at}.{place}", *(it[place] if place < len(it) else ABSENT for it in (one, other)))
    elif shown(at, one) != shown(at, other):
        yield Difference(at, shown(at, one), shown(at, other))
