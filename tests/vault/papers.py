"""JSON Web Tokens (RFC 7519) as workloads bring them: of an issuer of the tests, and of a cluster of Kubernetes.

The cluster is a stub that knows its own tokens and says so to whoever sends a TokenReview
(authentication.k8s.io/v1); it publishes the key they are signed with as well.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.rigs.stub import Answer, Request, stub

AUDIENCE = "keywright"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
HOUR = 3600


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs with RS256 (RFC 7518, section 3.3)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> str:
        """PEM text."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        n, e = (_text(n.to_bytes((n.bit_length() + 7) // 8, "big")) for n in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name, "n": n, "e": e}]}

    def token(self, **claims: Any) -> str:
        """A token that is good for an hour, with these claims."""
        now = int(time.time())
        said = {"iss": self.name, "iat": now, "nbf": now, "exp": now + HOUR, "aud": AUDIENCE} | claims
        header = {"alg": "RS256", "typ": "JWT", "kid": self.name}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (header, said))
        return f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@dataclass(frozen=True)
class Cluster:
    """A cluster whose one service account is `app` in the namespace `shop`."""

    address: str
    issuer: Issuer
    token: str


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster's API, as far as logins need it."""
    issuer = Issuer("https://kubernetes.default.svc")
    account = {"name": "app", "uid": "5e2b6b6c-6b0f-4c54-9f2f-0c4b8f1f0a11"}
    token = issuer.token(
        sub="system:serviceaccount:shop:app",
        aud=[AUDIENCE],
        **{"kubernetes.io": {"namespace": "shop", "serviceaccount": account}},
    )

    def answer(request: Request) -> Answer:
        if request.path == REVIEWS:
            return Answer(201, _review(json.loads(request.body)["spec"]["token"]))
        if request.path == "/openid/v1/jwks":
            return Answer(200, issuer.jwks)
        return Answer(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})

    def _review(given: str) -> dict[str, Any]:
        groups = ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
        user = {"username": "system:serviceaccount:shop:app", "uid": account["uid"], "groups": groups}
        status = {"authenticated": True, "user": user, "audiences": [AUDIENCE]}
        if given != token:
            status = {"authenticated": False, "error": "invalid bearer token"}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status}

    with stub(answer) as (address, _):
        yield Cluster(address, issuer, token)
