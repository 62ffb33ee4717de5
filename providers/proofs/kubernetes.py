"""Clusters: a service account's token, looked at by the API server.

TokenReview of authentication.k8s.io/v1 (Kubernetes, API reference, "TokenReview"): the server tells whether the token
is right *now*: of an account, a secret and a pod that exist. Keywright shows it a token of its own, which needs the
cluster role `system:auth-delegator`; its file is read each time, since the kubelet replaces it.

    authenticated, for one of the audiences     a service account
    not authenticated                           Unproven
    no answer, 401 or 403 to Keywright          Unavailable

MOST ask at once; see `gate.py`.
"""

from collections.abc import Sequence
from pathlib import Path

from providers.proofs.asking import ask, trust
from providers.proofs.gate import Gate, Places
from service.core.errors import Unavailable
from service.core.proof import ServiceAccount, Unproven, account_named
from service.core.secret import Secret

MOST = 8
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_WHOM = "the API server of KEYWRIGHT_KUBERNETES_API"


class Cluster:
    """One cluster: the port `Reviewer`. `ca` and `reviewer` are files: its authority, and Keywright's own token."""

    def __init__(self, api: str, ca: Path | None, reviewer: Path, places: Places) -> None:
        self._url = api.rstrip("/") + _REVIEWS
        self._ca = ca
        self._reviewer = reviewer
        self._gate = Gate(MOST, places)

    def reviewed(self, jwt: Secret, audiences: Sequence[str]) -> ServiceAccount:
        """See `Reviewer`."""
        trusting = trust(_read(self._ca) if self._ca else "")
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": jwt.reveal(), "audiences": list(audiences)},
        }
        bearer = _read(self._reviewer).strip()
        with self._gate.passed():
            found = ask(self._url, whom=_WHOM, trusting=trusting, body=asked, bearer=bearer)
        status = found.get("status")
        if found.get("kind") != "TokenReview" or not isinstance(status, dict):
            raise Unavailable(f"{_WHOM} answers with something that is no TokenReview")
        if status.get("authenticated") is not True:
            raise Unproven("not authenticated by the cluster")
        # A server that knows nothing of audiences names none: then the token is meant for itself.
        meant = status.get("audiences")
        if not isinstance(meant, list) or not set(audiences) & {each for each in meant if isinstance(each, str)}:
            raise Unproven("audience")
        user = status.get("user")
        user = user if isinstance(user, dict) else {}
        uid = user.get("uid")
        return account_named(user.get("username"), uid if isinstance(uid, str) else "")


class NoCluster:
    """Where none is configured."""

    def reviewed(self, jwt: Secret, audiences: Sequence[str]) -> ServiceAccount:  # noqa: ARG002  the port's
        """See `Reviewer`."""
        raise Unavailable("no cluster can be asked: KEYWRIGHT_KUBERNETES_API is not set")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{file} cannot be read ({type(error).__name__})") from None
