"""Answers that are kept under an Idempotency-Key: who repeats a request is asked for what was asked at first."""

from collections.abc import Iterator

import pytest

from tests.access.asking import ask
from tests.access.callers import Callers, bearer
from tests.access.conftest import World
from tests.access.needs import Need, declared, key_of
from tests.access.things import Thing
from tests.rigs import persons

KEY = "Idempotency-Key"


@pytest.fixture
def takes_key(world: World) -> set[str]:
    """The operations that take one, as the OpenAPI document has them."""
    paths = world.it.nobody().get("/openapi.json").json()["paths"]
    return {
        key_of(method, path)
        for path, item in paths.items()
        for method, operation in item.items()
        if any(each["name"] == KEY for each in operation.get("parameters", ()))
    }


@pytest.fixture(autouse=True)
def _as_it_comes(world: World) -> Iterator[None]:
    yield
    persons.decide(world.it.service)


def test_a_repeated_request_asks_for_the_factor_that_the_first_one_asked_for(
    world: World, callers: Callers, takes_key: set[str]
) -> None:
    asked: dict[str, tuple[int, str, bool]] = {}
    expected: dict[str, tuple[int, str, bool]] = {}
    for number, need in enumerate(each for each in declared().values() if each.operation in takes_key):
        persons.decide(world.it.service, step_up=0)
        there = world.things(need.thing)
        thing = Thing({**there.marks, "fresh": world.things.fresh()}, there.place)
        session = callers.person(thing.grant("own"), factor=False).session
        headers = bearer(session) | {KEY: f"key-{number}"}
        first = ask(world.nobody, need, thing, headers, world.things)
        assert first.status == need.expected("own", "session"), (need.key, first.said)
        persons.decide(world.it.service)
        again = ask(world.nobody, need, thing, headers, world.things)
        asked[need.key] = again.status, _kind(again.said), "idempotency-replayed" in again.headers
        expected[need.key] = (403, "factor-needed", False) if need.fresh else (first.status, "", True)
    assert asked == expected
    assert {need.operation for need in _fresh(expected)} >= {"POST /tokens", "POST /me/tokens", "POST /machine-secrets"}


def test_who_shows_one_is_answered_once_more(world: World, callers: Callers) -> None:
    need = declared()["POST /machine-tokens"]
    thing = world.things(need.thing)
    headers = bearer(callers.person(thing.grant("own")).session) | {KEY: "shown"}
    first, again = (ask(world.nobody, need, thing, headers, world.things) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert again.said == first.said
    assert again.headers["idempotency-replayed"] == "true"


def _kind(said: str) -> str:
    return said.partition("urn:keywright:problem:")[2].partition('"')[0]


def _fresh(expected: dict[str, tuple[int, str, bool]]) -> list[Need]:
    return [need for key, need in declared().items() if expected.get(key, (0,))[0] == 403]
