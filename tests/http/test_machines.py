"""Machines over HTTP: made, changed and taken away; their logins, and their tokens."""

import itertools
from collections.abc import Iterator

import httpx2
import pytest

from tests.rigs.issuer import AUDIENCE, SUBJECT, Issuer, running_issuer
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.signed_in import signed_in

USE = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
VALUE = "/environments/production/values/shop/HOST"
_number = itertools.count()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as it:
        yield it


@pytest.fixture(scope="module")
def machine(owner: httpx2.Client, issuer: Issuer) -> dict[str, object]:
    """One with an approle, and one more way."""
    signer = {"issuer": issuer.url, "ca": issuer.ca}
    proofs = [{"kind": "approle"}, {"kind": "jwt", "signer": signer, "audiences": [AUDIENCE], "subject": SUBJECT}]
    made = owner.post("/machines", json={"name": "shop/web", "grants": [USE], "proofs": proofs})
    assert made.status_code == 201, made.text
    return made.json()  # type: ignore[no-any-return]


def login(it: Keywright, owner: httpx2.Client) -> dict[str, str]:
    secret = owner.post("/machine-secrets", json={"machine": "shop/web"}).json()
    shown = {"role_id": secret["role_id"], "secret_id": secret["secret_id"]}
    answer = it.nobody().post("/login/approle", json=shown)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_a_machine_is_shown_as_it_was_made(owner: httpx2.Client, machine: dict[str, object], issuer: Issuer) -> None:
    answer = owner.get("/machines/shop/web")
    assert answer.headers["etag"] == '"1"'
    shown = answer.json()
    assert shown == machine
    assert [(grant["token"], grant["machine"]) for grant in shown["grants"]] == [(None, "shop/web")]
    assert [proof["kind"] for proof in shown["proofs"]] == ["approle", "jwt"]
    assert shown["proofs"][1]["signer"]["algorithms"] == ["RS256", "ES256"]
    assert (shown["token_ttl"], shown["token_max_life"]) == ("1h", "1d")
    assert [it["name"] for it in owner.get("/machines").json()["items"]] == ["shop/web"]


def test_an_approle_lets_in_once(it: Keywright, owner: httpx2.Client, machine: dict[str, object]) -> None:
    secret = owner.post("/machine-secrets", json={"machine": "shop/web"}).json()
    assert secret["secret_id"] not in owner.get("/machine-secrets", params={"machine": "shop/web"}).text
    shown = {"role_id": secret["role_id"], "secret_id": secret["secret_id"]}
    first, second = (it.nobody().post("/login/approle", json=shown) for _ in range(2))
    assert first.status_code == 200
    given = first.json()
    assert set(given) == {"token", "token_id", "machine", "expires_at", "renewable_until"}
    assert it.client(given["token"]).get(VALUE).json()["value"] == "db.internal"
    assert second.status_code == 401
    assert second.headers["www-authenticate"].startswith("Bearer")
    unknown = it.nobody().post("/login/approle", json=shown | {"role_id": "x"}).json()
    assert unknown["detail"] == second.json()["detail"]
    assert secret["secret_id"] not in second.text


def test_a_workflow_lets_in(it: Keywright, machine: dict[str, object], issuer: Issuer) -> None:
    good = issuer.signed(issuer.claims())
    answer = it.nobody().post("/login/jwt", json={"machine": "shop/web", "jwt": good})
    assert answer.status_code == 200, answer.text
    client = it.client(answer.json()["token"])
    told = client.get("/me/token").json()
    assert (told["machine"], told["metadata"]["subject"]) == ("shop/web", SUBJECT)
    assert client.get("/me").json()["grants"][0]["machine"] == "shop/web"
    for body in ({"machine": "shop/web", "jwt": good[:-9]}, {"machine": "nobody", "jwt": good}):
        assert it.nobody().post("/login/jwt", json=body).status_code == 401
    refused = it.nobody().post("/login/kubernetes", json={"machine": "shop/web", "jwt": good})
    assert refused.status_code == 401


def test_an_issuer_that_does_not_answer_is_503(it: Keywright, owner: httpx2.Client) -> None:
    with running_issuer() as gone:
        signer = {"issuer": gone.url, "ca": gone.ca}
        good = gone.signed(gone.claims())
    proof = {"kind": "jwt", "signer": signer, "audiences": [AUDIENCE], "subject": SUBJECT}
    assert owner.post("/machines", json={"name": "left", "proofs": [proof]}).status_code == 201
    answer = it.nobody().post("/login/jwt", json={"machine": "left", "jwt": good})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert good not in answer.text


def test_a_token_is_renewed_and_ended_by_its_holder(
    it: Keywright, owner: httpx2.Client, machine: dict[str, object]
) -> None:
    given = login(it, owner)
    client = it.client(given["token"])
    renewed = client.post("/me/renewals", json={"increment": "2h"}).json()
    assert renewed["renewable_until"] == given["renewable_until"]
    assert given["expires_at"] < renewed["expires_at"] < given["renewable_until"]
    assert client.post("/me/renewals", json={}).json()["expires_at"] == renewed["expires_at"]
    assert client.post("/me/renewals", json={"increment": "0s"}).json()["field"] == "increment"
    assert client.delete("/me/token").status_code == 204
    assert client.get("/me").status_code == 401
    assert owner.post("/me/renewals", json={}).status_code == 409


def test_what_is_changed_holds_at_once(it: Keywright, owner: httpx2.Client, machine: dict[str, object]) -> None:
    client = it.client(login(it, owner)["token"])
    assert client.get(VALUE).status_code == 200
    assert owner.patch("/machines/shop/web", json={"enabled": False}).json()["enabled"] is False
    assert client.get(VALUE).status_code == 401
    assert owner.patch("/machines/shop/web", json={"enabled": True}, headers={"If-Match": '"1"'}).status_code == 412
    assert owner.patch("/machines/shop/web", json={"enabled": True}).status_code == 200
    grant_id = owner.get("/machines/shop/web").json()["grants"][0]["id"]
    assert owner.delete(f"/grants/{grant_id}").status_code == 204
    assert client.get(VALUE).status_code == 404
    assert owner.post("/grants", json={"machine": "shop/web", **USE}).json()["machine"] == "shop/web"
    assert client.get(VALUE).status_code == 200


WIDER = [
    {"enabled": True},
    {"allowlist": []},
    {"allowlist": ["10.0.0.0/7"]},
    {"allowlist": ["10.1.0.0/16", "::/0"]},
    {"token_ttl": "2h"},
    {"token_max_life": "25h"},
]
NARROWER = [
    {"enabled": False},
    {"allowlist": ["10.1.0.0/16", "10.2.0.0/16"]},
    {"allowlist": ["10.0.0.0/8"]},
    {"token_ttl": "10m", "token_max_life": "23h"},
]


@pytest.fixture
def shut(owner: httpx2.Client) -> Iterator[str]:
    """A machine that owns production, and was disabled."""
    grant = {"level": "own", "kind": "environment", "environment": "production"}
    body = {"name": "ops/deploy", "grants": [grant], "allowlist": ["10.0.0.0/8"]}
    assert owner.post("/machines", json=body).status_code == 201
    assert owner.patch("/machines/ops/deploy", json={"enabled": False}).status_code == 200
    yield "/machines/ops/deploy"
    assert owner.delete("/machines/ops/deploy").status_code == 204


@pytest.mark.parametrize("body", WIDER, ids=str)
def test_a_machine_is_widened_by_who_owns_what_it_holds(
    it: Keywright, owner: httpx2.Client, shut: str, body: dict[str, object]
) -> None:
    before = owner.get(shut).json()
    keeps = {"level": "own", "kind": "machine"}
    answer = it.client(it.token(f"gardener{next(_number)}", keeps)).patch(shut, json=body)
    assert answer.status_code == 403, answer.text
    assert "holds more than you own" in answer.json()["detail"]
    assert owner.get(shut).json() == before
    over = it.token(f"over{next(_number)}", keeps, {"level": "own", "kind": "environment", "environment": "production"})
    assert it.client(over).patch(shut, json=body).status_code == 200


@pytest.mark.parametrize("body", NARROWER, ids=str)
def test_a_machine_is_narrowed_by_who_may_edit_it(it: Keywright, shut: str, body: dict[str, object]) -> None:
    answer = it.client(it.token(f"gardener{next(_number)}", {"level": "edit", "kind": "machine"})).patch(
        shut, json=body
    )
    assert answer.status_code == 200, answer.text
    stale = signed_in(it, f"gardener{next(_number)}@example.test", ("edit", "machine")).again(factor_ago=None)
    assert stale.patch(shut, json=body).status_code == 200


def test_a_machine_is_widened_by_who_showed_a_factor_lately(it: Keywright, shut: str) -> None:
    person = signed_in(it, f"chief{next(_number)}@example.test", ("own", "everything"))
    for body in WIDER:
        answer = person.again(factor_ago=None).patch(shut, json=body)
        assert answer.json()["type"] == "urn:keywright:problem:factor-needed", body
    for body in WIDER:
        assert person.client.patch(shut, json=body).status_code == 200, body


def test_a_machine_goes_with_what_is_its_own(it: Keywright, owner: httpx2.Client) -> None:
    body = {"name": "brief", "grants": [USE], "proofs": [{"kind": "approle", "role_id": "role-of-brief"}]}
    assert owner.post("/machines", json=body).status_code == 201
    assert owner.post("/machines", json=body).status_code == 409
    assert owner.post("/machines", json=body | {"name": "second"}).status_code == 409  # the role id is taken
    secret = owner.post("/machine-secrets", json={"machine": "brief", "uses": 0}).json()
    shown = {"role_id": "role-of-brief", "secret_id": secret["secret_id"]}
    token = it.nobody().post("/login/approle", json=shown).json()["token"]
    assert owner.delete("/machines/brief").status_code == 204
    assert it.nobody().post("/login/approle", json=shown).status_code == 401
    assert it.client(token).get("/me").status_code == 401
    assert owner.get("/machines/brief").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"token_ttl": "2d"}, "token_ttl"),
        ({"token_ttl": "5s"}, "token_ttl"),
        ({"token_max_life": "90d"}, "token_max_life"),
        ({"allowlist": ["10.0.0.1/8"]}, "allowlist"),
        ({"proofs": [{"kind": "certificate", "certificates": []}]}, "proofs.0.certificate.certificates"),
        ({"proofs": [{"kind": "password"}]}, "proofs.0"),
        ({"grants": [{"level": "use", "kind": "environment"}]}, "environment"),
    ],
)
def test_bad_input_makes_no_machine(owner: httpx2.Client, body: dict[str, object], field: str) -> None:
    answer = owner.post("/machines", json={"name": "bad"} | body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert owner.get("/machines/bad").status_code == 404


def test_wrong_proofs_are_limited_like_unknown_tokens() -> None:
    with running_keywright(refused_rate=1) as it:
        shown = {"role_id": "x", "secret_id": "y"}
        said = [it.nobody().post("/login/approle", json=shown).status_code for _ in range(10)]
        assert said[0] == 401
        assert said[-1] == 429


def test_a_trusted_proxy_tells_where_a_login_comes_from() -> None:
    with running_keywright(trusted_proxies="127.0.0.0/8") as it:
        owner = it.client()
        body = {"name": "shop/web", "proofs": [{"kind": "approle"}], "allowlist": ["192.0.2.0/24"]}
        assert owner.post("/machines", json=body).status_code == 201
        secret = owner.post("/machine-secrets", json={"machine": "shop/web"}).json()
        shown = {"role_id": secret["role_id"], "secret_id": secret["secret_id"]}
        for said, status in (("198.51.100.1", 401), ("192.0.2.7, 198.51.100.1", 401), ("192.0.2.7", 200)):
            answer = it.nobody().post("/login/approle", json=shown, headers={"X-Forwarded-For": said})
            assert answer.status_code == status
