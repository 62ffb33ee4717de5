"""An issuer of our own (OpenID Connect): an https server with a discovery document, keys that turn, and their owner.

It signs what it is told to, right and wrong: as workflows of GitHub and GitLab are described in their manuals.
"""

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.rigs.stub import Answer, Request, stub

AUDIENCE = "https://keywright.test"
SUBJECT = "repo:shop/web:environment:production"
WORKFLOW = {"repository": "shop/web", "repository_owner": "shop", "ref": "refs/heads/main", "ref_protected": "true"}
PRESENT = 1_795_000_000
"""A present for tests that do not care which."""
Key = RSAKey | ECKey | OKPKey


def rsa(kid: str) -> RSAKey:
    """A key pair."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def pem(key: Key) -> str:
    """The public half of a key."""
    return str(key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@dataclass
class Issuer:
    """One, and what it answers. `url` is its name."""

    url: str = ""
    ca: str = ""
    keys: list[Key] = field(default_factory=lambda: [rsa("first")])
    asked: list[Request] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    """By path: instead of what it would answer."""

    def answer(self, request: Request) -> Answer:
        """What it says."""
        if request.path in self.answers:
            return self.answers[request.path]
        if request.path == "/.well-known/openid-configuration":
            return Answer(200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        if request.path == "/keys":
            return Answer(200, {"keys": [key.as_dict(private=False) for key in self.keys]})
        return Answer(404)

    @property
    def fetched(self) -> int:
        """How often its keys were."""
        return sum(request.path == "/keys" for request in self.asked)

    def claims(self, now: float | None = None, **more: Any) -> dict[str, Any]:
        """What it states of a workflow; None takes a claim out."""
        at = int(time.time() if now is None else now)
        stated = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "iat": at, "nbf": at, "exp": at + 300, "jti": "1"}
        return {name: value for name, value in (stated | WORKFLOW | more).items() if value is not None}

    def signed(self, claims: dict[str, Any], key: Key | None = None, **header: Any) -> str:
        """A JWT. The header names the key and RS256, unless it is told otherwise; None takes a part out."""
        key = key or self.keys[-1]
        parts = {"alg": "RS256", "typ": "JWT", "kid": key.kid} | header
        shown = {name: value for name, value in parts.items() if value is not None}
        return signed(shown, claims, key)


def signed(header: dict[str, Any], claims: Any, key: Key) -> str:
    """Any JWS."""
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=registry)


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """One on a free port, with an authority of its own."""
    authority, issuer = trustme.CA(), Issuer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with stub(issuer.answer, context) as (url, asked):
        issuer.url, issuer.asked, issuer.ca = url, asked, authority.cert_pem.bytes().decode()
        yield issuer
