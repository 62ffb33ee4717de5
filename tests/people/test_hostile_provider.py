"""What an OpenID provider, or somebody between it and the browser, may try: case by case, over HTTP."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.people.conftest import Site
from tests.rigs.hostile_provider import CLIENT, HostileProvider
from tests.rigs.issuer import pem, rsa
from tests.rigs.keywright import Keywright
from tests.rigs.ports import silent_port
from tests.rigs.stub import Answer

FOREIGN = rsa("first")
"""Somebody else's key, under the name of the right one."""


Told = Callable[[HostileProvider, str], dict[str, Any]]


def _unsigned(it: HostileProvider, issuer: str) -> dict[str, Any]:
    parts = [{"alg": "none", "kid": it.key.kid}, it.claims(issuer)]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return {"id_token": f"{text}."}


def _by_public_key(it: HostileProvider, issuer: str) -> dict[str, Any]:
    parts = [{"alg": "HS256", "kid": it.key.kid}, it.claims(issuer)]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    made = hmac.digest(pem(it.key).encode(), text.encode(), "sha256")
    return {"id_token": f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"}


def _half(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


LIES: dict[str, tuple[Told, str]] = {
    "no ID token": (lambda it, issuer: {"access_token": "opaque"}, "no ID token"),
    "an unsigned one": (_unsigned, "token: algorithm"),
    "one signed with the public key as a shared one": (_by_public_key, "token: algorithm"),
    "one by a foreign key of the right name": (lambda it, issuer: it.told(issuer, FOREIGN), "token: signature"),
    "one by a key that the header brings along": (
        lambda it, issuer: it.told(issuer, FOREIGN, {"jwk": FOREIGN.as_dict(private=False)}),
        "token: signature",
    ),
    "another issuer": (lambda it, issuer: it.told(issuer, iss=f"{issuer}x"), "token: claim iss"),
    "another audience": (lambda it, issuer: it.told(issuer, aud="other"), "token: claim aud"),
    "no audience": (lambda it, issuer: it.told(issuer, aud=None), "token: claim aud"),
    "several audiences and no authorized party": (
        lambda it, issuer: it.told(issuer, aud=[CLIENT, "other"]),
        "authorized party",
    ),
    "another authorized party": (lambda it, issuer: it.told(issuer, azp="other"), "authorized party"),
    "expired": (lambda it, issuer: it.told(issuer, exp=int(time.time()) - 120), "token: expired"),
    "no expiry": (lambda it, issuer: it.told(issuer, exp=None), "token: claim exp"),
    "issued long ago": (lambda it, issuer: it.told(issuer, iat=int(time.time()) - 3600), "issued at another time"),
    "issued in the future": (lambda it, issuer: it.told(issuer, iat=int(time.time()) + 600), "token: claim iat"),
    "no time of issue": (lambda it, issuer: it.told(issuer, iat=None), "no time of issue"),
    "no nonce": (lambda it, issuer: it.told(issuer, nonce=None), "nonce"),
    "the nonce of another sign-in": (lambda it, issuer: it.told(issuer, nonce="other"), "nonce"),
    "no subject": (lambda it, issuer: it.told(issuer, sub=None), "no subject"),
    "the hash of another access token": (
        lambda it, issuer: it.told(issuer, at_hash=_half("other")),
        "access token's hash",
    ),
    "an address that is not verified": (
        lambda it, issuer: it.told(issuer, email_verified=False),
        "e-mail not verified",
    ),
    "the same as a text": (lambda it, issuer: it.told(issuer, email_verified="false"), "e-mail not verified"),
    "no address": (lambda it, issuer: it.told(issuer, email=None), "no e-mail address"),
    "something that is no address": (lambda it, issuer: it.told(issuer, email="<b>@"), "no e-mail address"),
    "more than a token holds": (lambda it, issuer: it.told(issuer, filler="x" * 20_000), "token too long"),
}


@pytest.fixture(scope="module")
def liar(it: Keywright, server: HostileProvider) -> Site:
    made = Site(it, server, "liar")
    made.let()
    return made


@pytest.mark.parametrize("what", LIES)
def test_a_token_that_is_not_right_lets_nobody_in(liar: Site, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, reason = LIES[what]
    monkeypatch.setattr(liar.server, "tokens", tokens)
    answer = liar.come()
    assert (answer.status_code, "keywright" in answer.cookies) == (401, False), answer.text
    assert liar.refusal() == reason


def test_the_same_without_a_lie_does(liar: Site) -> None:
    liar.server.tokens = HostileProvider().tokens
    assert liar.come().status_code == 303


def test_the_hash_of_the_access_token_passes(site: Site) -> None:
    site.let()
    site.server.tokens = lambda it, issuer: it.told(issuer, at_hash=_half("opaque"))
    assert site.come().status_code == 303


def test_what_is_told_beside_the_code_names_the_provider(site: Site) -> None:
    site.let()
    for lie in (None, "https://other.test", ""):
        answer = site.come(iss=lie)
        assert answer.status_code == 401
        assert site.refusal() in ("no iss", "iss of another provider")


def test_a_provider_that_promises_nothing_may_leave_its_name_out_but_not_lie(site: Site) -> None:
    site.server.metadata = {"authorization_response_iss_parameter_supported": None}
    site.let()
    assert site.come(iss=None).status_code == 303
    assert site.come(iss="https://other.test").status_code == 401


def test_a_state_is_of_one_browser_one_provider_and_one_use(site: Site, it: Keywright) -> None:
    site.let()
    other = Site(it, site.server, f"{site.name}-other")
    other.let()
    browser = site.browser()
    before = len(site.server.asked)
    assert site.back(browser, None).status_code == 401
    assert site.back(browser, "made-up").status_code == 401
    assert site.refusal() == "state"
    # Login CSRF: the sign-in of the attacker, gone on with by the victim; with and without a sign-in of its own.
    assert site.back(site.browser(), site.begun(browser)).status_code == 401
    assert site.refusal() == "browser"
    victim = site.browser()
    site.begun(victim)
    assert site.back(victim, site.begun(browser)).status_code == 401
    # Mix-up: begun with one provider, come back from the other.
    state = site.begun(browser)
    assert other.back(browser, state).status_code == 401
    assert site.refusal() == "state of another provider"
    assert site.back(browser, state).status_code == 401  # it was used up by that
    assert [request.path for request in site.server.asked[before:] if request.path.endswith("/token")] == []
    state = site.begun(browser)
    assert site.back(browser, state).status_code == 303
    assert site.back(browser, state).status_code == 401  # replayed
    assert site.refusal() == "state"


def test_two_windows_of_one_browser_may_sign_in_at_once(site: Site) -> None:
    site.let()
    browser = site.browser()
    first = site.begun(browser)
    nonce = site.server.nonce
    second = site.begun(browser)
    assert site.back(browser, second).status_code == 303
    site.server.nonce = nonce
    assert site.back(browser, first).status_code == 303


def test_a_code_goes_with_the_verifier_of_the_browser_that_asked_for_it(site: Site) -> None:
    site.let()
    browser = site.browser()
    begun = browser.get(site.here)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert site.back(browser, site.server.heard(begun.headers["location"])).status_code == 303
    shown = site.server.form()
    digest = hashlib.sha256(shown["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert shown["redirect_uri"] == [f"{site.here}/callback"]
    assert "client_secret" not in shown  # it is shown in the header


def test_pkce_is_used_whatever_the_provider_says_of_it(site: Site) -> None:
    site.server.metadata = {"code_challenge_methods_supported": ["plain"]}
    site.let()
    begun = site.browser().get(site.here)
    assert "code_challenge_method=S256" in begun.headers["location"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/\r\nSet-Cookie:x",
        "evil",
        " /x",
        "/a b",
    ],
)
def test_it_goes_on_to_no_other_site(site: Site, elsewhere: str) -> None:
    site.let()
    browser = site.browser()
    answer = site.back(browser, site.begun(browser, "?" + urlencode({"next": elsewhere})))
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_what_the_provider_says_of_an_error_is_on_no_page(site: Site) -> None:
    site.let()
    browser = site.browser()
    said = {"error": "access_denied", "error_description": "<script>alert(1)</script> call 555-1234", "code": None}
    answer = site.back(browser, site.begun(browser), **said)
    assert answer.status_code == 401
    assert not re.search(r"script>|555|alert\(", answer.text)
    assert site.refusal() == "error access_denied"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert site.back(browser, site.begun(browser), error="<b>", code=None).status_code == 401
    assert site.refusal() == "error unreadable"


def test_a_query_that_says_something_twice_or_at_length_is_no_answer(site: Site) -> None:
    site.let()
    browser = site.browser()
    state = site.begun(browser)
    for query in (f"state={state}&state={state}&code=c", f"state={state}&code={'c' * 5000}"):
        assert browser.get(f"{site.here}/callback?{query}").status_code == 401
    assert site.back(browser, state).status_code == 303  # nothing was used up by that


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ({"issuer": "https://other.test"}, 503),
        ({"authorization_endpoint": "http://evil.test/authorize"}, 503),
        ({"authorization_endpoint": "javascript:alert(1)"}, 503),
        ({"token_endpoint": "http://evil.test/token"}, 503),
        ({"jwks_uri": "http://127.0.0.1:1/keys"}, 503),
        ({"userinfo_endpoint": "ftp://evil.test"}, 503),
        ({"token_endpoint": None}, 503),
        ({"filler": "x" * 600_000}, 503),
        ({}, 303),
    ],
)
def test_a_discovery_document_that_leads_elsewhere_is_not_followed(
    site: Site, says: dict[str, Any], status: int
) -> None:
    site.server.metadata = says
    site.let()
    answer = site.browser().get(site.here)
    assert answer.status_code == status, answer.text
    assert not re.search("evil|other.test", answer.text)
    checked = site.it.client().post(f"/identity-providers/{site.name}/check", json={}).json()
    assert checked["works"] is (status == 303), checked


def test_a_provider_without_tls_is_refused_at_once(it: Keywright) -> None:
    body = {"name": "plain", "definition": {"kind": "oidc", "issuer": "http://id.test", "client_id": "k"}}
    answer = it.client().post("/identity-providers", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "issuer")


def test_a_provider_of_another_authority_is_not_believed(it: Keywright, server: HostileProvider) -> None:
    body = {"kind": "oidc", "issuer": f"{server.url}/unknown", "client_id": CLIENT}
    it.client().post("/identity-providers", json={"name": "unknown", "definition": body})
    assert httpx2.get(f"{it.url}/sign-in/oidc/unknown", trust_env=False, timeout=60).status_code == 503


def test_one_that_is_silent_is_not_waited_for_long(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.proofs.asking.TOTAL", 1.0)
    with silent_port() as port:
        body = {"kind": "oidc", "issuer": f"http://127.0.0.1:{port}", "client_id": CLIENT}
        it.client().post("/identity-providers", json={"name": "silent", "definition": body})
        assert httpx2.get(f"{it.url}/sign-in/oidc/silent", trust_env=False, timeout=60).status_code == 503


def test_one_that_does_not_answer_a_code_is_left_alone_for_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.let()
    path = urlsplit(site.issuer).path
    browser = site.browser()
    states = [site.begun(browser) for _ in range(2)]
    site.server.answers[f"{path}/token"] = Answer(503)
    assert [site.back(browser, state).status_code for state in states] == [503, 503]
    assert sum(request.path == f"{path}/token" for request in site.server.asked) == 1


def test_a_redirect_of_the_token_endpoint_is_not_followed(site: Site) -> None:
    site.let()
    path = urlsplit(site.issuer).path
    site.server.answers[f"{path}/token"] = Answer(307, b"", {"Location": f"{site.server.url}/caught"})
    assert site.come().status_code == 503
    assert not any(request.path == "/caught" for request in site.server.asked)


def test_a_code_that_the_provider_does_not_take_lets_nobody_in(site: Site) -> None:
    site.let()
    path = urlsplit(site.issuer).path
    site.server.answers[f"{path}/token"] = Answer(400, {"error": "invalid_grant", "error_description": "<i>"})
    assert site.come().status_code == 401
    assert site.refusal() == "code refused"
    site.server.answers[f"{path}/token"] = Answer(401, {"error": "invalid_client"})
    assert site.come().status_code == 503


def test_a_code_is_in_no_log(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.let()
    assert site.come(code="c0de-of-no-log").status_code == 303
    assert site.come(code="c0de-of-no-log", iss="x").status_code == 401
    events = site.it.client().get("/events", params={"limit": 500}).text
    said = capfd.readouterr()
    assert "c0de-of-no-log" not in events + said.out + said.err
