"""Pendings: what waits for its other half is gone on with once, in time, and only as what it was begun as."""

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.core.errors import Often
from service.keeper import pendings as kept
from service.keeper.door import Deed
from service.keeper.tokens import SYSTEM
from service.ledger import pendings
from service.ledger.ledger import Transaction
from service.wiring import Service
from tests.ledger.homes import Home

HOUR = timedelta(hours=1)


def begun(service: Service, kind: str = "oidc", lasts: timedelta = HOUR, address: str = "", user_id: str = "") -> str:
    """Something that waits."""

    def act(tx: Transaction) -> str:
        return service.keeper.pendings.put(tx, kind, {"nonce": "n-1"}, lasts, address=address, user_id=user_id)

    return service.keeper.door.change(SYSTEM, Deed("test.begin"), act, aside=True)


def taken(service: Service, shown: str, kind: str = "oidc") -> dict[str, object] | None:
    """What it is gone on with."""
    return service.keeper.door.change(
        SYSTEM, Deed("test.take"), lambda tx: service.keeper.pendings.take(tx, kind, shown), aside=True
    )


def test_what_waits_is_taken_once(home: Home) -> None:
    service = home.service()
    shown = begun(service)
    assert taken(service, shown) == {"nonce": "n-1"}
    assert taken(service, shown) is None


def test_one_kind_is_not_passed_off_as_another(home: Home) -> None:
    service = home.service()
    shown = begun(service)
    assert taken(service, shown, "saml") is None
    assert taken(service, shown) is not None


def test_too_late_is_too_late(home: Home) -> None:
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    home.now = lambda: moment
    service = home.service()
    if home.engine == "postgresql":
        shown = begun(service, lasts=timedelta(microseconds=1))  # the clock is the database's
    else:
        shown = begun(service)
        moment += HOUR
    assert taken(service, shown) is None


def test_of_two_replicas_one_takes_it(pg_home: Home) -> None:
    replicas = [pg_home.service() for _ in range(2)]
    for _ in range(10):
        shown = begun(replicas[0])
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda service: taken(service, shown), replicas))  # noqa: B023
        assert sorted(result is None for result in results) == [False, True]


def test_neither_the_text_nor_what_belongs_to_it_is_in_the_ledger(home: Home) -> None:
    service = home.service()
    shown = begun(service)
    with service.ledger.connected() as sql:
        rows = sql.execute(text("SELECT * FROM pendings")).all()
    assert len(rows) == 1
    assert shown not in str(rows)
    assert "n-1" not in str(rows)


def test_seen_is_remembered(home: Home) -> None:
    service = home.service()

    def mark(tx: Transaction) -> bool:
        return pendings.mark(tx, "saml-assertion", "_id1", tx.now + HOUR)

    assert service.keeper.door.change(SYSTEM, Deed("test.mark"), mark) is True
    assert service.keeper.door.change(SYSTEM, Deed("test.mark"), mark) is False


def test_there_is_a_most_of_what_may_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    service = home.service()
    begun(service)
    begun(service)
    with pytest.raises(Often, match="under way"):
        begun(service)
    begun(service, "saml")


@pytest.mark.parametrize("same", [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:2")])
def test_one_network_keeps_nobody_else_from_beginning(
    home: Home, monkeypatch: pytest.MonkeyPatch, same: tuple[str, str]
) -> None:
    monkeypatch.setattr(kept, "MOST_BEGUN", 2)
    service = home.service()
    waiting = begun(service, lasts=timedelta(minutes=10), address=same[0])
    begun(service, address=same[1])
    for address in same:
        with pytest.raises(Often, match="from your address") as refused:
            begun(service, address=address)
        assert 590 <= refused.value.after <= 600, "until the first one is over"
    begun(service, "saml", address=same[0])
    begun(service, address="192.0.2.2")
    begun(service, address="2001:db8:0:1::1")
    begun(service)
    assert taken(service, waiting) is not None
    begun(service, address=same[0])


def test_one_user_keeps_nobody_else_from_beginning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 5)
    monkeypatch.setattr(kept, "MOST_OF_ONE", 2)
    service = home.service()
    ana, ben = (service.keeper.users.add(SYSTEM, f"{name}@shop.example").user.id for name in ("ana", "ben"))
    theirs = begun(service, user_id=ben)
    shown = [begun(service, lasts=HOUR + minutes * timedelta(minutes=1), user_id=ana) for minutes in range(9)]
    assert [taken(service, each) is not None for each in shown] == [False] * 7 + [True] * 2, "what ends soonest goes"
    assert taken(service, theirs) is not None


def test_what_is_over_counts_for_no_network(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BEGUN", 1)
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    home.now = lambda: moment
    service = home.service()
    if home.engine == "postgresql":
        begun(service, lasts=timedelta(microseconds=1), address="192.0.2.1")  # the clock is the database's
    else:
        begun(service, address="192.0.2.1")
        moment += HOUR
    begun(service, address="192.0.2.1")


def test_of_a_network_a_keyed_digest_is_kept(home: Home) -> None:
    service = home.service()
    begun(service, address="192.0.2.1")
    with service.ledger.connected() as sql:
        kept_of = bytes(sql.execute(text("SELECT network FROM pendings")).scalar_one())
    told = b"pending\0" + b"192.0.2.1"
    assert kept_of == hmac.digest(service.keeper.keyrings.tag_key(), told, "sha256")
    assert kept_of != hashlib.sha256(told).digest()


def test_what_waits_moves_no_epoch(home: Home) -> None:
    service = home.service()
    before = service.ledger.epoch()
    begun(service)
    assert service.ledger.epoch() == before
