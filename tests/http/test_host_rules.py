"""Host rules over HTTP: who is told what, and what is refused. What they do, `scheduler/test_host_rules.py` shows."""

import httpx2
import pytest

from tests.http.conftest import CONNECTION, PASSWORD
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright

PLACE = "/environments/production/host-rules/shop/db"


def _lines(client: httpx2.Client, **query: str) -> list[str]:
    answer = client.get(PLACE, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


def _rules(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


def test_they_are_told(owner: httpx2.Client) -> None:
    told = _rules(_lines(owner, **{"from": "10.1.0.0/16,2001:db8::/32", "keywright_from": "10.9.0.4/32"}))
    assert told == [
        "host shop app,app_a,app_b 10.1.0.0/16 scram-sha-256",
        "host shop app,app_a,app_b 2001:db8::/32 scram-sha-256",
        "host shop app,app_a,app_b 10.9.0.4/32 scram-sha-256",
        "host shop admin 10.9.0.4/32 scram-sha-256",
        "host all,replication app,app_a,app_b,admin all reject",
    ]


def test_no_secret_is_in_them(owner: httpx2.Client) -> None:
    text = owner.get(PLACE, params={"from": "10.1.0.0/16"}).text
    assert PASSWORD not in text
    assert "admin-password" not in text


def test_without_networks_the_allowlist_says_it(it: Keywright, owner: httpx2.Client) -> None:
    answer = owner.get(PLACE)
    assert (answer.status_code, answer.json()["field"]) == (422, "from")
    assert "has no allowlist" in answer.json()["detail"]
    wall = "/environments/production"
    owner.patch(wall, json={"allowlist": ["127.0.0.0/8"]}).raise_for_status()
    try:
        lines = _lines(owner)
    finally:
        owner.patch(wall, json={"allowlist": []}).raise_for_status()
    assert _rules(lines)[:2] == [
        "host shop app,app_a,app_b 127.0.0.0/8 scram-sha-256",
        "host shop admin 127.0.0.0/8 scram-sha-256",
    ]
    assert any("Nobody said where Keywright comes from" in line for line in lines)


@pytest.mark.parametrize("field", ["from", "keywright_from"])
@pytest.mark.parametrize(
    "wrong", ["banana", "10.1.0.1/16", "10.0.0.0/33", "", ",", "10.0.0.0/8 ", "fe80::%x/128", "1.2"]
)
def test_what_is_no_network_is_refused(owner: httpx2.Client, field: str, wrong: str) -> None:
    answer = owner.get(PLACE, params={"from": "10.0.0.0/8", field: wrong})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_everywhere_is_said_aloud(owner: httpx2.Client) -> None:
    for everywhere in ("0.0.0.0/0", "::/0"):
        lines = _lines(owner, **{"from": everywhere, "keywright_from": "10.9.0.4/32"})
        assert any(f"CAREFUL: {everywhere}" in line for line in lines)
        assert f"host shop app,app_a,app_b {everywhere} scram-sha-256" in lines
    assert not any("CAREFUL" in line for line in _lines(owner, **{"from": "10.0.0.0/8"}))


def test_a_network_in_another_one_takes_no_line(owner: httpx2.Client) -> None:
    lines = _rules(_lines(owner, **{"from": "10.1.2.0/24,10.1.0.0/16,10.1.0.0/16", "keywright_from": "10.1.2.3"}))
    assert [line.split()[3] for line in lines] == ["10.1.0.0/16", "10.1.2.3/32", "all"]


def test_the_administration_login_is_for_who_may_see_its_connection(it: Keywright) -> None:
    here = {"level": "use", "kind": "connection", "environment": "production"}
    narrow = it.client(it.token("narrow", here | {"path": "shop/db"}))
    answer = narrow.get(PLACE, params={"from": "10.1.0.0/16"}).json()
    assert answer["administration_logins"] == []
    assert not any("admin" in line.split()[2].split(",") for line in _rules(answer["lines"]))
    assert any("you may not see the connection shop/admin" in line for line in answer["lines"])
    wider = it.client(it.token("wider", here | {"path": "shop/db"}, here | {"path": "shop/admin"}))
    assert wider.get(PLACE, params={"from": "10.1.0.0/16"}).json()["administration_logins"] == ["admin"]


def test_a_connection_that_administers_itself_is_told_once(owner: httpx2.Client, database: FakeDatabase) -> None:
    database.create("itself", PASSWORD)
    itself = {"administered_by": "shop/itself", "rotation": {"strategy": "single"}, "tls": {"mode": "require"}}
    body = CONNECTION | itself | {"login": {"username": "itself", "password": PASSWORD}}
    owner.put("/environments/production/connections/shop/itself", json=body).raise_for_status()
    answer = owner.get("/environments/production/host-rules/shop/itself", params={"from": "10.9.0.4/32"})
    assert _rules(answer.json()["lines"]) == [
        "hostssl shop itself 10.9.0.4/32 scram-sha-256",
        "host all,replication itself all reject",
    ]


def test_a_name_that_cannot_be_written_is_refused(owner: httpx2.Client, database: FakeDatabase) -> None:
    """From 16 on, `/` begins a regular expression, in quotes as well: it would let in others."""
    database.create("/app", PASSWORD)
    body = CONNECTION | {"login": {"username": "/app", "password": PASSWORD}}
    owner.put("/environments/production/connections/shop/slash", json=body).raise_for_status()
    answer = owner.get("/environments/production/host-rules/shop/slash", params={"from": "10.9.0.4/32"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:keywright:problem:conflict")
    assert "regular expression" in answer.json()["detail"]


def test_it_is_recorded(it: Keywright, owner: httpx2.Client) -> None:
    _lines(owner, **{"from": "10.1.0.0/16"})
    events = owner.get("/events", params={"action": "connection.host_rules"}).json()["items"]
    assert {(e["environment"], e["resource"]) for e in events} >= {("production", "shop/db")}
