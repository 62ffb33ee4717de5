"""People sign in by a real OpenID provider (`oidc-provider` of npm), over HTTP as a browser does."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.rigs.keywright import Keywright
from tests.rigs.openid_provider import SECRET, OpenIdProvider, running_openid_provider

ACCOUNTS = {
    "ada": {"email": "Ada@Example.com", "email_verified": True, "name": "Ada L.", "groups": ["eng", "unknown"]},
    "eve": {"email": "eve@elsewhere.org", "email_verified": True, "name": "Eve", "groups": []},
    "mal": {"email": "mal@example.com", "email_verified": False, "name": "Mal", "groups": []},
    "nil": {"name": "Nil", "groups": []},
}


@pytest.fixture(scope="module")
def there(it: Keywright) -> Iterator[OpenIdProvider]:
    with running_openid_provider(it.url, accounts=ACCOUNTS) as provider:
        entry = {"creates": True, "domains": ["example.com"], "groups": {"eng": "engineers"}}
        _let(it, "npm", provider.definition(entry=entry, groups_claim="groups"))
        yield provider


def _let(it: Keywright, name: str, definition: dict[str, Any], **more: Any) -> None:
    body = {"name": name, "definition": definition, "secret": SECRET} | more
    made = it.client().post("/identity-providers", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["callback"] == f"{it.url}/sign-in/oidc/{name}/callback"


def session_of(answer: httpx2.Response) -> str:
    """The text of the session that an answer set a cookie for."""
    return answer.cookies["keywright"]


def test_whoever_is_proven_there_is_signed_in_here(it: Keywright, there: OpenIdProvider) -> None:
    answer = there.browser().sign_in(f"{it.url}/sign-in/oidc/npm?next=/somewhere", "ada")
    assert (answer.status_code, answer.headers["location"]) == (303, "/somewhere"), answer.text
    me = it.client(session_of(answer)).get("/me").json()
    assert me["name"] == "ada@example.com"
