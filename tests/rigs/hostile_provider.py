"""An OpenID provider that lies as it is told to: for what a real one cannot be made to say.

One server stands for as many providers as there are paths (`…/one`, `…/two`), each with a discovery document of its
own. What it answers to a code is what `tells` makes of the nonce; everything else may be put in its place by path.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
from joserfc.jwk import RSAKey

from tests.rigs.issuer import rsa, signed
from tests.rigs.stub import Answer, Request, stub

CLIENT = "keywright"
Tells = Callable[["Said"], dict[str, Any]]


@dataclass
class Said:
    """What it says to one code, before it is signed."""

    claims: dict[str, Any]
    header: dict[str, Any]
    key: Any


@dataclass
class HostileProvider:
    """One, and what it answers."""

    url: str = ""
    ca: str = ""
    key: RSAKey = field(default_factory=lambda: rsa("first"))
    asked: list[Request] = field(default_factory=list)
    answers: dict[str, Answer | Callable[[Request], Answer]] = field(default_factory=dict)
    """By path: instead of what it would answer."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What its discovery documents say beside, or instead; None takes it out."""
    nonce: str = ""
    tokens: Callable[["HostileProvider", str], dict[str, Any]] = lambda it, issuer: it.told(issuer)
    """What it answers to a code."""

    def answer(self, request: Request) -> Answer:
        """What it says."""
        found = self.answers.get(request.path)
        if found is not None:
            return found(request) if callable(found) else found
        place, _, last = request.path.rpartition("/")
        if last == "openid-configuration":
            return Answer(200, self.document(self.url + place.removesuffix("/.well-known")))
        if last == "keys":
            return Answer(200, {"keys": [self.key.as_dict(private=False)]})
        if last == "token":
            return Answer(200, self.tokens(self, self.url + place))
        return Answer(404)

    def document(self, issuer: str) -> dict[str, Any]:
        """Its discovery document."""
        said = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return {name: value for name, value in (said | self.metadata).items() if value is not None}

    def claims(self, issuer: str, **more: Any) -> dict[str, Any]:
        """What a right ID token says; None takes a claim out."""
        at = int(time.time())
        said = {"iss": issuer, "aud": CLIENT, "sub": "ada", "iat": at, "exp": at + 300, "nonce": self.nonce}
        # An address of its own for each of them: none may come in as a user of another.
        address = f"ada-{issuer.rpartition('/')[2]}@example.com"
        said |= {"email": address, "email_verified": True} | more
        return {name: value for name, value in said.items() if value is not None}

    def told(self, issuer: str, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> dict[str, Any]:
        """An answer to a code, with an ID token."""
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.jwt(issuer, key, header, **claims)}

    def jwt(self, issuer: str, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed with RS256 by its key, unless it is told otherwise."""
        return signed(
            {"alg": "RS256", "kid": self.key.kid} | (header or {}), self.claims(issuer, **claims), key or self.key
        )

    def heard(self, address: str) -> str:
        """It was gone to by this address; the state that has to come back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.nonce = query["nonce"]
        return query["state"]

    def form(self) -> dict[str, list[str]]:
        """What it was last shown at its token endpoint."""
        last = [request for request in self.asked if request.path.endswith("/token")][-1]
        return parse_qs(last.body.decode())


@contextmanager
def running_hostile_provider() -> Iterator[HostileProvider]:
    """One on a free port, with an authority of its own."""
    authority, it = trustme.CA(), HostileProvider()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with stub(it.answer, context) as (url, asked):
        it.url, it.asked, it.ca = url, asked, authority.cert_pem.bytes().decode()
        yield it
