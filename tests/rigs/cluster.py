"""A cluster's API server, as far as TokenReview goes (Kubernetes, API reference, authentication.k8s.io/v1)."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.rigs.issuer import rsa, signed
from tests.rigs.stub import Answer, Request, stub

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ISSUER = "https://kubernetes.default.svc.cluster.local"
REVIEWER = "reviewer-token"
AUDIENCE = "keywright"


@dataclass
class ApiServer:
    """It knows the tokens that it signed, of accounts that are there still."""

    key: RSAKey = field(default_factory=lambda: rsa("cluster"))
    gone: set[str] = field(default_factory=set)
    instead: Answer | None = None
    url: str = ""
    asked: list[Request] = field(default_factory=list)
    knows_audiences: bool = True

    def token(self, account: str = "web", namespace: str = "shop", key: RSAKey | None = None, **more: Any) -> str:
        """A service account's token, as the kubelet projects it into a pod."""
        at = int(time.time())
        stated = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [AUDIENCE],
            "iat": at,
            "nbf": at,
            "exp": at + 3600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": f"uid-of-{account}"}},
        }
        return signed({"alg": "RS256", "kid": "cluster"}, stated | more, key or self.key)

    def answer(self, request: Request) -> Answer:
        """What it says."""
        if self.instead is not None:
            return self.instead
        if request.headers.get("Authorization") != f"Bearer {REVIEWER}":
            return Answer(401, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401})
        if (request.method, request.path) != ("POST", REVIEWS):
            return Answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
        asked = json.loads(request.body)
        # The server knows by the path what it is sent; OpenBao does not say it again.
        assert asked.get("kind", "TokenReview") == "TokenReview"
        return Answer(201, {**asked, "status": self._status(asked["spec"]["token"], asked["spec"]["audiences"])})

    def _status(self, token: str, audiences: list[str]) -> dict[str, Any]:
        try:
            stated = json.loads(jws.deserialize_compact(token, self.key, algorithms=["RS256"]).payload)
        except (JoseError, ValueError):
            return {"user": {}, "error": "[invalid bearer token, signature verification failed]"}
        name = stated["kubernetes.io"]["serviceaccount"]["name"]
        meant = [each for each in audiences if each in stated["aud"]]
        if name in self.gone or stated["exp"] < time.time() or (self.knows_audiences and not meant):
            return {"user": {}, "error": "[invalid bearer token]"}
        user = {"username": stated["sub"], "uid": f"uid-of-{name}", "groups": ["system:serviceaccounts"]}
        return {"authenticated": True, "user": user} | ({"audiences": meant} if self.knows_audiences else {})


@contextmanager
def running_api_server(reviewer: Path) -> Iterator[ApiServer]:
    """One on a free port of this machine; the file is given the token that it wants to see."""
    reviewer.write_text(REVIEWER + "\n")
    server = ApiServer()
    with stub(server.answer) as (server.url, server.asked):
        yield server
