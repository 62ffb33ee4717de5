"""The administration login is turned by the same machine, and never locks anybody out.

The database is in memory here, so that every point can be tried; `test_administration_engines.py` has real ones.
"""

import secrets
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from providers.escrow import EscrowFile
from providers.keys.file import FileKey
from service.core.access import Caller
from service.core.administration import MOST_WAYS
from service.core.connection import Access, Account, Endpoint, Probe, Rejected, Unreachable
from service.core.database import Fence
from service.core.errors import Invalid
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.ledger import connections, environments
from service.ledger.rotations import Claim
from tests.rigs.rotating import Died, Stand, stand


def ways(here: Stand) -> tuple[Access, ...]:
    """How the ledger believes that the administration login gets in."""
    with here.service.ledger.read() as tx:
        wall = environments.find(tx, "production")
        assert wall is not None
        stored = connections.find(tx, wall.id, "shop/db")
        assert stored is not None
        return here.service.keeper.briefs.ways(tx, stored)


def works(here: Stand, account: Account) -> bool:
    """Would it log in?"""
    return here.fake.valid(account.username, account.password.reveal())


def escrowed(here: Stand) -> list[Account]:
    """What the escrow file holds, opened with the master key alone."""
    wrapper = FileKey(here.folder / "master.key", secrets.token_bytes)
    entries = EscrowFile(here.folder / "escrow", wrapper, secrets.token_bytes).entries()
    return [held.account for entry in entries for held in entry.accounts]


def known(here: Stand) -> bool:
    """Is a password of the administration login known that works, to the ledger and outside of it?"""
    found = ways(here)
    assert len(found) <= MOST_WAYS
    return any(works(here, way.account) for way in found) and any(works(here, account) for account in escrowed(here))


def turn(here: Stand, connection: str) -> None:
    """An emergency rotation of that connection, to its end, at once."""
    before, here.turned, here.fatal = here.turned, connection, 0
    here.service.keeper.rotations.ask(SYSTEM, "production", connection, "", emergency=True)
    here.work()
    story = here.latest()
    assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]
    here.turned = before


@pytest.mark.parametrize("strategy", Strategy)
def test_dying_anywhere_locks_nobody_out(strategy: Strategy) -> None:
    """Die at every point of a rotation of the administration login; ordinary ones can be turned at once."""
    with stand(strategy, itself=True, settings={"escrow": "escrow"}) as here:
        # Only `single` has moments at which one password ends when the other begins: there every point is tried.
        for point in count(1, 1 if strategy is Strategy.SINGLE else 3):
            here.ask()
            here.fetch()
            here.die_at(point)
            try:
                story = here.run(step=7)
                died = False
            except Died:
                died = True
                here.reopen()
                assert known(here)
                here.check()
                story = here.run(step=7)
            assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]
            assert works(here, ways(here)[0].account)
            here.held.clear()
            if not died:
                break
        assert point > 15
        turn(here, "shop/db")


@pytest.mark.parametrize("strategy", Strategy)
def test_a_lost_reply_is_settled_by_a_look(strategy: Strategy) -> None:
    """The database commits and its reply is lost: whichever password is in force, somebody knows it."""
    with stand(strategy, itself=True, settings={"escrow": "escrow"}) as here:
        here.ask()
        here.fake.losing = 1
        assert here.run().rotation.stage is Stage.RETIRED
        assert known(here)


def test_ordinary_connections_are_turned_at_every_moment_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `single` one password ends when the other begins: whoever comes tries the one that is in force."""
    with stand(Strategy.SINGLE, itself=True) as here:
        moments, steps = [], here.service.keeper.steps
        rotation = here.ask().rotation

        def watch(name: str) -> None:
            step = getattr(steps, name)

            def watched(caller: Caller, held: Claim, *given: Any, **more: Any) -> None:
                if held.rotation_id == rotation.id:
                    turn(here, "shop/db")
                step(caller, held, *given, **more)
                if held.rotation_id == rotation.id:
                    turn(here, "shop/db")
                    moments.append(name)

            monkeypatch.setattr(steps, name, watched)

        for name in ("stage", "announce", "applied", "verified"):
            watch(name)
        assert here.run().rotation.stage is Stage.RETIRED
        assert moments == ["stage", "announce", "applied", "verified"]


def test_a_way_in_that_was_turned_after_the_brief_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is tried again with the way in that works: it is not taken for a missing privilege."""
    with stand(Strategy.SINGLE, itself=True) as here:
        change, asked = here.fake.set_password, []

        def late(administration: Access, username: str, password: Secret, fence: Fence) -> tuple[str, ...]:
            if not asked:
                asked.append(1)
                turn(here, "admin")
            return change(administration, username, password, fence)

        monkeypatch.setattr(here.fake, "set_password", late)
        here.turned = "shop/db"
        here.ask()
        story = here.run()
        assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]
        assert any("turned meanwhile" in line.sentence for line in story.lines)


@pytest.mark.parametrize("look", [Rejected("no"), Unreachable("too many connections")])
def test_a_new_password_that_does_not_log_in_is_taken_back(look: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that changed it stays until the new one was seen to work."""
    with stand(Strategy.SINGLE, itself=True) as here:
        probe = here.fake.probe

        def deaf(access: Access, endpoint: Endpoint) -> Probe:
            return look if works(here, access.account) and here.fake.log else probe(access, endpoint)

        here.ask()
        here.work()
        here.now += timedelta(seconds=14)
        monkeypatch.setattr(here.fake, "probe", deaf)
        here.work()
        assert here.fake.log
        assert here.fake.valid("admin", "admin-password")
        here.fake.log.clear()
        monkeypatch.setattr(here.fake, "probe", probe)
        story = here.run()
        assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]
        # Only a password that was seen to be refused is replaced by another one.
        restaged = any("stricter" in line.sentence for line in story.lines)
        assert restaged == isinstance(look, Rejected)


def test_stuck_never_means_that_nobody_knows() -> None:
    """Somebody else turned it: both passwords stay sealed, and it goes on when one of them is back."""
    with stand(Strategy.SINGLE, itself=True) as here:
        here.ask()
        here.work()
        here.fake.create("admin", "of-somebody-else")
        here.now += timedelta(seconds=14)
        here.work()
        story = here.latest()
        assert story.rotation.stage is Stage.STUCK
        assert "both are kept" in story.rotation.reason
        assert len(ways(here)) == 2
        here.fake.create("admin", "admin-password")
        here.service.keeper.rotations.retry(SYSTEM, story.rotation.id)
        assert here.run().rotation.stage is Stage.RETIRED
        assert works(here, ways(here)[0].account)


def test_what_cannot_administer_itself() -> None:
    """A login that nobody holds the password of, and one whose password is elsewhere."""
    with stand(Strategy.SINGLE) as here:
        put = here.service.keeper.connections.put
        lone = here._target() | {"administered_by": "lone", "login": {"username": "lone"}}
        with pytest.raises(Invalid, match=r"login\.password"):
            put(SYSTEM, "production", "lone", registration(lone, None), if_match=None)
        kept = here._target() | {"administered_by": "lone", "kept_in": {"reference": "vault:secret/lone"}}
        with pytest.raises(Invalid, match="cannot administer itself"):
            put(SYSTEM, "production", "lone", registration(kept, None), if_match=None)
        here.fake.create("lone", "lone-password")
        wanted = registration(lone, Secret("lone-password"))
        shown, new = put(SYSTEM, "production", "lone", wanted, if_match=None)
        assert new
        assert shown.administered_by == "lone"
        here.service.keeper.connections.delete(SYSTEM, "production", "lone", if_match=None)
