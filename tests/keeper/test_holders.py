"""Who holds the former credential, by the log: the youngest fetch of each caller. The database is in memory."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from service.core.access import Caller
from service.core.rotation import Strategy
from service.core.variable import ValueKind
from service.keeper import holders
from service.keeper.granting import WantedGrant
from service.keeper.holders import Held
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger import postings
from tests.ledger.homes import put
from tests.rigs.rotating import Stand, stand


@pytest.fixture
def here() -> Iterator[Stand]:
    with stand(Strategy.OVERLAPPING) as made:
        yield made


def fetch(here: Stand, caller: Caller) -> None:
    here.now += timedelta(milliseconds=1)
    here.service.keeper.credentials.one(caller, "production", "shop/db")


def turn(here: Stand) -> None:
    """A rotation, as far as it gets at once: until it drains."""
    here.ask()
    here.work()


def held(here: Stand) -> Held:
    return here.service.keeper.holders.look(here.latest().rotation)


def names(here: Stand) -> list[str]:
    return [caller.name for caller in held(here).callers]


def test_a_caller_holds_what_it_fetched_last(here: Stand) -> None:
    """Who fetched before the publication holds the former one; who fetched again does not."""
    behind, abreast = here.machine("behind"), here.machine("abreast")
    fetch(here, behind)
    fetch(here, abreast)
    turn(here)
    assert names(here) == ["abreast", "behind"]  # the youngest first
    fetch(here, abreast)
    (found,) = held(here).callers
    assert (found.name, found.generation, found.address) == ("behind", 1, "address-of-behind")


def test_a_value_made_of_the_credential_counts(here: Stand) -> None:
    """A template hands out the password as well, and the event says of which generation."""
    put(here.service, "shop/URL", "${connection:shop/db#url}", kind=ValueKind.TEMPLATE)
    here.machine("templated")
    here.service.keeper.granting.to_token(SYSTEM, "templated", WantedGrant("use", "folder", "production", "shop"))
    token = next(t for t, _ in here.service.keeper.tokens.listed(SYSTEM, "", 10) if t.name == "templated")
    caller = Caller(token.id, token.name, "machine", token.grants)
    fetch_value(here, caller)
    turn(here)
    assert names(here) == ["templated"]
    fetch_value(here, caller)
    assert names(here) == []


def fetch_value(here: Stand, caller: Caller) -> None:
    here.now += timedelta(milliseconds=1)
    here.service.keeper.values.fetch(caller, "production", Wanted(("shop/URL",)))


def test_who_cannot_come_again_is_not_waited_for(here: Stand) -> None:
    """Revoked tokens, expired ones, and those without a grant on the connection by now."""
    fetch(here, revoked := here.machine("revoked"))
    fetch(here, bare := here.machine("bare"))
    turn(here)
    assert names(here) == ["bare", "revoked"]
    here.service.keeper.tokens.revoke(SYSTEM, revoked.id)
    assert names(here) == ["bare"]
    (grant,) = [g for g in here.service.keeper.granting.listed(SYSTEM, "", 100) if g.holder.name == "bare"]
    here.service.keeper.granting.remove(SYSTEM, grant.id)
    assert bare.grants
    assert names(here) == []


def test_who_fetched_before_the_former_one_was_offered_holds_what_is_dead_already(here: Stand) -> None:
    """Two rotations ago: that password was proven dead by the last one."""
    fetch(here, here.machine("long-gone"))
    turn(here)
    here.run()
    turn(here)
    assert names(here) == []


def test_what_was_announced_was_handed_out() -> None:
    """Under `single` the next password is given out before it is live; whoever has only that holds it."""
    with stand(Strategy.SINGLE) as here:
        turn(here)
        fetch(here, here.machine("early"))
        here.run()
        here.ask()
        here.run()
        assert here.latest().rotation.generation == 3
        # It holds [first, second], and the second one has just ended.
        assert names(here) == ["early"]


def test_refused_fetches_and_other_connections_do_not_count(here: Stand) -> None:
    stranger = here.machine("stranger", path="shop/other")
    with pytest.raises(Exception, match="does not exist"):
        fetch(here, stranger)
    turn(here)
    assert names(here) == []


def test_the_lag_is_stated_and_worked_off_in_pieces(here: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look does a bounded piece of work; as long as there is a lag, nobody is taken to be gone."""
    monkeypatch.setattr(postings, "READS", 2)
    monkeypatch.setattr(holders, "_PAGES", 1)
    fetch(here, here.machine("behind"))
    turn(here)
    lags = [held(here).lag]
    assert lags[0] > 0
    assert held(here).somebody
    while lags[-1]:
        lags.append(held(here).lag)
    assert len(lags) > 2
    assert names(here) == ["behind"]


def test_many_callers_are_cut_off_and_it_is_said(here: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "MOST", 2)
    for name in ("a", "b", "c"):
        fetch(here, here.machine(name))
    turn(here)
    found = held(here)
    assert (len(found.callers), found.more) == (2, True)
