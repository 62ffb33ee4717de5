"""People sign in by a real OpenID provider (`oidc-provider` of npm), over HTTP as a browser does."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey

from tests.people.test_admission import group, groups_of, user_of
from tests.rigs.keywright import Keywright
from tests.rigs.openid_provider import CLIENT, SECRET, Browser, OpenIdProvider, key, running_openid_provider
from tests.rigs.ports import free_port

ACCOUNTS = {
    "ada": {"email": "Ada@Example.com", "email_verified": True, "name": "Ada L.", "groups": ["eng", "unknown"]},
    "eve": {"email": "eve@elsewhere.org", "email_verified": True, "name": "Eve", "groups": []},
    "mal": {"email": "mal@example.com", "email_verified": False, "name": "Mal", "groups": []},
    "nil": {"name": "Nil", "groups": []},
}
KEY = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
"""One of ours, where a provider knows its public half instead of a secret, by its thumbprint."""
ENTRY = {"creates": True, "domains": ["example.com"], "groups": {"eng": "engineers"}}
START = "{}/sign-in/oidc/{}"


@pytest.fixture(scope="module")
def there(it: Keywright) -> Iterator[OpenIdProvider]:
    group(it, "engineers")
    with running_openid_provider(it.url, accounts=ACCOUNTS) as provider:
        let(it, "npm", provider.definition(entry=ENTRY, groups_claim="groups"))
        yield provider


def let(it: Keywright, name: str, definition: dict[str, Any], secret: str = SECRET) -> None:
    """Let people sign in by it."""
    made = it.client().post("/identity-providers", json={"name": name, "definition": definition, "secret": secret})
    assert made.status_code == 201, made.text
    assert made.json()["callback"] == f"{START.format(it.url, name)}/callback"
    assert SECRET not in made.text


def come(it: Keywright, browser: Browser, login: str, name: str = "npm", query: str = "") -> httpx2.Response:
    """A whole sign-in."""
    return browser.sign_in(START.format(it.url, name) + query, login)


def session_of(answer: httpx2.Response) -> str:
    """The text of the session that was opened."""
    assert answer.status_code == 303, answer.text
    return answer.cookies["keywright"]


def test_whoever_is_proven_there_is_signed_in_here(it: Keywright, there: OpenIdProvider) -> None:
    answer = come(it, there.browser(), "ada", query="?next=/somewhere")
    assert answer.headers["location"] == "/somewhere"
    kept = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in kept)
    session = session_of(answer)
    assert it.client(session).get("/me").json()["name"] == "ada@example.com"
    user = user_of(it, session)
    assert (user.name, user.subject, groups_of(it, user.id)) == ("Ada L.", "ada", {("engineers", "oidc")})
    events = it.client().get("/events", params={"action": "session.open", "actor": user.id}).json()["items"]
    seen = it.client().get("/events", params={"action": "session.open"}).json()["items"]
    told = [each["detail"] for each in events or seen if each["outcome"] == "allowed"]
    assert told[0]["method"] == "oidc:npm"


@pytest.mark.parametrize("login", ["eve", "mal", "nil"])
def test_whoever_may_not_come_in_reads_why(it: Keywright, there: OpenIdProvider, login: str) -> None:
    answer = come(it, there.browser(), login)
    assert answer.status_code == 401
    assert "keywright" not in answer.cookies
    said = {"eve": "lets in no addresses of your domain", "mal": "not verified", "nil": "tells no e-mail address"}
    assert said[login] in answer.text


def test_a_code_that_was_caught_is_of_no_use_to_who_caught_it(it: Keywright, there: OpenIdProvider) -> None:
    victim, thief = there.browser(), there.browser()
    caught = victim.stopped_before(START.format(it.url, "npm"), "ada")
    assert "code=" in caught
    assert thief.get(caught).status_code == 401  # of another browser, which uses it up
    assert victim.get(caught).status_code == 401
    # Injected into a sign-in that the thief began itself: the provider wants the verifier that the victim's has.
    caught = victim.stopped_before(START.format(it.url, "npm"), "ada")
    begun = thief.get(START.format(it.url, "npm")).headers["location"]
    state = parse_qs(urlsplit(begun).query)["state"][0]
    stolen = parse_qs(urlsplit(caught).query)
    query = urlencode({"code": stolen["code"][0], "state": state, "iss": stolen["iss"][0]})
    answer = thief.get(f"{START.format(it.url, 'npm')}/callback?{query}")
    assert answer.status_code == 401
    assert "does not take the code" in answer.text
    assert victim.get(caught).status_code == 303  # nothing of the victim's was used up by that


def test_whoever_declines_there_is_told_so(it: Keywright, there: OpenIdProvider) -> None:
    browser = there.browser()
    begun = browser.get(START.format(it.url, "npm"))
    page = browser.get(
        browser.get(begun.headers["location"]).headers["location"].replace("/interaction", f"{there.url}/interaction")
    )
    assert page.status_code == 200
    answer = browser.get(f"{page.request.url}/abort")
    while answer.is_redirect:
        answer = browser.get(urljoin(there.url, answer.headers["location"]))
    assert answer.status_code == 401
    assert "did not let you in" in answer.text


def test_keys_turn(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.proofs.jwks.AGAIN", 0.0)
    port = free_port()
    for kid in ("first", "second"):
        with running_openid_provider(it.url, "turning", accounts=ACCOUNTS, port=port, kid=kid) as provider:
            if kid == "first":
                let(it, "turning", provider.definition(entry={"creates": True}))
            email = f"{kid}@example.com"
            assert email
            answer = come(it, provider.browser(), "eve", "turning")
            assert answer.status_code == 303, answer.text


def test_what_stands_at_userinfo_only_is_found(it: Keywright) -> None:
    accounts = {"una": {"email": "una@example.com", "email_verified": True, "name": "Una", "groups": ["eng"]}}
    group(it, "found-there")
    with running_openid_provider(it.url, "bare", accounts=accounts, bare=True) as provider:
        entry = {"creates": True, "groups": {"eng": "found-there"}}
        let(it, "bare", provider.definition(entry=entry, groups_claim="groups"))
        user = user_of(it, session_of(come(it, provider.browser(), "una", "bare")))
        assert (user.email, user.name, groups_of(it, user.id)) == ("una@example.com", "Una", {("found-there", "oidc")})


def test_the_address_may_come_from_an_access_token(it: Keywright) -> None:
    accounts = {"abe": {"email": "abe@example.com", "email_verified": True, "name": "Abe"}}
    with running_openid_provider(it.url, "api", accounts=accounts, bare=True, resource="https://api.test") as provider:
        definition = provider.definition(entry={"creates": True}, access_audience="https://api.test")
        let(it, "api", definition)
        assert user_of(it, session_of(come(it, provider.browser(), "abe", "api"))).email == "abe@example.com"
        changed = it.client().patch(
            "/identity-providers/api", json={"definition": definition | {"access_audience": None}}
        )
        assert changed.status_code == 200
        answer = come(it, provider.browser(), "abe", "api")
        # Of an access token for another nothing is read; and its userinfo endpoint takes none but its own.
        assert answer.status_code == 503


@pytest.mark.parametrize(
    ("client", "secret", "works"),
    [
        ({"token_endpoint_auth_method": "client_secret_post"}, SECRET, True),
        ({"token_endpoint_auth_method": "none", "client_secret": None}, "", True),
        ({}, "another secret", False),
        (
            {
                "token_endpoint_auth_method": "private_key_jwt",
                "client_secret": None,
                "jwks": {"keys": [KEY.as_dict(private=False)]},
            },
            KEY.as_pem(private=True).decode(),
            True,
        ),
    ],
)
def test_how_the_secret_is_shown(it: Keywright, client: dict[str, Any], secret: str, works: bool) -> None:
    name = f"secret-{len(it.client().get('/identity-providers').json()['items'])}"
    accounts = {"sue": {"email": f"{name}@example.com", "email_verified": True}}
    with running_openid_provider(it.url, name, accounts=accounts, **client) as provider:
        let(it, name, provider.definition(entry={"creates": True}), secret)
        answer = come(it, provider.browser(), "sue", name)
        assert answer.status_code == (303 if works else 503), answer.text
        assert CLIENT not in answer.text


@pytest.mark.parametrize(
    ("registered", "key_id", "works"),
    [
        ("theirs", "theirs", True),
        ("theirs", "another", False),
        ("theirs", None, False),  # the thumbprint is not what the provider was told
        ("its thumbprint", None, True),
    ],
)
def test_the_provider_is_told_which_key_it_is(it: Keywright, registered: str, key_id: str | None, works: bool) -> None:
    name = f"key-{len(it.client().get('/identity-providers').json()['items'])}"
    keys = [key("decoy").as_dict(private=False), KEY.as_dict(private=False)]
    if registered != "its thumbprint":
        keys[1]["kid"] = registered
    client = {"token_endpoint_auth_method": "private_key_jwt", "client_secret": None, "jwks": {"keys": keys}}
    accounts = {"sue": {"email": f"{name}@example.com", "email_verified": True}}
    with running_openid_provider(it.url, name, accounts=accounts, **client) as provider:
        definition = provider.definition(entry={"creates": True}, key_id=key_id)
        let(it, name, definition, KEY.as_pem(private=True).decode())
        assert it.client().get(f"/identity-providers/{name}").json()["definition"]["key_id"] == key_id
        answer = come(it, provider.browser(), "sue", name)
        assert answer.status_code == (303 if works else 503), answer.text


def test_whoever_leaves_here_leaves_there_and_is_out_of_the_session(it: Keywright, there: OpenIdProvider) -> None:
    browser, other = there.browser(), there.browser()
    session, another = session_of(come(it, browser, "ada")), session_of(come(it, other, "ada"))
    away = it.service.people.oidc.leaving(session.split("_")[1])
    assert away.startswith(f"{there.url}/session/end?")
    assert parse_qs(urlsplit(away).query)["post_logout_redirect_uri"] == [f"{it.url}/sign-in"]
    assert it.client(session).get("/me").status_code == 200
    browser.sign_in(away, "", until="/sign-in")  # and the provider calls back before it sends the browser on
    assert it.client(session).get("/me").status_code == 401
    assert it.client(another).get("/me").status_code == 200
    assert it.service.people.oidc.leaving(session.split("_")[1]) == ""


def test_the_pages_lead_there_and_back(it: Keywright, there: OpenIdProvider) -> None:
    browser = there.browser()
    assert 'href="/sign-in/oidc/npm?next=/password"' in browser.get(f"{it.url}/sign-in?next=/password").text
    answer = come(it, browser, "ada")
    assert browser.get(f"{it.url}/").status_code == 200
    page = browser.get(f"{it.url}/sign-out")
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token is not None
    left = browser.client.post(f"{it.url}/sign-out", data={"csrf": token[1]})
    assert left.headers["refresh"].startswith(f"0; url={there.url}/session/end?")
    assert it.client(session_of(answer)).get("/me").status_code == 401
    browser.sign_in(left.headers["refresh"].partition("url=")[2], "", until="/sign-in")
    assert "interaction" in browser.stopped_before(START.format(it.url, "npm"), "ada", until="/interaction/")


def test_a_check_says_what_is_wrong(it: Keywright, there: OpenIdProvider) -> None:
    owner = it.client()
    assert owner.post("/identity-providers/npm/check").json() == {"works": True, "problems": []}
    definition = there.definition(scopes=["openid", "nothing"], algorithms=["ES512"])
    let(it, "wrong", definition)
    said = json.dumps(owner.post("/identity-providers/wrong/check").json())
    assert "scopes nothing" in said
    assert "ES512" in said
    let(it, "nowhere", definition | {"issuer": f"http://127.0.0.1:{free_port()}"})
    found = owner.post("/identity-providers/nowhere/check").json()
    assert found["works"] is False
    assert "does not answer" in found["problems"][0]
