"""Step-up: what asks a person for a fresh second factor, and whom it asks. One table of operations, one of callers."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.core.connection import Engine
from tests.http.conftest import furnish
from tests.rigs import persons
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright

NEEDED = "urn:keywright:problem:factor-needed"
PRODUCTION = "/environments/production"
Call = Callable[[httpx2.Client, int], httpx2.Response]


@pytest.fixture(scope="module")
def it(database: FakeDatabase) -> Iterator[Keywright]:
    with running_keywright(databases={Engine.POSTGRESQL: database}, vault_door=True) as served:
        owner = served.client()
        furnish(owner, "production")
        owner.put(f"{PRODUCTION}/variables/shop/OUTSIDE", json={"reference": "env:SHOP_NAME", "secret": False})
        owner.post("/machines", json={"name": "shop", "proofs": [{"kind": "approle"}]})
        owner.post("/tokens", json={"name": "other"})
        yield served


def vault(caller: httpx2.Client, path: str, **more: Any) -> httpx2.Response:
    token = caller.headers["authorization"].removeprefix("Bearer ")
    url = str(caller.base_url).replace("/api/v1/", f"/v1/{path}")
    return httpx2.get(url, headers={"X-Vault-Token": token, **more}, trust_env=False, timeout=90)


def a_grant(caller: httpx2.Client) -> str:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    body = {"token": "other", "level": "use", "kind": "environment", "environment": "production"}
    return str(owner.post("/grants", json=body).json()["id"])


def a_grant_of(kind: str, name: str) -> dict[str, str]:
    return {kind: name, "level": "use", "kind": "environment", "environment": "production"}


def a_user(caller: httpx2.Client, number: int) -> dict[str, Any]:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    return dict(owner.post("/users", json={"email": f"made{number}@keywright.test"}).json())


def a_group(caller: httpx2.Client, number: int) -> dict[str, Any]:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    return dict(owner.post("/groups", json={"name": f"made{number}"}).json())


def a_member(caller: httpx2.Client, number: int) -> str:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    path = f"/groups/{a_group(caller, number)['id']}/members/{a_user(caller, number)['id']}"
    assert owner.put(path).status_code in (200, 201, 204)
    return path


def a_factor(caller: httpx2.Client, number: int) -> str:
    service = caller.service  # type: ignore[attr-defined]
    user = a_user(caller, number)["id"]
    persons.app(service, user)
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    return str(owner.get(f"/factors?user={user}").json()["items"][0]["id"])


def a_secret(caller: httpx2.Client, number: int) -> str:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    owner.put(f"{PRODUCTION}/variables/shop/OLD{number}", json={"value": "hush"})
    return f"shop/OLD{number}"


def a_proof(caller: httpx2.Client) -> dict[str, Any]:
    return {"machine": "shop", "proof": {"kind": "jwt", "signer": {"issuer": "https://issuer.test", "jwks_url": "https://issuer.test/keys"}, "audiences": ["keywright"], "subject": f"a{id(caller)}"}}  # fmt: skip # noqa: E501


def a_provider(name: str) -> dict[str, Any]:
    return {"name": name, "definition": {"kind": "oidc", "issuer": "https://id.test", "client_id": "keywright"}}


def made(caller: httpx2.Client, number: int) -> str:
    owner: httpx2.Client = caller.owner  # type: ignore[attr-defined]
    owner.delete("/identity-providers/there")
    owner.post("/identity-providers", json=a_provider("there"))
    return "there"


OPERATIONS: dict[str, Call] = {
    "fetch a value": lambda c, _: c.get(f"{PRODUCTION}/values/shop/PASSWORD"),
    "fetch values by name": lambda c, _: c.get(f"{PRODUCTION}/values?names=shop/HOST,shop/PASSWORD"),
    "fetch a folder": lambda c, _: c.get(f"{PRODUCTION}/values?folder=shop"),
    "fetch a plain name of something outside": lambda c, _: c.get(f"{PRODUCTION}/values/shop/OUTSIDE"),
    "fetch a credential": lambda c, _: c.get(f"{PRODUCTION}/credentials/shop/admin"),
    "wait for a credential": lambda c, _: c.get(f"{PRODUCTION}/credentials/shop/admin?wait=0"),
    "read a secret by the Vault door": lambda c, _: vault(c, "secret/data/production/shop/PASSWORD"),
    "make a secret plain": lambda c, n: c.put(
        f"{PRODUCTION}/variables/{a_secret(c, n)}", json={"value": "x", "secret": False}
    ),
    "rotate": lambda c, _: c.post(f"{PRODUCTION}/rotations", json={"connection": "shop/db"}),
    "rotate in an emergency": lambda c, _: c.post(
        f"{PRODUCTION}/rotations", json={"connection": "shop/db", "emergency": True}
    ),
    "begin an incident": lambda c, _: c.post(f"{PRODUCTION}/incidents", json={"folder": "shop", "reason": "a leak"}),
    "begin an emergency": lambda c, _: c.post(
        f"{PRODUCTION}/incidents", json={"folder": "shop", "reason": "a leak", "emergency": True}
    ),
    "give a grant": lambda c, _: c.post(
        "/grants", json={"token": "other", "level": "use", "kind": "environment", "environment": "production"}
    ),
    "take a grant away": lambda c, _: c.delete(f"/grants/{a_grant(c)}"),
    "make a token": lambda c, n: c.post("/tokens", json={"name": f"made-{n}"}),
    "make a machine": lambda c, n: c.post("/machines", json={"name": f"made-{n}"}),
    "let a machine do more": lambda c, n: c.patch("/machines/shop", json={"token_max_life": f"{90_000 + n}s"}),
    "add a proof": lambda c, _: c.post("/machine-proofs", json=a_proof(c)),
    "make a secret id": lambda c, _: c.post("/machine-secrets", json={"machine": "shop"}),
    "give a user a grant": lambda c, n: c.post("/grants", json=a_grant_of("user", a_user(c, n)["email"])),
    "give a group a grant": lambda c, n: c.post("/grants", json=a_grant_of("group", a_group(c, n)["name"])),
    "let somebody into a group": lambda c, n: c.put(f"/groups/{a_group(c, n)['id']}/members/{a_user(c, n)['id']}"),
    "take somebody out of a group": lambda c, n: c.delete(a_member(c, n)),
    "change a group": lambda c, n: c.patch(f"/groups/{a_group(c, n)['id']}", json={"second_factor": False}),
    "remove a group": lambda c, n: c.delete(f"/groups/{a_group(c, n)['id']}"),
    "change an account": lambda c, n: c.patch(f"/users/{a_user(c, n)['id']}", json={"attributes": {"team": "a"}}),
    "invite somebody": lambda c, n: c.post(f"/users/{a_user(c, n)['id']}/invitations"),
    "set somebody's password": lambda c, n: c.put(
        f"/users/{a_user(c, n)['id']}/password", json={"password": "sparrow quilt marble tundra"}
    ),
    "change the settings": lambda c, _: c.patch("/settings", json={"invite_days": 8}),
    "take a factor away of somebody": lambda c, n: c.delete(f"/factors/{a_factor(c, n)}"),
    "make a machine's token": lambda c, _: c.post("/machine-tokens", json={"machine": "shop", "expires_in": "1h"}),
    "make an identity provider": lambda c, n: c.post("/identity-providers", json=a_provider(f"made-{n}")),
    "change an identity provider": lambda c, n: c.patch(f"/identity-providers/{made(c, n)}", json={"enabled": False}),
    "delete an identity provider": lambda c, n: c.delete(f"/identity-providers/{made(c, n)}"),
}
FREE: dict[str, Call] = {
    "fetch a plain value": lambda c, _: c.get(f"{PRODUCTION}/values/shop/HOST"),
    "see variables": lambda c, _: c.get(f"{PRODUCTION}/variables"),
    "see connections": lambda c, _: c.get(f"{PRODUCTION}/connections/shop/db"),
    "see rotations": lambda c, _: c.get(f"{PRODUCTION}/rotations"),
    "put a variable": lambda c, n: c.put(f"{PRODUCTION}/variables/shop/NEW{n}", json={"value": "x"}),
    "see events": lambda c, _: c.get("/events"),
}
_number = iter(range(1_000_000))


@pytest.fixture(autouse=True)
def _as_it_comes(it: Keywright) -> None:
    persons.decide(it.service)


def fresh(it: Keywright) -> str:
    user = somebody(it)
    persons.app(it.service, user)
    return persons.signed_in(it.service, user, factor=timedelta(minutes=14))


def stale(it: Keywright) -> str:
    user = somebody(it)
    persons.app(it.service, user)
    return persons.signed_in(it.service, user, factor=timedelta(minutes=16))


def never_shown(it: Keywright) -> str:
    user = somebody(it)
    persons.app(it.service, user)
    return persons.signed_in(it.service, user)


def without(it: Keywright) -> str:
    return persons.signed_in(it.service, somebody(it))


def own_token(it: Keywright) -> str:
    user = somebody(it)
    persons.app(it.service, user)
    return persons.own_token(it.service, user)


def trusted(it: Keywright) -> str:
    """It has none here: its identity provider asked for one."""
    return persons.signed_in(it.service, somebody(it), factor=timedelta())


def somebody(it: Keywright) -> str:
    return persons.add(it.service, f"anna{next(_number)}@keywright.test", persons.OWNER)


def asking(it: Keywright, token: str) -> httpx2.Client:
    client = it.client(token)
    client.owner, client.service = it.client(), it.service  # type: ignore[attr-defined]
    return client


@pytest.mark.parametrize("caller", [stale, never_shown, without, own_token], ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_person_is_asked_for_a_fresh_factor_to(
    it: Keywright, operation: str, caller: Callable[[Keywright], str]
) -> None:
    answer = OPERATIONS[operation](asking(it, caller(it)), next(_number))
    assert answer.status_code == 403, answer.text
    assert "second factor" in answer.text


@pytest.mark.parametrize("caller", [fresh, trusted], ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_showed_one_lately_may(it: Keywright, operation: str, caller: Callable[[Keywright], str]) -> None:
    answer = OPERATIONS[operation](asking(it, caller(it)), next(_number))
    assert answer.status_code in (200, 201, 202, 204, 409, 424), answer.text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_machines_are_not_asked(it: Keywright, operation: str) -> None:
    answer = OPERATIONS[operation](asking(it, it.owner), next(_number))
    assert answer.status_code in (200, 201, 202, 204, 409, 424), answer.text


@pytest.mark.parametrize("caller", [stale, without, own_token], ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_is_asked_where_it_is_switched_off(
    it: Keywright, operation: str, caller: Callable[[Keywright], str]
) -> None:
    persons.decide(it.service, step_up=0)
    answer = OPERATIONS[operation](asking(it, caller(it)), next(_number))
    assert answer.status_code in (200, 201, 202, 204, 403, 409, 424), answer.text
    assert "second factor" not in answer.text


@pytest.mark.parametrize("operation", FREE)
def test_nobody_is_asked_to(it: Keywright, operation: str) -> None:
    assert FREE[operation](asking(it, stale(it)), next(_number)).status_code in (200, 201)


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        (stale, "in the last 15 minutes: show your second factor (POST /api/v1/session/factor)"),
        (without, "you have none yet: add one first"),
        (own_token, "which a token of your own cannot show"),
    ],
    ids=["stale", "without", "own token"],
)
def test_it_says_what_to_do(it: Keywright, caller: Callable[[Keywright], str], said: str) -> None:
    answer = it.client(caller(it)).get(f"{PRODUCTION}/values/shop/PASSWORD")
    assert answer.json()["type"] == NEEDED
    assert said in answer.json()["detail"]


def test_a_token_of_one_s_own_is_made_by_who_showed_one_lately(it: Keywright) -> None:
    body = {"name": "script"}
    assert it.client(stale(it)).post("/me/tokens", json=body).json()["type"] == NEEDED
    assert it.client(fresh(it)).post("/me/tokens", json=body).status_code == 201


def test_what_a_person_may_not_see_is_absent_whether_it_is_fresh_or_not(it: Keywright) -> None:
    user = persons.add(it.service, f"ben{next(_number)}@keywright.test")
    told = {
        (answer.status_code, answer.json()["detail"])
        for text in (persons.signed_in(it.service, user), persons.signed_in(it.service, user, factor=timedelta()))
        for answer in (it.client(text).get(f"{PRODUCTION}/values/shop/PASSWORD"),)
    }
    assert [status for status, _ in told] == [404]


def test_a_refusal_is_an_event(it: Keywright) -> None:
    user = somebody(it)
    it.client(persons.signed_in(it.service, user)).get(f"{PRODUCTION}/values/shop/PASSWORD")
    events = it.client().get(f"/events?actor={user}").json()["items"]
    assert [(each["action"], each["outcome"], each["detail"]["error"]) for each in events] == [
        ("value.fetch", "refused", "FactorNeeded")
    ]
