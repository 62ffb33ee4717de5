"""What is not for a caller is as if it were not there: the same answer, by the same statements.

Both are asked for by somebody who may not know of it: what there is, and what there is not. The answers are compared
but for the request's id and the names that were asked for; what was asked of the ledger meanwhile is compared in number
and text. So neither words nor work tell the two apart.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from sqlalchemy import event

from service.core.connection import Engine
from tests.access.asking import Answer, absent, ask
from tests.access.callers import OTHERS, Callers, bearer
from tests.access.conftest import World
from tests.access.needs import Need, declared
from tests.access.things import ELSEWHERE, HERE, INSIDE, WALLED, Thing
from tests.rigs.keywright import running_keywright

ASIDE = ("indexer", "pruner", "courier", "follower")
"""Threads that ask the ledger by themselves, whoever asks Keywright."""
HIDDEN = [need for need in declared().values() if need.level]


def each(needs: list[Need]) -> pytest.MarkDecorator:
    """One test for each operation."""
    return pytest.mark.parametrize("need", needs, ids=lambda need: need.key)


@contextmanager
def traced(world: World) -> Iterator[list[str]]:
    """The statements that are sent meanwhile on behalf of requests."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not threading.current_thread().name.startswith(ASIDE):
            sent.append(statement)

    engine = world.it.service.ledger.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def recorded(world: World) -> int:
    """How many events there are."""
    with world.it.service.ledger.read() as tx:
        return int(tx.sql.exec_driver_sql("SELECT seq FROM head").scalar_one())


def asked(world: World, need: Need, thing: Thing, text: str) -> tuple[Answer, list[str]]:
    # What others changed just now is read before, and so is what the indexer has to catch up with.
    world.nobody.get("/api/v1/me", headers=bearer(text))
    before = recorded(world)
    world.it.service.indexer.reach(before, seconds=30)
    with traced(world) as sent:
        answer = ask(world.nobody, need, thing, bearer(text), world.things)
    assert recorded(world) == before + 1, "a refusal is recorded like everything else"
    return answer, sent


def alike(world: World, need: Need, there: Thing, nothing: Thing, text: str) -> None:
    found, by = asked(world, need, there, text)
    missing, by_too = asked(world, need, nothing, text)
    assert (found.status, found.said) == (missing.status, missing.said)
    assert found.status in (403, 404), found.said
    assert by == by_too


@each(HIDDEN)
def test_another_environments_things_are_as_absent_as_nothing(world: World, callers: Callers, need: Need) -> None:
    there = world.things(need.thing)
    alike(world, need, there, absent(there), callers.token(OTHERS))


@each([need for need in HIDDEN if need.thing in INSIDE])
def test_a_neighbours_things_are_as_absent_as_nothing(world: World, callers: Callers, need: Need) -> None:
    there = world.things(need.thing)
    beside = {"level": "own", "kind": "folder", "environment": HERE, "path": "bank"}
    alike(world, need, there, absent(there, inside=True), callers.token(beside))


@pytest.fixture(scope="module")
def pinned(world: World) -> Iterator[httpx2.Client]:
    """Another instance on the same ledger, which serves another environment only."""
    settings = {"environments": (ELSEWHERE,), "owner": world.it.owner, "data": world.it.data}
    databases = {Engine.POSTGRESQL: world.database}
    with (
        running_keywright(databases=databases, now=lambda: world.it.service.ledger.now(), **settings) as other,
        httpx2.Client(base_url=other.url, trust_env=False, timeout=90) as client,
    ):
        yield client


@each([need for need in HIDDEN if need.thing in WALLED])
def test_an_instance_of_another_environment_reaches_nothing(
    world: World, callers: Callers, pinned: httpx2.Client, need: Need
) -> None:
    """Also for whoever owns everything, or the very thing."""
    there = world.things(need.thing)
    for text in (world.it.owner, callers.token(there.grant("own"))):
        found = ask(pinned, need, there, bearer(text), world.things)
        missing = ask(pinned, need, absent(there), bearer(text), world.things)
        assert (found.status, found.said) == (missing.status, missing.said)
        assert found.status == 404, found.said
