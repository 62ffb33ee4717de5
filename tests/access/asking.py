"""A well-formed request of an operation, about a thing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.access.needs import NATIVE, Need
from tests.access.things import NO_ID, Thing, Things


@dataclass(frozen=True)
class Answer:
    """What came. `said` is without what belongs to the one request, and without the names that were asked for."""

    status: int
    said: str
    headers: Mapping[str, str]


def _put(value: Any, marks: Mapping[str, str]) -> Any:
    match value:
        case str():
            return value.format_map(marks) if "{" in value else value
        case dict():
            return {name: _put(each, marks) for name, each in value.items()}
        case list():
            return [_put(each, marks) for each in value]
        case _:
            return value


def absent(thing: Thing, *, inside: bool = False) -> Thing:
    """What is called otherwise, and is not there; `inside` the same environment."""
    other = {name: NO_ID if name.endswith("_id") else "absent-one" for name in thing.marks}
    if inside:
        other["environment"] = thing.marks["environment"]
    # What asks for a name, and for nothing that has to be there, goes on doing so.
    return Thing(
        {**thing.marks, **other, **{name: thing.marks[name] for name in ("username", "print") if name in thing.marks}},
        thing.place,
    )


def ask(client: httpx2.Client, need: Need, thing: Thing, headers: Mapping[str, str], things: Things) -> Answer:
    """Ask by a client of the server that shows nothing by itself."""
    marks = {"fresh": things.fresh(), **thing.marks}
    path = need.path.format_map(marks)
    if not path.startswith(("/healthz", "/readyz", "/metrics", "/v1/", "/oauth/", "/.well-known/", "/scim/")):
        path = NATIVE + path
    body = _put(need.body, marks)
    query = _put(dict(need.query), marks)
    if need.media:
        headers = {**headers, "Content-Type": need.media}
    client.cookies.clear()
    with client.stream(need.method, path, params=query, json=body, headers=dict(headers)) as answer:
        if not (need.endless and answer.is_success):
            answer.read()
        text = "" if need.endless and answer.is_success else answer.text
        told = {name.lower(): value for name, value in answer.headers.items()}
    if told.get("content-type", "").startswith("application/problem+json"):
        said = json.loads(text)
        said.pop("request_id", None)
        text = json.dumps(said)
    for asked in sorted(marks.values(), key=len, reverse=True):
        text = text.replace(asked, "…") if asked else text
    return Answer(answer.status_code, text, told)
