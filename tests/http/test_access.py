"""People over HTTP: grants of every kind, explanations, what a request claims of its user, tokens of people's own."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from service.core import access
from service.core.access import Kind, Level
from service.keeper.sessions import Way
from service.keeper.tokens import SYSTEM
from service.ledger import environments, users
from tests.rigs import persons
from tests.rigs.keywright import Keywright

Grant = dict[str, Any]
Person = Callable[..., httpx2.Client]
PLACE = "/environments/production"


@pytest.fixture
def person(it: Keywright, owner: httpx2.Client) -> Person:
    """The client of a new user's session, with these grants."""

    def made(address: str, *grants: Grant, **attributes: Any) -> httpx2.Client:
        answer = owner.post("/users", json={"email": address, "attributes": attributes})
        assert answer.status_code == 201, answer.text
        for grant in grants:
            assert owner.post("/grants", json=grant | {"user": address}).status_code == 201
        return it.client(session(it, answer.json()["id"]))

    return made


def session(it: Keywright, user_id: str) -> str:
    """The text of a new session."""
    with it.service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        return it.service.keeper.sessions.opened(tx, user, Way("password", "127.0.0.1", "a test", factor_at=tx.now))[
            1
        ].reveal()


def on(kind: str, level: str, **more: str) -> Grant:
    return {"kind": kind, "level": level, **more}


OPERATIONS: dict[str, tuple[str, str, str, Any]] = {
    "see a variable": ("folder", "use", "GET", None),
    "change a variable": ("folder", "edit", "PUT", {"value": "x"}),
    "see a connection": ("connection", "use", "GET", None),
    "delete a connection": ("connection", "own", "DELETE", None),
    "see a policy": ("policy", "use", "GET", None),
    "change a policy": ("policy", "edit", "PUT", {"rotation": None}),
    "see a machine": ("machine", "use", "GET", None),
    "change a machine": ("machine", "edit", "PATCH", {"enabled": True}),
    "prove a machine": ("machine", "own", "POST", {"machine": "shop/web", "proof": {"kind": "approle"}}),
    "see people": ("people", "use", "GET", None),
    "make a user": ("people", "own", "POST", {"email": "new@people.example"}),
    "see settings": ("settings", "use", "GET", None),
    "change settings": ("settings", "own", "PATCH", {"step_up": 900}),
}
PATHS = {
    "folder": f"{PLACE}/variables/shop/HOST",
    "connection": f"{PLACE}/connections/shop/db",
    "policy": f"{PLACE}/policies/shop/db",
    "machine": "/machines/shop/web",
    "people": "/users",
    "settings": "/settings",
}
ON: dict[str, Grant] = {
    "folder": {"environment": "production", "path": "shop"},
    "connection": {"environment": "production", "path": "shop/db"},
    "policy": {"environment": "production", "path": "shop/db"},
    "machine": {"path": "shop"},
    "people": {},
    "settings": {},
}
LEVELS = ("use", "edit", "own")


@pytest.fixture
def machine(owner: httpx2.Client) -> None:
    """A machine that holds nothing."""
    owner.post("/machines", json={"name": "shop/web"})


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_level_on_each_kind_lets_do_what_it_says(it: Keywright, owner: httpx2.Client, operation: str) -> None:
    kind, least, method, body = OPERATIONS[operation]
    path = "/machine-proofs" if operation == "prove a machine" else PATHS[kind]
    for level in (None, *LEVELS):
        grants = [{"kind": kind, "level": level} | ON[kind]] if level else []
        name = f"{operation}-{level}".replace(" ", "-")
        client = it.client(it.token(name, *grants))
        if method == "DELETE" and level == least:
            # It is asked of what is not there, so that the other tests have theirs still.
            status = client.delete(path, headers={"If-Match": '"999"'}).status_code
            assert status == 412
            continue
        status = client.request(method, path, json=body).status_code
        if level is None:
            assert status == 404, (operation, level)
        elif LEVELS.index(level) < LEVELS.index(least):
            assert status == 403, (operation, level)
        else:
            assert status in (200, 201, 204, 409), (operation, level, status)


def test_a_grant_on_another_kind_reaches_nothing_of_it(it: Keywright) -> None:
    """Each kind is a place of its own; only everything holds all of them."""
    for kind in ("people", "settings", "machine"):
        client = it.client(it.token(f"only-{kind}", on(kind, "own")))
        for other in {"people", "settings", "machine"} - {kind}:
            assert client.get(PATHS[other]).status_code == 404
        assert client.get(PATHS["folder"]).status_code == 404


def test_who_has_the_policy_does_not_see_the_connection(it: Keywright) -> None:
    client = it.client(it.token("turner", on("policy", "edit", environment="production", path="shop/db")))
    shown = client.get(PATHS["policy"])
    assert shown.json()["connection"] == "shop/db"
    for path in ("/connections/shop/db", "/credentials/shop/db"):
        assert client.get(PLACE + path).status_code == 404
    assert client.get(f"{PLACE}/connections").json()["items"] == []
    turned = client.put(PATHS["policy"], json={"rotation": {"strategy": "alternating", "every": "7d"}})
    assert turned.status_code == 200, turned.text
    assert turned.json()["rotation"]["every"] == "7d"
    late = {"If-Match": shown.headers["ETag"]}
    assert client.put(PATHS["policy"], json={"rotation": None}, headers=late).status_code == 412


def test_nobody_proves_a_machine_that_holds_more_than_they_own(it: Keywright, owner: httpx2.Client) -> None:
    owner.post(
        "/machines", json={"name": "shop/strong", "grants": [on("environment", "use", environment="production")]}
    )
    keeper = it.client(it.token("machinist", on("machine", "own", path="shop")))
    assert keeper.get("/machines/shop/strong").status_code == 200
    for path, body in (
        ("/machine-proofs", {"machine": "shop/strong", "proof": {"kind": "approle"}}),
        ("/machine-secrets", {"machine": "shop/strong"}),
        ("/machine-tokens", {"machine": "shop/strong", "expires_in": "1h"}),
    ):
        assert keeper.post(path, json=body).status_code == 403, path
    assert keeper.get("/machines/bank/web").status_code == 404
    assert [each["name"] for each in keeper.get("/machines").json()["items"]] == ["shop/strong", "shop/web"]


def test_a_rule_is_looked_at_when_the_grant_is_made(owner: httpx2.Client) -> None:
    body = {"token": "owner", **on("environment", "use", environment="production"), "rule": "current_user.emial == ''"}
    answer = owner.post("/grants", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "rule")


def test_a_rule_narrows_what_its_grant_gives(it: Keywright, person: Person) -> None:
    rule = "'shop' in current_user.attributes.team && request.address.within('127.0.0.0/8')"
    grant = on("environment", "use", environment="production", rule=rule)
    inside = person("inside@rules.example", grant, team=["shop", "db"])
    outside = person("outside@rules.example", grant, team="bank")
    assert inside.get(f"{PLACE}/values/shop/HOST").status_code == 200
    assert outside.get(f"{PLACE}/values/shop/HOST").status_code == 404
    away = person("away@rules.example", grant | {"rule": "request.address.within('192.0.2.0/24')"})
    assert away.get(f"{PLACE}/values/shop/HOST").status_code == 404


def test_me_tells_who_asks(person: Person) -> None:
    client = person("me@people.example", on("environment", "use", environment="production"), team="shop")
    me = client.get("/me").json()
    assert (me["kind"], me["name"], me["attributes"]) == ("person", "me@people.example", {"team": "shop"})
    assert me["current_user"]["email"] == "me@people.example"
    assert me["current_user"]["method"] == "password"
    assert [each["user"] for each in me["grants"]] == ["me@people.example"]


def test_a_request_that_claims_another_user_is_refused_and_recorded(
    it: Keywright, owner: httpx2.Client, person: Person
) -> None:
    client = person("true@claims.example", on("environment", "edit", environment="production"))
    value, variable = f"{PLACE}/values/shop/HOST", f"{PLACE}/variables/claims/X"
    me = client.get("/me").json()
    for headers in (
        {"X-Current-User": "true@claims.example"},
        {"X-Current-User": me["id"]},
        {"X-Keywright-User-Email": "true@claims.example", "X-Keywright-User-Groups": ""},
    ):
        assert client.get(value, headers=headers).status_code == 200, headers
    for headers in (
        {"X-Current-User": "owner@claims.example"},
        {"X-Keywright-User-Email": "owner@claims.example"},
        {"X-Keywright-User-Groups": "admins"},
        {"X-Keywright-User-Role": "admin"},
    ):
        for path in (value, f"{PLACE}/variables", "/me"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 403, (path, headers)
            assert answer.json()["type"] == "urn:keywright:problem:claimed-user"
            assert "owner@claims" not in answer.text
    claimed = {"email": "owner@claims.example"}
    assert client.put(variable, json={"value": "x", "current_user": claimed}).status_code == 403
    assert client.get(variable).status_code == 404, "nothing was changed"
    for claimed in ({"email": me["name"]}, me["current_user"] | {"signed_in_at": None}):
        status = client.put(variable, json={"value": "x", "current_user": claimed}).status_code
        assert status == (201 if len(claimed) == 1 else 403)
    assert it.client().get(value, headers={"X-Current-User": "anybody@claims.example"}).status_code == 403
    told = owner.get("/events", params={"action": "caller.claim", "limit": 500}).json()["items"]
    assert len(told) == 4 * 3 + 2 + 1
    assert {each["outcome"] for each in told} == {"refused"}


def test_explain_tells_which_grant_by_which_way(it: Keywright, owner: httpx2.Client, person: Person) -> None:
    client = person("why@explain.example")
    user_id = client.get("/me").json()["id"]
    ids = [owner.post("/groups", json={"name": name}).json()["id"] for name in ("why-outer", "why-inner")]
    assert owner.put(f"/groups/{ids[0]}/members/{ids[1]}").status_code == 204
    assert owner.put(f"/groups/{ids[1]}/members/{user_id}").status_code == 204
    grant = on("folder", "edit", environment="production", path="shop") | {"group": "why-outer"}
    assert owner.post("/grants", json=grant).status_code == 201
    asked = {"action": "use", "resource": "variable:production/shop/HOST"}
    for who, query in ((client, {}), (owner, {"caller": "why@explain.example"})):
        it_says = who.get("/access/explain", params=asked | query).json()
        assert (it_says["allowed"], it_says["level"]) == (True, "edit")
        assert it_says["decided_by"]["by"] == ["why@explain.example", "why-inner", "why-outer"]
    more = client.get("/access/explain", params=asked | {"action": "own"}).json()
    assert not more["allowed"]
    assert "'own'" in more["missing"]
    assert "'edit'" in more["missing"]
    assert client.get("/access/explain", params={"action": "use", "resource": "people"}).json()["considered"] == []
    other = asked | {"caller": "token:owner"}
    assert client.get("/access/explain", params=other).status_code == 403
    assert client.get("/access/explain", params=asked | {"resource": "environment:staging"}).status_code == 404


def test_explain_tells_that_a_rule_decided(owner: httpx2.Client, person: Person) -> None:
    rule = "request.address.within('10.0.0.0/8')"
    client = person("rule@explain.example", on("environment", "use", environment="production", rule=rule))
    asked = {"action": "use", "resource": "environment:production", "caller": "user:rule@explain.example"}
    here = owner.get("/access/explain", params=asked).json()
    assert not here["allowed"]
    assert here["missing"].endswith("but its rule does not hold now")
    assert here["considered"][0]["rule"] == rule
    assert owner.get("/access/explain", params=asked | {"address": "10.1.1.1"}).json()["allowed"]
    assert client.get(f"{PLACE}/variables").status_code == 404


def test_explain_tells_of_a_rule_that_is_judged_no_more(it: Keywright, owner: httpx2.Client) -> None:
    """One that was kept before rules were counted."""
    groups = "current_user.groups"
    rule = f"{groups}.all(a, {groups}.all(b, a == b || true))"
    with it.service.ledger.read() as tx:
        found = environments.find(tx, "production")
    assert found is not None
    user = persons.add(
        it.service, "former@explain.example", access.Grant(Level.USE, Kind.ENVIRONMENT, found.id, "", rule)
    )
    asked = {"action": "use", "resource": "environment:production", "caller": "user:former@explain.example"}
    told = owner.get("/access/explain", params=asked).json()
    assert not told["allowed"]
    assert "judged any more" in told["missing"]
    assert "100,000 are the most" in told["missing"]
    assert it.client(persons.signed_in(it.service, user)).get(f"{PLACE}/variables").status_code == 404


def test_a_rule_can_be_tried(owner: httpx2.Client) -> None:
    body = {
        "rule": "'a' in current_user.groups && request.at.hour('UTC') == 22",
        "user": {"groups": ["a"]},
        "at": "2026-11-26T22:30:00Z",
    }
    assert owner.post("/access/rules/trials", json=body).json() == {"holds": True}
    assert owner.post("/access/rules/trials", json=body | {"user": {}}).json() == {"holds": False}
    assert owner.post("/access/rules/trials", json={"rule": "1"}).json()["field"] == "rule"


def test_a_token_of_ones_own_may_what_its_person_may(it: Keywright, owner: httpx2.Client, person: Person) -> None:
    client = person("own@tokens.example", on("environment", "use", environment="production"))
    made = client.post("/me/tokens", json={"name": "laptop", "expires_in": "1h"}).json()
    script = it.client(made["token"])
    assert script.get(f"{PLACE}/values/shop/HOST").status_code == 200
    assert script.get("/environments/staging").status_code == 404
    assert script.get("/me").json()["current_user"]["method"] == "token"
    assert client.post("/me/tokens", json={"name": "laptop"}).status_code == 409
    assert script.post("/me/tokens", json={"name": "another"}).status_code == 403
    assert owner.post("/me/tokens", json={"name": "another"}).status_code == 403
    assert [each["name"] for each in client.get("/me/tokens").json()["items"]] == ["laptop"]
    user_id = client.get("/me").json()["id"]
    grant = owner.get(f"/users/{user_id}").json()["grants"][0]
    assert owner.delete(f"/grants/{grant['id']}").status_code == 204
    assert script.get(f"{PLACE}/values/shop/HOST").status_code == 404
    assert client.delete(f"/tokens/{made['id']}").status_code == 204
    assert script.get("/me").status_code == 401
    there = it.client(client.post("/me/tokens", json={"name": "away", "allowlist": ["192.0.2.0/24"]}).json()["token"])
    assert there.get("/me").status_code == 403


def test_an_environment_is_closed_to_people_from_elsewhere(it: Keywright, owner: httpx2.Client, person: Person) -> None:
    """R66, for sessions and tokens of people: the same wall as for machines."""
    client = person("away@allow.example", on("everything", "use"))
    script = it.client(client.post("/me/tokens", json={"name": "script"}).json()["token"])
    it.service.keeper.environments.add(SYSTEM, "walled", {}, ("192.0.2.0/24",))
    for who in (client, script):
        assert who.get("/environments/walled/values/X").status_code == 403
        assert who.get("/environments/walled/variables").status_code == 403


def test_settings_are_seen_and_changed_at_once(owner: httpx2.Client) -> None:
    before = owner.get("/settings")
    assert before.json()["second_factor"] == "optional"
    changed = owner.patch("/settings", json={"second_factor": "required", "step_up": 60}, headers={"If-Match": "*"})
    assert (changed.json()["second_factor"], changed.json()["step_up"]) == ("required", 60)
    stale = owner.patch("/settings", json={"step_up": 900}, headers={"If-Match": before.headers["ETag"]})
    assert stale.status_code == 412
    wrong = owner.patch("/settings", json={"session_idle": 3600, "session_life": 600})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "session_idle")
    assert owner.patch("/settings", json={"second_factor": "optional", "step_up": 900}).status_code == 200
    told = owner.get("/events", params={"action": "settings.change", "outcome": "allowed"}).json()["items"]
    assert [each["detail"] for each in told if each["detail"].get("second_factor_required")] == [
        {"second_factor_required": True, "step_up": 60}
    ]
