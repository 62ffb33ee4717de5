"""Passwords that live in a store, where a rotation does not go straight on. Store and database are in memory."""

import json
from datetime import timedelta

import pytest

from service.core.errors import Conflict
from service.core.reference import Reference
from service.core.rotation import Stage, Step, Strategy
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from tests.rigs.fake_store import FakeStore
from tests.rigs.rotating import Stand, stand

HOME = {"reference": "vault:shop", "password_key": "password", "username_key": "username"}


def put(here: Stand, kept_in: dict[str, str] | None = None) -> None:
    """Put `shop/db`; its password lives where `kept_in` says."""
    rotation = {"strategy": here.strategy.value, "drain_minimum": "10s", "drain_limit": "10s"}
    data = here._target() | {"administered_by": "admin", "rotation": rotation}
    data |= {"kept_in": kept_in} if kept_in else {}
    wanted = registration(data, None)
    here.service.keeper.connections.put(SYSTEM, "production", "shop/db", wanted, if_match=None)


def kept(store: FakeStore) -> tuple[str, str]:
    """What the store holds now."""
    held = json.loads(store.read(Reference("vault", "shop")).value.reveal())
    return held["username"], held["password"]


def moved_in(here: Stand, store: FakeStore) -> None:
    """The connection again, its password in the store."""
    store.put("shop", json.dumps({"username": "shop", "password": "first-password"}))
    here.service.keeper.connections.delete(SYSTEM, "production", "shop/db", if_match=None)
    put(here, HOME)


@pytest.mark.parametrize("strategy", [Strategy.ALTERNATING, Strategy.SINGLE])
def test_abandoning_takes_back_what_was_written_back(strategy: Strategy) -> None:
    """The store has the candidate already, and the rotation is undone: the store has the former again."""
    store = FakeStore()
    with stand(strategy, stores={"vault": store}) as here:
        moved_in(here, store)
        publish = here.service.keeper.steps.publish
        here.service.keeper.steps.publish = lambda *_: (_ for _ in ()).throw(Conflict("not yet"))  # type: ignore[method-assign]
        here.ask()
        for _ in range(30):
            here.work()
            here.now += timedelta(seconds=5)
        assert here.latest().rotation.stage is Stage.VERIFIED
        assert kept(store)[1] != "first-password"
        here.service.keeper.steps.publish = publish  # type: ignore[method-assign]
        here.service.keeper.rotations.abandon(SYSTEM, here.latest().rotation.id)
        assert here.run().rotation.stage is Stage.ABANDONED
        assert kept(store) == ("shop", "first-password")
        assert here.fake.valid(*kept(store))


def test_where_a_password_lives_is_not_changed_in_passing() -> None:
    """Neither added, nor moved, nor taken away: the only copy could be lost."""
    store = FakeStore()
    with stand(Strategy.SINGLE, stores={"vault": store}) as here:
        with pytest.raises(Conflict, match="kept_in cannot be changed"):
            put(here, HOME)
        moved_in(here, store)
        for other in (None, HOME | {"reference": "vault:elsewhere"}):
            with pytest.raises(Conflict, match="kept_in cannot be changed"):
                put(here, other)
        put(here, HOME)


def test_a_store_that_names_another_login_is_not_followed() -> None:
    """The resting login is chosen by the ledger: the live one is never reset."""
    store = FakeStore()
    with stand(Strategy.ALTERNATING, stores={"vault": store}) as here:
        moved_in(here, store)
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        live = kept(store)
        here.fake.create("shop_b", "somebody-made-it")
        store.put("shop", json.dumps({"username": "shop_b", "password": "somebody-made-it"}))
        here.ask()
        here.work()
        story = here.latest()
        assert story.rotation.stage is Stage.ABANDONED
        assert "the live login is shop_a" in story.rotation.reason
        assert here.fake.valid(*live)


def test_a_store_that_is_away_is_asked_again() -> None:
    """Unreachable is not absent: the rotation waits."""
    store = FakeStore()
    with stand(Strategy.SINGLE, stores={"vault": store}) as here:
        moved_in(here, store)
        store.down = True
        here.ask()
        here.work()
        assert here.latest().rotation.stage is Stage.PLANNED
        store.down = False
        assert here.run(seconds=600).rotation.stage is Stage.RETIRED


def test_no_revert_where_a_store_has_the_new_one() -> None:
    """Rotate again instead."""
    store = FakeStore()
    with stand(Strategy.ALTERNATING, stores={"vault": store}) as here:
        moved_in(here, store)
        here.ask()
        here.work()
        assert here.latest().rotation.stage is Stage.DRAINING
        with pytest.raises(Conflict, match="kept in a store"):
            here.service.keeper.rotations.revert(SYSTEM, here.latest().rotation.id)


def test_a_rotation_stuck_before_publication_is_not_reverted() -> None:
    """Its candidate was never live: there is nothing to go back from."""
    with stand(Strategy.OVERLAPPING) as here:
        here.service.rotator._take.update({Step.VERIFY: lambda held, brief: here.service.keeper.steps.stick(
            SYSTEM, held, "a person must look"
        ) or False})  # fmt: skip
        here.ask()
        assert here.run().rotation.stage is Stage.STUCK
        with pytest.raises(Conflict, match="cannot become reverted"):
            here.service.keeper.rotations.revert(SYSTEM, here.latest().rotation.id)
        assert isinstance(here.fetch().entries[0].account.password, Secret)
