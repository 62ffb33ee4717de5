"""Events: the links of their chain, and persons that can be erased from it."""

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.access import Caller
from service.core.event import (
    GENESIS,
    Batch,
    Event,
    Opened,
    Outcome,
    batch,
    chain_key,
    digest,
    fit,
    intact,
    link,
)

KEY = chain_key(bytes(32))
ANNA = Caller("id-1", "anna", "person", (), "192.0.2.7", "request-1")
EVENT = Event(
    datetime(2026, 11, 22, tzinfo=UTC), ANNA, "value.fetch", Outcome.ALLOWED, "production", "shop/A", {"version": 3}
)
BEN = replace(ANNA, name="ben", request_id="request-2")
MADE = batch([EVENT, replace(EVENT, caller=BEN, resource="shop/B")], secrets.token_bytes)


def entries(made: Batch) -> list[dict[str, object]]:
    opened = Opened(made)
    return [opened.entry(place) for place in range(len(opened.lines))]


def test_a_link_depends_on_everything_before_and_in_it() -> None:
    whole = link(KEY, GENESIS, 1, MADE)
    assert len(whole) == len(GENESIS) == 32
    assert link(KEY, GENESIS, 1, MADE) == whole
    others = {
        link(chain_key(bytes(31) + b"\1"), GENESIS, 1, MADE),
        link(KEY, whole, 1, MADE),
        link(KEY, GENESIS, 2, MADE),
        link(KEY, GENESIS, 1, replace(MADE, count=1)),
        link(KEY, GENESIS, 1, replace(MADE, body=MADE.body + " ")),
    }
    assert whole not in others
    assert len(others) == 5


def test_erasure_keeps_the_chain_whole() -> None:
    erased = replace(MADE, persons=json.dumps([None, json.loads(MADE.persons)[1]]))
    assert link(KEY, GENESIS, 1, erased) == link(KEY, GENESIS, 1, MADE)
    assert intact(erased)
    assert "anna" not in MADE.body
    assert "192.0.2.7" not in MADE.body
    assert "anna" not in json.dumps(json.loads(erased.persons)[0])


def test_persons_are_told_by_salted_digests() -> None:
    callers, persons = json.loads(MADE.body)["callers"], json.loads(MADE.persons)
    assert callers[0] == ["id-1", "person", digest(persons[0]["salt"], "anna"), digest(persons[0]["salt"], "192.0.2.7")]
    assert callers[0][3] != callers[1][3]  # a salt each: the same address is not recognised
    assert len(persons[0]["salt"]) == 32
    assert intact(MADE)
    assert not intact(replace(MADE, count=1))
    again = batch([EVENT], secrets.token_bytes)
    assert json.loads(again.body)["callers"][0][2:] != callers[0][2:]


def test_a_number_of_any_size_is_recorded() -> None:
    told = {"most": 2**63 - 1, "more": 2**63, "least": -(2**63), "less": -(2**63) - 1, "no": False, "none": None}
    made = batch([replace(EVENT, detail=told)], secrets.token_bytes)
    assert entries(made)[0]["detail"] == told | {"more": str(2**63), "less": str(-(2**63) - 1)}


def test_the_request_is_the_events_own_or_the_callers() -> None:
    made = batch([EVENT, replace(EVENT, request_id="own\x00\ud800")], secrets.token_bytes)
    assert [each["request"] for each in entries(made)] == [
        "request-1",
        "own\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
    ]
    assert len(Opened(made).callers) == 1


def test_what_events_of_a_batch_share_is_written_once() -> None:
    made = batch([EVENT, replace(EVENT, at=EVENT.at + timedelta(seconds=1)), EVENT], secrets.token_bytes)
    body = json.loads(made.body)
    assert (len(body["callers"]), len(body["deeds"]), len(body["events"]), made.count) == (1, 1, 3, 3)
    assert len(json.loads(made.persons)) == 1
    assert [entry["at"][17:19] for entry in entries(made)] == ["00", "01", "00"]


def test_changed_persons_do_not_match() -> None:
    for field in ("salt", "name", "address"):
        persons = json.loads(MADE.persons)
        persons[1][field] += "x"
        assert not intact(replace(MADE, persons=json.dumps(persons)))
    for wrong in ([], [None], [None] * 3):
        assert not intact(replace(MADE, persons=json.dumps(wrong)))
    swapped = json.loads(MADE.persons)[::-1]
    assert not intact(replace(MADE, persons=json.dumps(swapped)))


def test_the_body_is_canonical() -> None:
    assert json.dumps(json.loads(MADE.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == MADE.body


def test_an_event_is_shown_as_it_happened() -> None:
    first, second = entries(MADE)
    assert first == {
        "at": "2026-11-22T00:00:00+00:00",
        "actor": "id-1",
        "kind": "person",
        "name": "anna",
        "address": "192.0.2.7",
        "request": "request-1",
        "action": "value.fetch",
        "outcome": "allowed",
        "environment": "production",
        "resource": "shop/A",
        "detail": {"version": 3},
    }
    assert second == first | {"name": "ben", "request": "request-2", "resource": "shop/B"}
    erased = replace(MADE, persons=json.dumps([None, json.loads(MADE.persons)[1]]))
    assert entries(erased) == [first | {"name": None, "address": None}, second]


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_whatever_a_request_names_it_can_be_stored(environment: str, resource: str, told: str) -> None:
    said = replace(EVENT, environment=environment, resource=resource, detail={"path": told})
    made: Batch = batch([said], secrets.token_bytes)
    made.body.encode()
    entry = entries(made)[0]
    assert not {"\0", *map(chr, range(0xD800, 0xE000))} & set(entry["environment"] + entry["resource"])
    assert len(entry["environment"]) <= 200


def test_ordinary_names_are_left_as_they_are() -> None:
    assert fit("shop/db/PASSWORD ü \U0001f511") == "shop/db/PASSWORD ü \U0001f511"
