"""The Vault door and the SCIM door: every place that they route to, asked by every kind of caller.

What there is, say the tables that the doors themselves route by. What is not declared in `doors/*.toml` fails. Each
answers in the words of its own protocol: where the native door says 401, Vault says 403 `permission denied`, and SCIM
an error of RFC 7644, 3.12.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from scim2_server.routing import ROUTES

from service.http.envelope import Envelope
from service.http.scim.beside import ERROR, BesideScim
from service.http.scim.provider import PROVIDER
from service.http.vault import database, kv2, leases, logins, system, tokens, wrapping
from service.http.vault.door import Beside
from service.http.vault.mounts import DEFAULT, Engine, parse
from tests.access.asking import Answer, absent, ask
from tests.access.callers import KNOWN, OTHERS, UNKNOWN, Callers, bearer
from tests.access.conftest import World
from tests.access.needs import NOTHING, Need, declared
from tests.access.things import PEOPLE, Thing, Things

FOLDER = Path(__file__).with_name("doors")
VAULT, SCIM = declared(FOLDER / "vault.toml"), declared(FOLDER / "scim.toml")
EACH = [*VAULT.values(), *SCIM.values()]
SCIM_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
SCIM_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
METHODS = ("GET", "LIST", "PUT", "PATCH", "DELETE")
INTERNAL = "internal/ui/mounts/secret"


def each(needs: list[Need]) -> pytest.MarkDecorator:
    """One test for each place."""
    return pytest.mark.parametrize("need", needs, ids=lambda need: need.key)


def thing_of(world: World, kind: str) -> Thing:
    """What a place is about; what only SCIM has is made there."""
    match kind:
        case "resource_type":
            return Thing({"resource_id": "User"}, PEOPLE)
        case "schema":
            return Thing({"resource_id": SCIM_USER}, PEOPLE)
        case "provisioned" | "provisioned_group":
            return provisioned(world.nobody, world.it.owner, world.things, users=kind == "provisioned")
    return world.things(kind)


def provisioned(client: httpx2.Client, owner: str, things: Things, *, users: bool) -> Thing:
    """A new user or group, as a provider makes it."""
    name = things.fresh()
    body = {"schemas": [SCIM_USER], "userName": name, "emails": [{"value": f"{name}@example.com", "primary": True}]}
    body = body if users else {"schemas": [SCIM_GROUP], "displayName": name}
    path = "/scim/v2/Users" if users else "/scim/v2/Groups"
    answer = client.post(path, json=body, headers=bearer(owner))
    assert answer.status_code == 201, answer.text
    return Thing({"resource_id": answer.json()["id"], "scim_name": name}, PEOPLE)


def by_vault(need: Need, headers: dict[str, str]) -> dict[str, str]:
    """The same, as Vault's clients show a token."""
    text = headers.get("Authorization", "").removeprefix("Bearer ")
    return {"X-Vault-Token": text} if text and need.key in VAULT else headers


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing rotates here: `rotate-role` answers that the rotation goes on."""
    monkeypatch.setattr(database, "WAITS", 0.0)


# -- what there is


def test_no_door_stands_beside_these(world: World) -> None:
    app = world.it._server.app  # type: ignore[union-attr]
    assert {each.cls for each in app.user_middleware} == {Envelope, BesideScim, Beside}, "a door that is not asked here"


def test_every_place_of_the_scim_door_is_declared() -> None:
    kinds = [kind.endpoint for kind in PROVIDER.resource_types]
    there = {
        f"{route.method} /scim/v2{route.pattern.replace('/{endpoint}', str(kind))}"
        for route in ROUTES
        for kind in kinds
    }
    assert there == set(SCIM), "who may do this is said in tests/access/doors/scim.toml"


def vault_places() -> Iterator[tuple[str, str]]:
    """Methods and paths of whatever could be a place, by the tables that the door routes by."""
    for mount in parse(DEFAULT).all:
        kinds = {Engine.KV2: kv2.PATHS, Engine.DATABASE: database.PATHS, Engine.KV1: ("",)}[mount.engine]
        for kind in kinds:
            place = f"{mount.path}/{kind}".rstrip("/")
            whole, one = (
                (place, place)
                if kind == "config"
                else (f"{place}/{{environment}}", f"{place}/{{environment}}/{{name}}")
            )
            yield from ((method, whole if method == "LIST" else one) for method in METHODS)
    others = [f"auth/{kind}/login" for kind in logins.WRONG]
    others += [f"auth/token/{kind}" for kind in tokens.KINDS]
    others += [
        f"sys/{name}" for name in (*system.PUBLIC, *system.NAMED, "mounts/secret", INTERNAL, "capabilities-self")
    ]
    others += [f"sys/wrapping/{kind}" for kind in wrapping.KINDS]
    others += [f"sys/leases/{kind}" for kind in leases.KINDS]
    yield from ((method, path) for path in dict.fromkeys(others) for method in METHODS)


def test_every_place_of_the_vault_door_is_declared(world: World, callers: Callers) -> None:
    thing, there = world.things("connection"), set()
    for method, path in vault_places():
        need = Need(method, f"/v1/{path}", "", "connection", "any caller", body={} if method == "PUT" else None)
        if not no_place(ask(world.nobody, need, thing, bearer(callers.token(OTHERS)), world.things)):
            there.add(need.operation)
    assert there - set(VAULT) == set(), "nobody said who may do this: tests/access/doors/vault.toml"
    assert set(VAULT) - there == set(), "declared, and not (any more) there"


def no_place(answer: Answer) -> bool:
    """Does the door say so?"""
    return answer.status == 405 or (
        answer.status == 404 and ("unsupported path" in answer.said or "Invalid path" in answer.said)
    )


# -- who may


@each(EACH)
def test_who_is_not_known_is_told_so(world: World, callers: Callers, need: Need) -> None:
    thing = thing_of(world, need.thing)
    answers = {
        who.name: ask(world.nobody, need, thing, by_vault(need, who.shows(callers, thing)), world.things)
        for who in UNKNOWN
    }
    vault = need.key in VAULT
    expected = need.granted if need.needs == NOTHING else 403 if vault else 401
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, expected)
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers.values())
    if vault and need.needs != NOTHING:
        assert {answer.said for answer in answers.values()} == {'{"errors":["permission denied"]}'}
    elif not vault:
        said = [json.loads(answer.said) for answer in answers.values()]
        assert all((it["schemas"], it["status"]) == ([ERROR], "401") for it in said)
        assert len({answer.said for name, answer in answers.items() if name != "nobody"}) == 1


@each(EACH)
def test_who_is_known_may_do_what_was_granted(world: World, callers: Callers, need: Need) -> None:
    thing = thing_of(world, need.thing)
    found, expected = {}, {}
    # First those who are refused: what the others do may leave nothing to be asked for.
    for who in sorted(KNOWN, key=lambda who: need.expected(who.holds, who.kind) not in (403, need.unseen)):
        expected[who.name] = need.expected(who.holds, who.kind)
        if expected[who.name] not in (403, need.unseen) and need.method not in ("GET", "LIST"):
            thing = thing_of(world, need.thing)
        answer = ask(world.nobody, need, thing, who.shows(callers, thing), world.things)
        found[who.name] = answer.status
    assert found == expected


@each([need for need in EACH if need.level])
def test_what_may_not_be_seen_is_as_if_it_were_not_there(world: World, callers: Callers, need: Need) -> None:
    thing = thing_of(world, need.thing)
    for held in ([], [OTHERS]):
        shown = bearer(callers.token(*held))
        there = ask(world.nobody, need, thing, shown, world.things)
        not_there = ask(world.nobody, need, absent(thing), shown, world.things)
        assert (there.status, there.said) == (not_there.status, not_there.said)


@each(EACH)
def test_a_cookie_is_of_no_use(world: World, callers: Callers, need: Need) -> None:
    thing = thing_of(world, need.thing)
    cookie = {"Cookie": f"keywright={callers.person(thing.grant('own')).session}"}
    expected = need.granted if need.needs == NOTHING else 403 if need.key in VAULT else 401
    assert ask(world.nobody, need, thing, cookie, world.things).status == expected


def test_what_is_sent_in_bulk_is_judged_one_by_one(world: World, callers: Callers) -> None:
    need = SCIM["POST /scim/v2/Bulk"]
    thing = thing_of(world, "people")
    for held, status in (([], "404"), ([OTHERS], "404"), ([thing.grant("edit")], "403")):
        answer = ask(world.nobody, need, thing, bearer(callers.token(*held)), world.things)
        assert [it["status"] for it in json.loads(answer.said)["Operations"]] == [status]
