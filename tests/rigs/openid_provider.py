"""A real OpenID provider, `oidc-provider` of npm, and a browser without a window that signs in there.

with running_openid_provider(accounts={"ada": {"email": "ada@example.com"}}) as there:
    there.browser().sign_in(f"{keywright}/sign-in/oidc/npm", "ada")
"""

import json
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
from joserfc.jwk import RSAKey

from tests.rigs.node import installed, node
from tests.rigs.ports import free_port
from tests.rigs.process import running

FOLDER = Path(__file__).with_name("openid")
CLIENT, SECRET = "keywright", "s3cret/of+the client"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
MOST_STEPS = 30


@dataclass
class Browser:
    """Follows redirects, keeps cookies, and fills in the forms that it knows."""

    client: httpx2.Client
    seen: list[str] = field(default_factory=list)
    """Every address that it went to."""

    def get(self, url: str) -> httpx2.Response:
        """One page, and no further."""
        self.seen.append(url)
        return self.client.get(url)

    def sign_in(self, url: str, login: str, until: str = "/callback?") -> httpx2.Response:
        """From here through the provider's forms, to the answer of what comes behind an address with `until`."""
        answer = self.get(url)
        for _ in range(MOST_STEPS):
            if until in str(answer.request.url):
                return answer
            answer = self._step(answer, login)
        raise AssertionError(f"never came to {until}: {self.seen}")

    def stopped_before(self, url: str, login: str, until: str = "/callback?") -> str:
        """The same, but the address with `until` is not gone to: somebody may have caught it."""
        answer = self.get(url)
        for _ in range(MOST_STEPS):
            onward = urljoin(str(answer.request.url), answer.headers.get("location", ""))
            if answer.is_redirect and until in onward:
                return onward
            answer = self._step(answer, login)
        raise AssertionError(f"never came to {until}: {self.seen}")

    def _step(self, answer: httpx2.Response, login: str) -> httpx2.Response:
        here = str(answer.request.url)
        if answer.is_redirect:
            return self.get(urljoin(here, answer.headers["location"]))
        form = _FORM.search(answer.text)
        assert (answer.status_code, form is not None) == (200, True), (
            f"{here}: {answer.status_code} {answer.text[:500]}"
        )
        assert form is not None
        fields = dict(_FIELD.findall(answer.text))
        fields |= {"login": login, "password": "anything"} if 'name="login"' in answer.text else {}
        fields |= {"logout": "yes"} if "session/end" in form[1] else {}
        return self.client.post(urljoin(here, form[1]), data=fields)


@dataclass
class OpenIdProvider:
    """One that runs. `url` is its name."""

    url: str
    port: int
    wanted: dict[str, Any]
    _browsers: list[httpx2.Client] = field(default_factory=list)

    def browser(self) -> Browser:
        """Another browser."""
        client = httpx2.Client(timeout=60, trust_env=False, follow_redirects=False)
        self._browsers.append(client)
        return Browser(client)

    def definition(self, **more: Any) -> dict[str, Any]:
        """As `POST /identity-providers` takes it."""
        own = {"kind": "oidc", "issuer": self.url, "client_id": CLIENT}
        return own | {"scopes": ["openid", "email", "profile", "groups"]} | more


def key(kid: str) -> RSAKey:
    """A key pair."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


@contextmanager
def running_openid_provider(
    here: str,
    name: str = "npm",
    *,
    accounts: Mapping[str, Mapping[str, Any]],
    port: int = 0,
    kid: str = "first",
    bare: bool = False,
    resource: str = "",
    **client: Any,
) -> Iterator[OpenIdProvider]:
    """One for the Keywright that is `here`, where it is called `name`.

    `bare`: its ID tokens tell no more than they must, the rest is at its userinfo endpoint. `resource`: its access
    tokens are JWTs for this audience, and nothing else tells anything. `client` is what else is registered of us.
    """
    port = port or free_port()
    place = f"{here}/sign-in/oidc/{name}"
    registered = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": [f"{place}/callback"],
        "post_logout_redirect_uris": [f"{here}/sign-in"],
        "backchannel_logout_uri": f"{place}/backchannel",
        "backchannel_logout_session_required": True,
    }
    wanted = {
        "modules": str(installed(FOLDER)),
        "port": port,
        "clients": [{name: value for name, value in (registered | client).items() if value is not None}],
        "accounts": accounts,
        "jwks": {"keys": [key(kid).as_dict(private=True)]},
        "bare": bare,
        "resource": resource,
    }
    with tempfile.TemporaryDirectory(prefix="openid-") as folder:
        told = Path(folder, "wanted.json")
        told.write_text(json.dumps(wanted), encoding="utf-8")
        command = ["sh", "-c", 'exec "$0" "$1" < "$2"', str(node()), str(FOLDER / "provider.js"), str(told)]
        with running(command, Path(folder, "log"), lambda: _listens(port), {"PATH": "/usr/bin:/bin"}):
            it = OpenIdProvider(f"http://127.0.0.1:{port}", port, wanted)
            try:
                yield it
            finally:
                for each in it._browsers:
                    each.close()


def _listens(port: int) -> bool:
    with socket.socket() as way:
        return way.connect_ex(("127.0.0.1", port)) == 0
