"""A real SAML provider, `samlp` of npm, and a browser without a window that signs in there.

with running_saml_provider(keywright, accounts={"ada": {"said": {"email": "ada@example.com"}}}) as there:
    there.browser().sign_in("ada")
"""

import html
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

from tests.rigs.asserting import Pair, pair
from tests.rigs.node import installed, node
from tests.rigs.ports import free_port
from tests.rigs.process import running

FOLDER = Path(__file__).with_name("saml")
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')


@dataclass
class Browser:
    """Keeps cookies, and posts the form that the provider answers with."""

    client: httpx2.Client
    place: str

    def begin(self, login: str, onward: str = "/") -> httpx2.Response:
        """From here to the page of the provider, with the form of its answer."""
        sent = self.client.get(self.place, params={"next": onward})
        assert sent.status_code == 303, sent.text
        answer = self.client.get(f"{sent.headers['location']}&login={login}")
        assert answer.status_code == 200, answer.text
        return answer

    def post(self, answer: httpx2.Response) -> httpx2.Response:
        """The form of a page."""
        where, fields = form_of(answer)
        return self.client.post(where, data=fields)

    def sign_in(self, login: str, onward: str = "/") -> httpx2.Response:
        """There and back."""
        return self.post(self.begin(login, onward))


def form_of(answer: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Where a page's form goes, and with what."""
    found = _FORM.search(answer.text)
    assert found is not None, answer.text
    fields = {name: html.unescape(value) for name, value in _FIELD.findall(answer.text)}
    return urljoin(str(answer.request.url), html.unescape(found[1])), fields


@dataclass
class SamlProvider:
    """One that runs."""

    url: str
    place: str
    pair: Pair
    _browsers: list[httpx2.Client] = field(default_factory=list)

    def browser(self) -> Browser:
        """Another browser."""
        client = httpx2.Client(timeout=60, trust_env=False, follow_redirects=False)
        self._browsers.append(client)
        return Browser(client, self.place)

    def metadata(self) -> str:
        """As it tells them."""
        answer = httpx2.get(f"{self.url}/metadata", timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.text


@contextmanager
def running_saml_provider(
    here: str,
    name: str = "npm",
    *,
    accounts: Mapping[str, Mapping[str, Any]],
    key: str = "npm",
    ours: str = "",
    **options: Any,
) -> Iterator[SamlProvider]:
    """One for the Keywright that is `here`, where it is called `name`.

    It signs with the key of this name. `ours` is the certificate that it verifies our requests by; `options` are
    those of samlp's.
    """
    port, place, held = free_port(), f"{here}/sign-in/saml/{name}", pair(key)
    wanted = {
        "modules": str(installed(FOLDER)),
        "port": port,
        "place": place,
        "accounts": accounts,
        "key": held.key,
        "cert": held.certificate,
        "options": options,
    } | ({"ours": ours} if ours else {})
    with tempfile.TemporaryDirectory(prefix="saml-") as folder:
        told = Path(folder, "wanted.json")
        told.write_text(json.dumps(wanted), encoding="utf-8")
        command = ["sh", "-c", 'exec "$0" "$1" < "$2"', str(node()), str(FOLDER / "provider.js"), str(told)]
        with running(command, Path(folder, "log"), lambda: _listens(port), {"PATH": "/usr/bin:/bin"}):
            it = SamlProvider(f"http://127.0.0.1:{port}", place, held)
            try:
                yield it
            finally:
                for each in it._browsers:
                    each.close()


def _listens(port: int) -> bool:
    with socket.socket() as way:
        return way.connect_ex(("127.0.0.1", port)) == 0
