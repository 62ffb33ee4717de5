"""When a pooled connection goes: by its promise and by what is offered, never because nobody answers."""

from datetime import UTC, datetime, timedelta

import pytest
from keywright import Credential, Unreachable
from keywright.credential import from_wire
from keywright.retirement import Mark, mark, retired

from tests.client.server import credential, entry

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def offered(*passwords: str, good_for: float = 100, generation: int = 7, stale: bool = False) -> Credential:
    """A set at noon."""
    until = (NOON + timedelta(seconds=good_for)).isoformat()
    told = from_wire(
        credential(*(entry(password=text) | {"good_until": until} for text in passwords), generation=generation)
    )
    return told if not stale else Credential(**{**vars(told), "stale": True})


def at(seconds: float) -> datetime:
    """So many seconds past noon."""
    return NOON + timedelta(seconds=seconds)


def marked(good_for: float = 100) -> Mark:
    """A connection that was opened at noon with the password "a"."""
    first = offered("a", good_for=good_for)
    return mark(first, first.best, NOON)


def test_it_looks_between_a_half_and_nine_tenths_and_not_all_at_once() -> None:
    points = {marked().look_at for _ in range(50)}
    assert len(points) > 40
    assert all(point is not None and at(50) <= point <= at(90) for point in points)
    assert not marked().looks(at(49))
    assert marked().looks(at(90))


def test_it_goes_when_another_login_is_offered_first() -> None:
    assert marked().over(offered("b", "a", generation=8), at(91))


def test_it_stays_while_its_login_is_the_first_and_looks_again_later() -> None:
    it = marked()
    assert not it.over(offered("a", "b", good_for=200), at(100))
    assert it.look_at is not None
    assert at(150) <= it.look_at <= at(190)


def test_it_stays_while_nobody_answers() -> None:
    assert not marked().over(offered("b", stale=True), at(91))

    def away() -> Credential:
        raise Unreachable("away")

    old = mark(offered("a"), offered("a").best, NOON)  # long past by today's clock or long ahead: look at once
    old.look_at = NOON - timedelta(days=36500)
    assert not retired(old, away)
    assert retired(old, lambda: offered("b"))


def test_nobody_is_asked_before_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Credential:
        pytest.fail("asked")

    first = offered("a")
    fresh = Mark(first.generation, first.best, datetime.now(UTC) + timedelta(hours=1))
    assert not retired(fresh, never)
    assert not retired(None, never)
    assert not retired(Mark(first.generation, first.best, None), never)
