"""The judge itself: each kind of wrong answer in a history that is made up, and none in one that is right."""

from dataclasses import replace

import pytest

from tests.linear.administrator import ELSEWHERE
from tests.linear.history import Change, Fetch, Judgement, judged, judged_by_the_log
from tests.linear.world import TEMPLATE, Answer, Question, State, answer_in

ASKED = Question(1, "127.0.0.1", "value", ("shop/A",))
EMPTY = State(variables={"shop/A": "zero"}, tokens={1: frozenset({"shop"})})
STATES = [EMPTY, EMPTY.put("shop/A", "one"), EMPTY.put("shop/A", "two")]
CHANGES = [Change(10, 20, "one put", STATES[1], "c1"), Change(30, 40, "two put", STATES[2], "c2")]


def fetched(began: int, ended: int, value: str, waits: int = 0, *, same: bool = False, mark: str = "f") -> Fetch:
    answer: Answer = value if value.isdecimal() else (("shop/A", value),)
    return Fetch(began, ended, ASKED, answer, mark, 0, waits, same)


def verdict(*fetches: Fetch) -> Judgement:
    return judged(EMPTY, CHANGES, fetches)


def test_what_overlaps_a_change_may_be_answered_either_way() -> None:
    found = verdict(fetched(1, 9, "zero"), fetched(15, 16, "zero"), fetched(15, 17, "one"), fetched(21, 50, "two"))
    assert (found.counts, found.races) == ({}, 3)


@pytest.mark.parametrize(
    ("fetch", "kind"),
    [
        (fetched(21, 22, "zero"), "stale"),
        (fetched(41, 99, "one"), "stale"),
        (fetched(1, 9, "one"), "early"),
        (fetched(15, 16, "two"), "early"),
        (fetched(15, 16, "404"), "torn"),
        (fetched(1, 101, "zero", 100, same=True), "asleep"),
    ],
)
def test_what_is_of_no_state_that_it_may_be_of(fetch: Fetch, kind: str) -> None:
    assert verdict(fetch).counts == {kind: 1}


def test_whoever_waits_may_be_told_that_nothing_changed_if_it_did_so_only_just_now() -> None:
    assert verdict(fetched(1, 35, "zero", 30, same=True)).counts == {}


def test_once_somebody_was_shown_the_new_nobody_who_begins_later_is_shown_the_old() -> None:
    assert verdict(fetched(12, 13, "one"), fetched(14, 15, "zero")).counts == {"inverted": 1}
    assert verdict(fetched(12, 14, "one"), fetched(13, 15, "zero")).counts == {}


def test_the_place_in_the_log_says_which_state() -> None:
    fetches = [fetched(15, 16, "zero", mark="a"), fetched(15, 16, "zero", mark="b"), fetched(15, 16, "zero", mark="-")]
    log = {"a": 1, "c1": 2, "b": 3, "c2": 4}
    found = judged_by_the_log(EMPTY, CHANGES, fetches, log)
    assert found.counts == {"slipped": 1}
    assert "request b" in found.shown[0]


def test_what_a_state_answers() -> None:
    state = State(
        variables={"shop/A": "1", "shop/B": "2", TEMPLATE: "", "other/C": None},
        tokens={1: frozenset({"shop"}), 2: frozenset({""}), 3: frozenset()},
        connections={"other/db": (2, "m")},
    )

    def answers(token: int, kind: str, *about: str, state: State = state, address: str = "127.0.0.1") -> Answer:
        return state.answer(Question(token, address, kind, about))

    assert answers(9, "value", "shop/A") == "401"
    assert answers(3, "value", "shop/A") == answers(1, "value", "other/C") == answers(2, "value", "no") == "404"
    assert answers(2, "value", "other/C") == "409"
    assert answers(1, "names", "shop/B", "shop/A") == (("shop/A", "1"), ("shop/B", "2"))
    assert answers(1, "value", TEMPLATE) == ((TEMPLATE, "1+2"),)
    assert answers(1, "folder", "shop") == (("shop/A", "1"), ("shop/B", "2"), (TEMPLATE, "1+2"))
    assert answers(2, "folder", "other") == ()
    assert answers(1, "folder", "shop", state=state.put("shop/B", None)) == "409"
    assert answers(1, "credential", "other/db") == "404"
    assert answers(2, "credential", "other/db") == (("other/db", "2 m"),)
    assert answers(2, "value", "shop/A", state=replace(state, open_to=("127.0.0.1",)), address=ELSEWHERE) == "403"
    assert answers(1, "value", "shop/A", state=state.revoked(1)) == "401"
    assert answers(1, "value", "shop/A", state=state.gone()) == "404"


def test_what_a_reply_says() -> None:
    assert answer_in(404, "value", {}) == "404"
    values = {"values": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]}
    assert answer_in(200, "names", values) == (("a", "1"), ("b", "2"))
