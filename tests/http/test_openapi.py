"""The OpenAPI document and the server say the same: schemathesis tries on the one what the other allows and refuses."""

import contextlib
import secrets
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from service.core.connection import Engine
from service.http.app import application
from tests.rigs.fake_database import FakeDatabase, FakeLogin, _verifier
from tests.rigs.keywright import Keywright, running_keywright

FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONNECTION = {
    "engine": "postgresql",
    "endpoints": [{"host": "db.test"}],
    "database": "shop",
    "tls": {"mode": "disable"},
    "login": {"username": "app", "password": "first-password"},
}

MEANT = {
    # What is wrong with these no schema can say: it lies between fields, in other rows, or behind a cursor.
    "cursor", "names", "template", "reference", "secret", "body", "value",
    "expires_in", "allowlist", "stores", "endpoints", "options", "login", "kept_in", "administered_by", "tls",
    "rotation", "engine", "database", "If-Match",
    "skew", "keys", "ca", "subject", "claims", "service_accounts", "issuer", "jwks_url", "token_ttl", "token_max_life",
    "increment", "overlap", "url", "since", "environment",
    "rule", "at", "attributes", "resource", "email", "user", "session_idle", "landing_folder",
    "domains", "groups", "scopes", "groups_claim",
    "certificates", "groups_attribute", "xml", "slo_url", "sso_url", "passkey", "approvals", "definition",
    "from", "keywright_from",
}  # fmt: skip
SHOWN = ("/users", "/groups", "/factors")
"""Where a name is what people are shown: which characters can be printed, no pattern says."""


def meant(case: Case, response: Response) -> bool:
    """Is it refused for what no schema can say?"""
    if response.status_code != 422:
        return False
    field = response.json()["field"].partition(".")[0].partition("[")[0]
    return field in MEANT or (field == "name" and any(part in case.path for part in (*SHOWN, "/session/factor")))


@pytest.fixture(scope="module")
def served() -> Iterator[Keywright]:
    database = FakeDatabase(logins={"app": FakeLogin((_verifier("first-password"),))})
    with running_keywright(databases={Engine.POSTGRESQL: database, Engine.MARIADB: FakeDatabase(Engine.MARIADB)}) as it:
        furnish(it)
        yield it


def furnish(it: Keywright) -> None:
    """An environment with one of everything: most requests need something to act on."""
    owner = it.client()
    owner.post("/environments", json={"name": "production", "stores": {"env": ["SHOP_*"]}})
    assert owner.put("/environments/production/variables/shop/HOST", json={"value": "db"}).status_code in (200, 201)
    answer = owner.put("/environments/production/connections/shop/db", json=CONNECTION)
    assert answer.status_code in (200, 201), answer.text


@pytest.fixture(scope="module")
def narrow(served: Keywright) -> str:
    grant = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
    return served.token("narrow", grant)


def _document() -> dict[str, Any]:
    nobody = SimpleNamespace(on_change=lambda _: None, counted=dict)
    unheard = SimpleNamespace(recorder=nobody, references=None, figures=None, signals=nobody, deliveries=nobody)
    unheard.door = unheard.pendings = unheard.sessions = None
    return application(cast(Any, unheard), poke=lambda: None, clock_ticks=lambda: True).openapi()


# Collected before any server runs, hence without one: the document does not depend on what is served.
# A stream that is let in has no end: tests of its own are in test_stream.py.
schema = schemathesis.openapi.from_dict(_document()).exclude(path="/api/v1/stream")
# A made-up parameter may be longer than any address may be: that is a refusal too.
brief = schemathesis.openapi.from_dict(_document()).exclude(path="/api/v1/stream")
brief.config.phases.coverage.enabled = False  # its hundreds of cases are the same for every token
for it in (schema, brief):
    # A cookie beside a token is two callers, hence none: nothing behind that would be tried.
    it.config.generation.update(with_security_parameters=False)
    it.config.checks.negative_data_rejection.expected_statuses = [*NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES, "414"]


@schema.parametrize()
@FEW
def test_what_the_document_says_is_so_for_the_owner(case: Case, served: Keywright) -> None:
    tried(case, served.owner, served)


@brief.parametrize()
@settings(FEW, max_examples=3)
def test_what_the_document_says_is_so_for_a_narrow_token(case: Case, served: Keywright, narrow: str) -> None:
    tried(case, narrow, served)


@brief.parametrize()
@settings(FEW, max_examples=1)
def test_what_the_document_says_is_so_for_nobody(case: Case, served: Keywright) -> None:
    response = case.call(base_url=served.url, headers={"Authorization": ""})
    case.validate_response(response, excluded_checks=[positive_data_acceptance] if meant(case, response) else [])
    if case.path.startswith("/api/"):
        # 204: OPTIONS, which tells what is in the document anyway. 429: whoever tries passwords has to wait.
        # 409, 422: how one signs in by a passkey is asked by nobody yet; here no address is known that it is for.
        more = [429] if case.path.endswith("/session") else [409, 422] if "passkey" in case.path else []
        assert response.status_code in (204, 401, 405, *more)


def tried(case: Case, token: str, served: Keywright) -> None:
    """Send one case and hold the answer against the document."""
    positive = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if positive and case.method != "DELETE" and "environment" in case.path_parameters:
        case.path_parameters["environment"] = "production"
        if case.method == "PATCH" and isinstance(case.body, dict):
            case.body.pop("allowlist", None)  # one without our own address is refused
    if case.method == "DELETE" and case.path.endswith("/me/token"):
        token = served.token(f"to-end-{secrets.token_hex(8)}")
    if positive:  # only people ask for approvals: what a machine may do is not tried with that header
        for name in [name for name in case.headers if name.lower() == "keywright-approval"]:
            del case.headers[name]
    response = case.call(base_url=served.url, headers={"Authorization": f"Bearer {token}"})
    excluded = [ignored_auth]  # sends the case again without our token; the third test does that for every case
    if positive and (response.status_code == 412 or meant(case, response)):  # 412: a made-up If-Match
        excluded.append(positive_data_acceptance)
    if response.status_code == 504 and case.path.endswith("/connections/{name}"):
        excluded.append(not_a_server_error)  # the database that was made up does not answer, which is what 504 says
    case.validate_response(response, excluded_checks=excluded)
    if case.method == "DELETE" and response.status_code == 204:
        with contextlib.suppress(httpx2.HTTPError):
            furnish(served)
