"""How far SCIM reaches: users and groups that are provisioned, and what it said of them itself. Nothing beyond."""

from typing import Any

import pytest

from service.core.access import Grant, Kind, Level
from service.core.person import UserType
from service.ledger import grants, users
from service.ledger.grants import Holder, Holding
from tests.http.scim.conftest import (
    ENTERPRISE,
    ERROR,
    GROUP,
    PATCH,
    USER,
    Provider,
    adopting,
    changed,
    events,
    join,
    local_group,
    local_user,
    own_token,
    scim_client,
    session,
    token,
    user_of,
)
from tests.rigs.keywright import Keywright, dump
from tests.rigs.signed_in import signed_in

INACTIVE = {"op": "replace", "path": "active", "value": False}
ACTIVE = {"op": "replace", "path": "active", "value": True}


def body(name: str, address: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name, "emails": [{"value": address, "primary": True}]} | more


def test_nobody_gets_in_without_a_token(it: Keywright) -> None:
    for text in ("", "kw_0123456789abcdef_" + "x" * 43):
        client = scim_client(it, text) if text else it.nobody()
        for path in ("Users", "Groups", "ServiceProviderConfig", "Nothing"):
            answer = client.get(f"{it.url}/scim/v2/{path}")
            assert (answer.status_code, answer.json()["schemas"]) == (401, [ERROR])
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_without_a_grant_nothing_is_there(it: Keywright, provider: Provider) -> None:
    person, group = provider.person("hidden")["id"], provider.group("hidden")["id"]
    use = {"schemas": [PATCH], "Operations": [INACTIVE]}
    for name, held, status in (
        ("nothing", (), 404),
        ("environments", (("own", "settings"),), 404),
        ("sees", (("use", "people"),), 403),
        ("edits", (("edit", "people"),), 403),
    ):
        client = scim_client(it, token(it, name, *held))
        before = dump(it.service)
        answers = [
            client.get("Users"),
            client.get("Groups"),
            client.post("Users", json=body("new", "new@people.example")),
            client.post("Groups", json={"schemas": [GROUP], "displayName": "new"}),
            client.get(f"Users/{person}"),
            client.get(f"Groups/{group}"),
            client.put(f"Users/{person}", json=body("new", "new@people.example")),
            client.patch(f"Users/{person}", json=use),
            client.delete(f"Users/{person}"),
            client.delete(f"Groups/{group}"),
            client.post("Users/.search", json={}),
        ]
        assert {answer.status_code for answer in answers} == {status}, name
        assert dump(it.service) == before
        absent = client.get("Users/0123"), client.get(f"Users/{person}")
        assert len({answer.text.replace(person, "0123") for answer in absent}) == 1


def test_what_was_made_by_hand_is_not_there(it: Keywright, provider: Provider) -> None:
    user, group = local_user(it, "by-hand@people.example"), local_group(it, "by hand")
    assert provider.found("Users", 'userName eq "by-hand@people.example"') == []
    assert provider.found("Groups", 'displayName eq "by hand"') == []
    assert provider.client.get(f"Users/{user.id}").status_code == 404
    assert provider.patch(f"Users/{user.id}", INACTIVE).status_code == 404
    assert provider.client.delete(f"Users/{user.id}").status_code == 404
    assert provider.client.delete(f"Groups/{group.id}").status_code == 404
    for answer in (
        provider.client.post("Users", json=body("other", "BY-HAND@people.example")),
        provider.client.post("Groups", json={"schemas": [GROUP], "displayName": "by hand"}),
    ):
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    for member in (user.id, group.id, "nobody"):
        refused = provider.client.post(
            "Groups", json={"schemas": [GROUP], "displayName": "mine", "members": [{"value": member}]}
        )
        assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
    assert provider.found("Groups", 'displayName eq "mine"') == []


def test_who_keeps_people_gets_no_further_by_the_provider_s_door(it: Keywright, provider: Provider) -> None:
    """Provisioned groups may hold what an administrator of people does not own: natively nobody is let in then."""
    keeper = signed_in(it, "keeper@people.example", ("own", "people"), ("own", "machine"))
    person = provider.person("accomplice")["id"]
    group = provider.group("owners-of-all")["id"]
    with it.service.ledger.change() as tx:
        grants.add(tx, "d" * 32, Holder(group, "owners-of-all", Holding.GROUP), Grant(Level.OWN, Kind.EVERYTHING))
    it.service.keeper.door.changed()
    assert keeper.client.put(f"/groups/{group}/members/{person}").status_code == 403
    add = {"op": "add", "path": "members", "value": [{"value": person}]}
    for text in (keeper.token, own_token(it, keeper.id)):
        door = Provider(scim_client(it, text))
        assert door.client.get("Groups").status_code == 403
        assert door.patch(f"Groups/{group}", add).status_code == 403
    held = [{"level": "own", "kind": "people"}]
    assert keeper.client.post("/machines", json={"name": "mine"}).status_code == 201
    it.client().post("/machines", json={"name": "okta", "grants": held}).raise_for_status()
    for answer in (
        keeper.client.post("/tokens", json={"name": "mine", "grants": held}),
        keeper.client.post("/machines", json={"name": "theirs", "grants": held}),
        keeper.client.post("/grants", json={"machine": "mine", **held[0]}),
        keeper.client.post("/machine-tokens", json={"machine": "okta", "expires_in": "1h"}),
    ):
        assert answer.status_code == 403, answer.text
    assert provider.members(group) == set()
    assert keeper.client.post("/grants", json={"user": "accomplice@people.example", **held[0]}).status_code == 201


def test_users_of_the_same_address_are_taken_over_only_where_the_settings_say_so(
    it: Keywright, provider: Provider
) -> None:
    user = local_user(it, "adopted@people.example")
    group = local_group(it, "kept")
    join(it, group.id, user_id=user.id)
    emergency = local_user(it, "emergency@people.example", emergency=True)
    adopting(it, on=True)
    try:
        taken = provider.client.post("Users", json=body("adopted", "adopted@people.example", externalId="x-9"))
        assert (taken.status_code, taken.json()["id"]) == (201, user.id)
        refused = provider.client.post("Users", json=body("emergency", "emergency@people.example"))
        assert refused.status_code == 409
    finally:
        adopting(it, on=False)
    kept = user_of(it, user.id)
    assert kept is not None
    assert (kept.type, kept.external_id, [it.group_id for it in kept.memberships]) == ("provisioned", "x-9", [group.id])
    assert events(it, "user.adopt")[0]["resource"] == user.id
    changed(it, emergency.id, type=UserType.PROVISIONED)
    assert provider.client.get(f"Users/{emergency.id}").status_code == 404


def test_only_owners_of_everything_let_accounts_be_taken_over(it: Keywright) -> None:
    """By whoever holds the provider's token, which would be somebody who looks after the settings and no more."""
    keeper = signed_in(it, "settings@people.example", ("own", "settings"), ("own", "people"))
    answer = keeper.client.patch("/settings", json={"scim_adopts": True, "invite_days": 9})
    assert answer.status_code == 403, answer.text
    assert "'own' on everything" in answer.json()["detail"]
    told = keeper.client.get("/settings").json()
    assert (told["scim_adopts"], told["invite_days"]) == (False, 7)
    assert (
        signed_in(it, "all@people.example", ("own", "everything"))
        .client.patch("/settings", json={"scim_adopts": True})
        .json()["scim_adopts"]
    )
    assert keeper.client.patch("/settings", json={"scim_adopts": True, "invite_days": 7}).status_code == 200
    assert keeper.client.patch("/settings", json={"scim_adopts": False}).json()["scim_adopts"] is False


def test_memberships_by_hand_stay(it: Keywright, provider: Provider) -> None:
    person, other = (provider.person(name)["id"] for name in ("member", "other-member"))
    group = provider.group("both", person)["id"]
    join(it, group, user_id=person)
    join(it, group, user_id=other)
    assert provider.members(group) == {person}
    assert provider.patch(f"Groups/{group}", {"op": "remove", "path": "members"}).status_code == 204
    assert provider.client.put(f"Groups/{group}", json={"schemas": [GROUP], "displayName": "both"}).status_code == 200
    for each in (person, other):
        kept = user_of(it, each)
        assert kept is not None
        assert [(member.group_id, member.source) for member in kept.memberships] == [(group, "hand")]


def test_an_address_leads_to_no_more_than_was_provisioned(it: Keywright, provider: Provider) -> None:
    person = provider.person("promoted")["id"]
    move = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "thief@people.example"}
    assert provider.patch(f"Users/{person}", {**move, "value": "moved@people.example"}).status_code == 204
    with it.service.ledger.change() as tx:
        grants.add(tx, "f" * 32, Holder(person, "promoted", Holding.USER), Grant(Level.USE, Kind.PEOPLE))
    refused = provider.patch(f"Users/{person}", move)
    assert (refused.status_code, "by hand" in refused.json()["detail"]) == (403, True)
    with it.service.ledger.change() as tx:
        held = grants.find(tx, "f" * 32)
        assert held is not None
        grants.remove(tx, held)
    join(it, local_group(it, "promoted").id, user_id=person)
    assert provider.patch(f"Users/{person}", move).status_code == 403
    kept = user_of(it, person)
    assert kept is not None
    assert kept.email == "moved@people.example"
    provider.person("settled")
    taken = {**move, "value": "settled@people.example"}
    assert provider.patch(f"Users/{provider.person('plain')['id']}", taken).status_code == 409


def test_what_a_hand_disabled_only_a_hand_enables(it: Keywright, provider: Provider) -> None:
    person = provider.person("held")
    path = f"Users/{person['id']}"
    changed(it, person["id"], enabled=False)
    assert provider.patch(path, ACTIVE).status_code == 204
    whole = provider.client.put(path, json=body("held", "held@people.example", active=True))
    assert whole.json()["active"] is False
    assert provider.patch(path, INACTIVE).status_code == 204
    assert provider.patch(path, ACTIVE).status_code == 204
    assert provider.client.get(path).json()["active"] is False
    changed(it, person["id"], enabled=True)
    assert provider.patch(path, INACTIVE).status_code == 204
    assert provider.patch(path, ACTIVE).status_code == 204
    assert provider.client.get(path).json()["active"] is True
    assert provider.patch(path, INACTIVE).status_code == 204
    changed(it, person["id"], enabled=True)
    changed(it, person["id"], enabled=False)
    assert provider.patch(path, ACTIVE).status_code == 204
    assert provider.client.get(path).json()["active"] is False


def test_disabled_or_removed_nobody_comes_in_any_more(it: Keywright, provider: Provider) -> None:
    for ended in ("disabled", "removed"):
        person = provider.person(f"to-be-{ended}")["id"]
        group = provider.group(f"to-be-{ended}", person)["id"]
        texts = session(it, person), own_token(it, person)
        assert {it.client(text).get("/me").status_code for text in texts} == {200}
        if ended == "disabled":
            assert provider.patch(f"Users/{person}", INACTIVE).status_code == 204
        else:
            assert provider.client.delete(f"Users/{person}").status_code == 204
        assert {it.client(text).get("/me").status_code for text in texts} == {401}
        if ended == "disabled":
            assert events(it, "user.change")[0]["detail"]["tokens_ended"] == 2
            assert provider.patch(f"Users/{person}", ACTIVE).status_code == 204
            assert {it.client(text).get("/me").status_code for text in texts} == {401}  # they were ended, for good
            assert provider.members(group) == {person}  # and the memberships were not (R15)


def test_the_last_owner_who_can_sign_in_stays(it: Keywright, provider: Provider) -> None:
    person = provider.person("owner")["id"]
    group = provider.group("owners", person)["id"]
    with it.service.ledger.change() as tx:
        grants.add(tx, "e" * 32, Holder(group, "owners", Holding.GROUP), Grant(Level.OWN, Kind.EVERYTHING))
        users.set_password(tx, person, "$argon2id$none", None)
    path = f"Users/{person}"
    for answer in (
        provider.patch(path, INACTIVE),
        provider.client.delete(path),
        provider.patch(f"Groups/{group}", {"op": "remove", "path": "members"}),
        provider.client.delete(f"Groups/{group}"),
    ):
        assert (answer.status_code, answer.json().get("scimType")) == (409, None), answer.text
    assert provider.members(group) == {person}
    assert provider.client.get(path).json()["active"] is True


def test_attributes_are_for_rules_and_others_keep_theirs(it: Keywright, provider: Provider) -> None:
    person = provider.person("attributes", title="Boss", **{ENTERPRISE: {"department": "Tours"}})["id"]
    changed(it, person, attributes={"title": "Boss", "department": "Tours", "site": "by hand"})
    operation = {"op": "remove", "path": f"{ENTERPRISE}:department"}
    assert provider.patch(f"Users/{person}", operation).status_code == 204
    kept = user_of(it, person)
    assert kept is not None
    assert kept.attributes == {"title": "Boss", "site": "by hand"}


def test_every_change_says_who_and_what(it: Keywright, provider: Provider) -> None:
    person = provider.person("told")["id"]
    group = provider.group("told", person)["id"]
    provider.patch(f"Groups/{group}", {"op": "remove", "path": "members"})
    provider.client.delete(f"Groups/{group}")
    provider.client.delete(f"Users/{person}")
    for action, resource, detail in (
        ("user.add", person, {"by": "scim", "enabled": True, "email": "told@people.example"}),
        ("group.add", group, {"by": "scim", "name": "told"}),
        ("group.join", group, {"by": "scim", "member_id": person}),
        ("group.part", group, {"by": "scim", "member_id": person}),
        ("group.remove", group, {"by": "scim", "name": "told"}),
        ("user.remove", person, {"by": "scim", "email": "told@people.example"}),
    ):
        last = events(it, action)[0]
        assert (last["name"], last["resource"], last["outcome"]) == ("directory", resource, "allowed"), action
        assert last["detail"] == detail
    provider.client.get("Users/0123")
    assert (events(it, "user.get")[0]["outcome"], events(it, "user.get")[0]["resource"]) == ("refused", "0123")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"userName": "a", "userName": "b"}', 400),
        (b'{"schemas": ["urn:x"], "userName": "hush-hush"}', 400),
        (b'{"userName": {"hush": "hush-hush"}}', 400),
        (b'{"userName": "", "password": "hush-hush"}', 400),
        (b'{"userName": "a\\u0000", "password": "hush-hush"}', 400),
        (b'{"userName": "b", "active": "hush-hush"}', 400),
        (b'{"userName": "b", "emails": [{"value": "hush-hush"}]}', 400),
        (b'{"userName": "b", "emails": "hush-hush"}', 400),
        (b'{"userName": "b", "title": ["hush-hush"]}', 400),
    ],
)
def test_what_is_refused_is_not_repeated(it: Keywright, provider: Provider, said: bytes, status: int) -> None:
    before = dump(it.service)
    answer = provider.client.post("Users", content=said, headers={"Content-Type": "application/scim+json"})
    assert (answer.status_code, answer.json()["schemas"]) == (status, [ERROR]), answer.text
    assert "hush-hush" not in answer.text
    assert dump(it.service) == before


def test_other_media_and_methods_are_refused(it: Keywright, provider: Provider) -> None:
    text = provider.client.post("Users", content=b"userName=x", headers={"Content-Type": "text/plain"})
    assert text.status_code in (400, 415)
    answer = provider.client.put("Users", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert provider.client.get("Me").status_code == 501
    assert it.client().get(f"{it.url}/scim/v1/Users").status_code == 404
    assert provider.client.get("Users", headers={"Host": "evil.example/<script>"}).status_code in (400, 403)
