"""Approvals, over the real server: asked for by one person, decided on by another, applied by the first."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.http.conftest import CONNECTION
from tests.rigs.keywright import Keywright
from tests.rigs.signed_in import Person, signed_in

ALL = {"variables": True, "connections": True, "policies": True, "rotations": True, "reveals": True}
ADMIN = {"username": "admin", "password": "admin-password"}
PLACE = "/environments/production"
VALUE = f"{PLACE}/variables/shop/PASSWORD"
OWN = ("own", "environment", "production")
USE = {"level": "use", "kind": "environment", "environment": "production"}


@pytest.fixture(scope="module")
def alice(it: Keywright, guarded: None) -> Person:
    return signed_in(it, "alice@example.test", OWN)


@pytest.fixture(scope="module")
def bob(it: Keywright, guarded: None) -> Person:
    return signed_in(it, "bob@example.test", OWN)


@pytest.fixture(scope="module")
def root(it: Keywright, guarded: None) -> Person:
    return signed_in(it, "root@example.test", ("own", "everything"))


@pytest.fixture(scope="module")
def guarded(it: Keywright) -> None:
    answer = it.client().patch(PLACE, json={"approvals": ALL})
    assert answer.status_code == 200, answer.text


def ask(person: Person, method: str, path: str, body: Any = None, why: str = "a new password") -> httpx2.Response:
    headers = {"Keywright-Approval": "ask", "Keywright-Reason": why}
    return person.client.request(method, path, json=body, headers=headers)


def asked(person: Person, method: str, path: str, body: Any = None) -> str:
    answer = ask(person, method, path, body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def decide(person: Person, approval: str, decision: str = "approve") -> httpx2.Response:
    return person.client.post(f"/approvals/{approval}/decision", json={"decision": decision})


def approved(person: Person, by: Person, method: str, path: str, body: Any = None) -> str:
    approval = asked(person, method, path, body)
    answer = decide(by, approval)
    assert answer.status_code == 200, answer.text
    return approval


def apply(person: Person, approval: str) -> httpx2.Response:
    return person.client.post(f"/approvals/{approval}/apply")


def state(person: Person, approval: str) -> str:
    return str(person.client.get(f"/approvals/{approval}").json()["state"])


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_without_an_approval_nothing_is_done(alice: Person) -> None:
    before = alice.client.get(VALUE).json()
    answer = alice.client.put(VALUE, json={"value": "another"})
    assert slug(answer) == (403, "approval-needed")
    assert "Keywright-Approval: ask" in answer.json()["detail"]
    assert alice.client.get(VALUE).json() == before


def test_a_change_is_asked_for_agreed_to_and_applied(it: Keywright, alice: Person, bob: Person) -> None:
    answer = ask(alice, "PUT", VALUE, {"value": "a-new-secret-of-alice"})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert told["state"] == "asked"
    assert told["action"] == "variable.put"
    assert told["reason"] == "a new password"
    lines = {line["what"]: line for line in told["changes"]}
    assert lines["value"] == {"what": "value", "old": None, "new": None, "secret": True}
    assert (lines["live"]["old"], lines["live"]["new"]) == (1, 2)
    assert "a-new-secret-of-alice" not in answer.text
    assert decide(bob, told["id"]).json()["state"] == "approved"
    done = apply(alice, told["id"])
    assert done.status_code == 200, done.text
    assert done.json()["live"] == 2
    assert state(alice, told["id"]) == "applied"
    fetched = it.client().get(f"{PLACE}/values/shop/PASSWORD").json()
    assert fetched["value"] == "a-new-secret-of-alice"
    found = it.client().get("/events", params={"action": "variable.put", "resource": "shop/PASSWORD"}).json()["items"]
    event = next(each for each in found if each["outcome"] == "allowed")
    assert event["actor"] == alice.id
    assert event["detail"]["approval"] == told["id"]
    assert event["detail"]["approved_by"] == bob.id


def test_plain_values_are_shown_old_and_new(alice: Person) -> None:
    told = ask(alice, "PUT", f"{PLACE}/variables/shop/HOST", {"value": "db2.internal"}).json()
    lines = {line["what"]: (line["old"], line["new"]) for line in told["changes"]}
    assert lines["value"] == ("db.internal", "db2.internal")


def test_nobody_decides_on_their_own(alice: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "mine"})
    answer = decide(alice, approval)
    assert slug(answer) == (403, "forbidden")
    assert state(alice, approval) == "asked"


def test_who_does_not_own_it_sees_nothing_of_it(it: Keywright, alice: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "mine"})
    carol = signed_in(it, "carol@example.test", ("edit", "environment", "production"))
    assert decide(carol, approval).status_code == 404
    assert carol.client.get(f"/approvals/{approval}").status_code == 404
    assert carol.client.get("/approvals").json()["items"] == []


def test_an_owner_of_the_folder_may_agree(it: Keywright, alice: Person) -> None:
    dave = signed_in(it, "dave@example.test", ("own", "folder", "production", "shop"))
    approval = asked(alice, "PUT", VALUE, {"value": "mine"})
    waiting = dave.client.get("/approvals", params={"state": "asked"}).json()["items"]
    assert waiting[0]["id"] == approval
    assert decide(dave, approval).status_code == 200


def test_a_factor_that_was_shown_long_ago_does_not_do(alice: Person, bob: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "mine"})
    for ago in (None, timedelta(hours=2)):
        answer = bob.again(factor_ago=ago).post(f"/approvals/{approval}/decision", json={"decision": "approve"})
        assert slug(answer) == (403, "factor-needed")


def test_a_machine_decides_on_nothing(it: Keywright, alice: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "mine"})
    answer = it.client().post(f"/approvals/{approval}/decision", json={"decision": "approve"})
    assert slug(answer) == (403, "forbidden")


def test_a_machine_asks_for_nothing_and_does_nothing_by_asking(it: Keywright, alice: Person) -> None:
    headers = {"Keywright-Approval": "ask", "Keywright-Reason": "why"}
    answer = it.client().put(f"{PLACE}/variables/shop/MACHINES", json={"value": "x"}, headers=headers)
    assert slug(answer) == (403, "forbidden")
    assert it.client().get(f"{PLACE}/variables/shop/MACHINES").status_code == 404


def test_who_asks_where_nobody_has_to_agree_changes_nothing(it: Keywright) -> None:
    erin = signed_in(it, "erin@example.test", ("own", "environment", "staging"))
    answer = ask(erin, "PUT", "/environments/staging/variables/shop/NEW", {"value": "x"})
    assert slug(answer) == (409, "conflict")
    assert erin.client.get("/environments/staging/variables/shop/NEW").status_code == 404


def test_what_is_not_permitted_is_not_asked_for(it: Keywright, guarded: None) -> None:
    frank = signed_in(it, "frank@example.test", ("use", "environment", "production"))
    answer = ask(frank, "PUT", VALUE, {"value": "x"})
    assert slug(answer) == (403, "forbidden")
    assert ask(frank, "PUT", "/environments/nowhere/variables/x", {"value": "x"}).status_code == 404


def test_an_approval_is_applied_once(alice: Person, bob: Person) -> None:
    approval = approved(alice, bob, "PUT", VALUE, {"value": "once"})
    assert apply(alice, approval).status_code == 200
    assert slug(apply(alice, approval)) == (409, "conflict")
    assert state(alice, approval) == "applied"


def test_only_who_asked_applies_it(alice: Person, bob: Person) -> None:
    approval = approved(alice, bob, "PUT", VALUE, {"value": "hers"})
    assert slug(apply(bob, approval)) == (403, "forbidden")
    assert state(alice, approval) == "approved"


def test_what_was_not_decided_on_is_not_applied(alice: Person, bob: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "early"})
    assert slug(apply(alice, approval)) == (409, "conflict")
    assert decide(bob, approval, "refuse").json()["state"] == "refused"
    assert slug(apply(alice, approval)) == (409, "conflict")
    assert slug(decide(bob, approval)) == (409, "conflict")


def test_a_withdrawn_one_is_over(alice: Person, bob: Person) -> None:
    approval = approved(alice, bob, "PUT", VALUE, {"value": "no"})
    assert bob.client.post(f"/approvals/{approval}/withdraw").status_code == 403
    assert alice.client.post(f"/approvals/{approval}/withdraw").json()["state"] == "withdrawn"
    assert slug(apply(alice, approval)) == (409, "conflict")


def test_what_drifted_meanwhile_must_be_asked_for_anew(it: Keywright, alice: Person, bob: Person) -> None:
    approval = approved(alice, bob, "PUT", VALUE, {"value": "late"})
    machine = it.client()
    live = machine.put(VALUE, json={"value": "sooner"}).json()["live"]
    answer = apply(alice, approval)
    assert slug(answer) == (409, "conflict")
    assert "ask again" in answer.json()["detail"]
    assert state(alice, approval) == "failed"
    assert machine.get(VALUE).json()["live"] == live


def test_an_asker_who_is_disabled_meanwhile_applies_nothing(it: Keywright, bob: Person) -> None:
    gina = signed_in(it, "gina@example.test", OWN)
    waiting = asked(gina, "PUT", VALUE, {"value": "x"})
    agreed = approved(gina, bob, "PUT", VALUE, {"value": "y"})
    gina.enable(enabled=False)
    assert apply(gina, agreed).status_code == 401
    assert slug(decide(bob, waiting)) == (409, "conflict")


def test_an_asker_who_lost_the_grant_meanwhile_applies_nothing(it: Keywright, bob: Person) -> None:
    hugo = signed_in(it, "hugo@example.test", OWN)
    agreed = approved(hugo, bob, "PUT", VALUE, {"value": "y"})
    hugo.lose()
    hugo.grant("use", "environment", "production")
    assert slug(apply(hugo, agreed)) == (403, "forbidden")


def test_an_approver_who_lost_the_grant_counts_no_more(it: Keywright, alice: Person) -> None:
    ivan = signed_in(it, "ivan@example.test", OWN)
    waiting = asked(alice, "PUT", VALUE, {"value": "x"})
    agreed = approved(alice, ivan, "PUT", VALUE, {"value": "y"})
    ivan.lose()
    assert decide(ivan, waiting).status_code == 404
    answer = apply(alice, agreed)
    assert slug(answer) == (409, "conflict")
    assert "does not own" in answer.json()["detail"]


def test_a_reveal_is_told_once_to_who_asked(it: Keywright, alice: Person, bob: Person) -> None:
    it.client().put(VALUE, json={"value": "revealed-once"})
    path = f"{PLACE}/values/shop/PASSWORD"
    assert slug(alice.client.get(path)) == (403, "approval-needed")
    approval = approved(alice, bob, "GET", path)
    assert slug(apply(bob, approval)) == (403, "forbidden")
    answer = apply(alice, approval)
    assert (answer.status_code, answer.json()["value"]) == (200, "revealed-once")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert slug(apply(alice, approval)) == (409, "conflict")
    assert slug(alice.client.get(path)) == (403, "approval-needed")
    found = it.client().get("/events", params={"action": "value.fetch", "actor": alice.id}).json()["items"]
    told = [each["detail"] for each in found if each["outcome"] == "allowed"]
    assert [each["approval"] for each in told] == [approval]


def test_a_credential_is_a_reveal_as_well(alice: Person, bob: Person) -> None:
    path = f"{PLACE}/credentials/shop/db"
    assert slug(alice.client.get(path)) == (403, "approval-needed")
    answer = apply(alice, approved(alice, bob, "GET", path))
    assert answer.status_code == 200, answer.text
    assert answer.json()["username"]


def test_what_is_plain_is_told_to_anybody(alice: Person) -> None:
    assert alice.client.get(f"{PLACE}/values/shop/HOST").status_code == 200


def test_what_came_into_a_folder_meanwhile_is_not_revealed(it: Keywright, alice: Person, bob: Person) -> None:
    it.client().put(f"{PLACE}/variables/box/A", json={"value": "a"})
    approval = approved(alice, bob, "GET", f"{PLACE}/values?folder=box")
    it.client().put(f"{PLACE}/variables/box/B", json={"value": "b"})
    assert slug(apply(alice, approval)) == (403, "approval-needed")
    assert state(alice, approval) in ("applied", "failed")


def test_machines_are_asked_for_nothing(it: Keywright, guarded: None) -> None:
    machine = it.client(it.token("app", {"level": "own", "kind": "environment", "environment": "production"}))
    assert machine.get(f"{PLACE}/values/shop/PASSWORD").status_code == 200
    assert machine.put(f"{PLACE}/variables/machine/X", json={"value": "x"}).status_code == 201


BYPASSES: list[tuple[str, str, Any]] = [
    ("PATCH", PLACE, {"approvals": {}}),
    ("PATCH", PLACE, {"allowlist": ["127.0.0.0/8"]}),
    ("PUT", f"{PLACE}/variables/shop/OTHER", {"template": "${shop/PASSWORD}"}),
    ("PUT", f"{PLACE}/variables/shop/PEEK", {"reference": "env:SHOP_X", "secret": False}),
    ("POST", f"{PLACE}/activations", {"variable": "shop/PASSWORD", "version": 1}),
    ("POST", f"{PLACE}/versions", {"variable": "shop/PASSWORD", "version": 1, "state": "destroyed"}),
    ("DELETE", VALUE, None),
    ("POST", f"{PLACE}/rotations", {"connection": "shop/db"}),
    ("POST", f"{PLACE}/incidents", {"folder": "shop", "reason": "none"}),
    ("PUT", f"{PLACE}/connections/shop/admin", CONNECTION | {"endpoints": [{"host": "evil.test"}], "login": ADMIN}),
    ("POST", "/tokens", {"name": "mine", "grants": [USE]}),
    ("POST", "/tokens", {"name": "all", "grants": [{"level": "own", "kind": "everything"}]}),
    ("POST", "/machines", {"name": "mine", "grants": [USE]}),
    ("POST", "/machines", {"name": "mine", "grants": [USE | {"kind": "folder", "path": "shop"}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), BYPASSES, ids=lambda it: str(it)[:60])
def test_there_is_no_way_around(root: Person, method: str, path: str, body: Any) -> None:
    answer = root.client.request(method, path, json=body)
    assert slug(answer) == (403, "approval-needed"), answer.text
    assert root.client.get(PLACE).json()["approvals"]["variables"]


def test_an_environment_is_not_deleted_by_one(it: Keywright, root: Person) -> None:
    it.client().post("/environments", json={"name": "testing", "approvals": {"rotations": True}})
    assert slug(root.client.delete("/environments/testing")) == (403, "approval-needed")
    assert it.client().get("/environments/testing").status_code == 200


def test_a_machine_that_is_there_already_gets_no_proof(it: Keywright, root: Person) -> None:
    owner = it.client()
    made = owner.post("/machines", json={"name": "ci", "grants": [USE], "proofs": [{"kind": "approle"}]})
    assert made.status_code == 201, made.text
    for path, body in (
        ("/machine-proofs", {"machine": "ci", "proof": {"kind": "approle"}}),
        ("/machine-secrets", {"machine": "ci"}),
        ("/machine-tokens", {"machine": "ci"}),
        ("/grants", {"machine": "ci"} | USE),
        ("/grants", {"machine": "ci", "level": "own", "kind": "everything"}),
    ):
        answer = root.client.post(path, json=body)
        assert slug(answer) == (403, "approval-needed"), answer.text


def test_a_token_that_reaches_elsewhere_needs_nobody(root: Person) -> None:
    grant = {"level": "use", "kind": "environment", "environment": "staging"}
    assert root.client.post("/tokens", json={"name": "elsewhere", "grants": [grant]}).status_code == 201


def test_a_token_that_was_agreed_to_is_told_to_who_asked_only(root: Person, alice: Person) -> None:
    approval = approved(root, alice, "POST", "/tokens", {"name": "agreed", "grants": [USE]})
    answer = apply(root, approval)
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"].startswith("kw_")


def test_switching_it_off_needs_somebody_else(it: Keywright, alice: Person, bob: Person) -> None:
    approval = approved(alice, bob, "PATCH", PLACE, {"approvals": {"reveals": True}})
    assert apply(alice, approval).json()["approvals"]["variables"] is False
    assert it.client().patch(PLACE, json={"approvals": ALL}).status_code == 200


def test_a_reason_is_needed_and_the_wish_is_one_word(alice: Person) -> None:
    assert slug(ask(alice, "PUT", VALUE, {"value": "x"}, why="")) == (422, "invalid")
    answer = alice.client.put(VALUE, json={"value": "x"}, headers={"Keywright-Approval": "please"})
    assert slug(answer) == (422, "invalid")
    said = ask(alice, "PUT", VALUE, {"value": "x"}, why="f%C3%BCr%20den%20Umzug").json()
    assert said["reason"] == "für den Umzug"


def test_waiting_for_a_decision_ends_with_it(it: Keywright, alice: Person, bob: Person) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "x"})
    assert decide(bob, approval).status_code == 200
    answer = alice.client.get(f"/approvals/{approval}", params={"wait": 0})
    assert answer.json()["state"] == "approved"


def test_nobody_makes_a_second_person_of_themselves(it: Keywright, root: Person, alice: Person) -> None:
    owner = it.client()
    group = owner.post("/groups", json={"name": "shop-owners"})
    assert group.status_code == 201, group.text
    grant = USE | {"level": "own", "group": "shop-owners"}
    assert owner.post("/grants", json=grant).status_code == 201
    puppet = signed_in(it, "puppet@example.test")
    for method, path, body in (
        ("PUT", f"/groups/{group.json()['id']}/members/{puppet.id}", None),
        ("POST", "/grants", USE | {"level": "own", "user": puppet.email}),
        ("POST", f"/users/{alice.id}/invitations", {}),
        ("PUT", f"/users/{alice.id}/password", {"password": "sparrow quilt marble tundra"}),
        ("PATCH", "/settings", {"step_up": 0}),
    ):
        answer = root.client.request(method, path, json=body)
        assert slug(answer) == (403, "approval-needed"), (path, answer.text)


def test_nobody_makes_a_second_person_of_who_is_there_already(it: Keywright, root: Person) -> None:
    """Who is let in again, or by another address, or by what a rule asks for, would agree to what root asks for."""
    owner, groups = it.client(), {}
    left = signed_in(it, "left@example.test", OWN)
    ruled = signed_in(it, "ruled@example.test")
    rule = "'on-call' in current_user.groups || 'dba' in current_user.attributes.team"
    answer = owner.post("/grants", json=USE | {"level": "own", "user": ruled.email, "rule": rule})
    assert answer.status_code == 201, answer.text
    for name in ("on-call", "team"):
        groups[name] = owner.post("/groups", json={"name": name}).json()["id"]
    assert owner.put(f"/groups/{groups['team']}/members/{ruled.id}").status_code == 204
    assert owner.patch(f"/users/{left.id}", json={"enabled": False}).status_code == 200
    for method, path, body in (
        ("PATCH", f"/users/{left.id}", {"enabled": True}),
        ("PATCH", f"/users/{left.id}", {"email": "roots-own@example.test"}),
        ("PATCH", f"/users/{ruled.id}", {"attributes": {"team": "dba"}}),
        ("PUT", f"/groups/{groups['on-call']}/members/{ruled.id}", None),
        ("PUT", f"/groups/{groups['on-call']}/members/{groups['team']}", None),
        ("PATCH", f"/groups/{groups['team']}", {"name": "on-call too"}),
    ):
        answer = root.client.request(method, path, json=body)
        assert slug(answer) == (403, "approval-needed"), (path, body, answer.text)
    for path, body in (
        (f"/users/{left.id}", {"enabled": False}),
        (f"/users/{left.id}", {"name": "Left"}),
        (f"/groups/{groups['team']}", {"second_factor": True}),
    ):
        answer = root.client.patch(path, json=body)
        assert answer.status_code == 200, (path, body, answer.text)


def test_who_agrees_sees_what_becomes_of_people_and_settings(it: Keywright, root: Person, alice: Person) -> None:
    owner = it.client()
    group = owner.post("/groups", json={"name": "seen-owners"}).json()["id"]
    assert owner.post("/grants", json=USE | {"group": "seen-owners"}).status_code == 201
    seen = signed_in(it, "seen@example.test", OWN)
    provider = {"kind": "oidc", "issuer": "https://id.evil.example", "client_id": "keywright"}
    for method, path, body, changes in (
        ("PATCH", "/settings", {"step_up": 0}, {"step_up": (900, 0)}),
        (
            "PUT",
            f"/groups/{group}/members/{seen.id}",
            None,
            {"group": "seen-owners", "user seen@example.test": "is in it"},
        ),
        (
            "POST",
            "/grants",
            USE | {"user": seen.email},
            {"user": seen.email, "grants": "use on environment production"},
        ),
        ("POST", f"/users/{seen.id}/invitations", {}, {"user": seen.email}),
        (
            "PATCH",
            f"/users/{seen.id}",
            {"email": "unseen@example.test"},
            {"address": (seen.email, "unseen@example.test")},
        ),
        (
            "POST",
            "/identity-providers",
            {"name": "evil", "definition": provider},
            {"evil.issuer": "https://id.evil.example"},
        ),
    ):
        answer = ask(root, method, path, body)
        assert answer.status_code == 202, (path, answer.text)
        told = {line["what"]: line for line in answer.json()["changes"]}
        for what, wanted in changes.items():
            old, new = wanted if isinstance(wanted, tuple) else (None, wanted)
            assert what in told, (path, told)
            assert new == told[what]["new"] or new in told[what]["new"], (path, told)
            assert old is None or old == told[what]["old"], (path, told)
    approval = approved(root, alice, "PUT", f"/groups/{group}/members/{seen.id}")
    assert apply(root, approval).status_code == 204
