"""Promise 4: the process may die at any instruction, and whoever picks the rotation up finishes it or undoes it.

The database is in memory here, so that every point can be tried; the real engines have tests of their own.
"""

import copy
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from service.core.rotation import Stage, Strategy
from service.core.sealed import credential_context
from service.core.secret import Secret
from service.keeper.tokens import SYSTEM
from service.ledger import connections, environments
from tests.rigs.rotating import Died, Stand, stand


def _offered_works(here: Stand) -> None:
    for entry in here.fetch().entries:
        assert here.fake.valid(entry.account.username, entry.account.password.reveal())


@pytest.mark.parametrize("strategy", Strategy)
def test_dying_anywhere_breaks_no_promise(strategy: Strategy) -> None:
    """Die at every point of a rotation, one point after the other, until one gets through without dying."""
    with stand(strategy) as here:
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        for point in count(1):
            here.ask()
            here.fetch()
            here.die_at(point)
            try:
                story = here.run()
                died = False
            except Died:
                died = True
                here.reopen()
                here.check()  # what was promised still holds, before anybody has picked it up
                story = here.run()
            assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]
            _offered_works(here)
            if not died:
                break
        assert point > 15
        assert here.service.keeper.events.verify(SYSTEM).broken_at is None


@pytest.mark.parametrize("strategy", Strategy)
def test_a_lost_reply_is_settled_by_a_look(strategy: Strategy) -> None:
    """The database commits and its reply is lost: nobody is told a wrong password."""
    with stand(strategy) as here:
        here.fetch()
        here.ask()
        here.fake.losing = 1
        assert here.run().rotation.stage is Stage.RETIRED
        _offered_works(here)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_database_that_does_nothing_for_a_while(strategy: Strategy) -> None:
    """It hangs: the rotation waits with growing delays, and goes on when it answers."""
    with stand(strategy) as here:
        here.ask()
        here.fake.hanging = True
        for _ in range(20):
            here.work()
            here.fetch()
        story = here.latest()
        assert story.rotation.stage in (Stage.PLANNED, Stage.STAGED)
        assert story.rotation.attempts >= 1
        here.fake.hanging = False
        assert here.run(seconds=900).rotation.stage is Stage.RETIRED


@pytest.mark.parametrize("strategy", Strategy)
def test_the_ledger_knows_a_password_before_the_database_does(strategy: Strategy) -> None:
    """Promise 2: whatever the database is asked for was sealed and committed before."""
    with stand(strategy) as here:
        asked = []

        def watch(name: str) -> None:
            change = getattr(here.fake, name)

            def watched(*arguments: Any) -> Any:
                asked.append(arguments[-2])
                assert arguments[-2] in _sealed(here)
                return change(*arguments)

            setattr(here.fake, name, watched)

        for name in ("join", "add_password", "set_password"):
            watch(name)
        for _ in range(2):
            here.ask()
            assert here.run().rotation.stage is Stage.RETIRED
        assert len(asked) >= 2


def test_a_lost_reply_and_then_no_permission() -> None:
    """The candidate is in force though nobody confirmed it: it must not be taken for abandoned."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.fake.losing = 1
        while here.fake.losing:
            here.work()
            here.fetch()
            here.now += timedelta(seconds=1)
        here.fake.powerless = True
        story = here.run(seconds=600)
        assert story.rotation.stage is Stage.STUCK
        here.fetch()
        here.check()
        here.fake.powerless = False
        here.service.keeper.rotations.retry(SYSTEM, story.rotation.id)
        assert here.run().rotation.stage is Stage.RETIRED


def _sealed(here: Stand) -> list[Secret]:
    with here.service.ledger.read() as tx:
        wall = environments.find(tx, "production")
        assert wall is not None
        connection = connections.find(tx, wall.id, "shop/db")
        assert connection is not None
        held = [c for c in connections.standing(tx, connection.id) if c.sealed]
        ring = here.service.keeper.keyrings.sealer(tx, wall.id)
        return [ring.unseal(c.sealed or b"", credential_context(wall.id, c.login_id, c.id)) for c in held]


def test_nothing_is_thrown_away_on_doubt() -> None:
    """Promise 3: the former password's sealed copy stays until another one was seen to log in."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        before = copy.deepcopy(here.fake.logins)
        here.fake.powerless = True
        story = here.run()
        assert story.rotation.stage is Stage.ABANDONED
        assert "may not change passwords" in story.rotation.reason
        assert here.fake.logins == before
        assert here.fetch().entries[0].account.password.reveal() == "first-password"
