"""Proofs: how a machine shows that it is the one, and what may be wrong with what it shows.

    approle      a role id, which is no secret, and a secret id, which is (`machine.py`)
    jwt          a signed statement of an issuer that is trusted (OpenID Connect; RFC 7519): a workflow's, a cloud's
    kubernetes   a service account's token, looked at by the cluster's API server, or by its keys alone
    certificate  a client certificate; no login is needed, it stands for the machine on each connection

What a statement must say is matched exactly, or with `*` for any run of characters. An issuer signs for everybody
who uses it, so something of the subject or the claims must be bound, and not by a lone `*`.

    Unproven           what was shown is wrong: `reason` is for the log, the caller hears one sentence for all of them
    Unavailable        who must be asked (issuer, API server) does not answer: nothing is known, try again
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificates

from service.core.errors import Invalid, Unauthenticated
from service.core.secret import Secret

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Signatures by a private key (RFC 7518, 3.1; RFC 9864). Never `none`, never a shared key."""
USUAL = ("RS256", "ES256")
SKEW = timedelta(seconds=30)
MOST_SKEW = timedelta(minutes=5)
LONGEST_JWT = 16 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9.-]{1,253}):([a-z0-9.-]{1,253})")
ASKING = 32
"""Logins of one process that may ask an issuer or a cluster, or wait to, at once."""
MOST = 50
"""Entries of any list in a proof."""


class Unproven(Unauthenticated):
    """What was shown does not prove it. `reason` is a word or two for the log; it repeats nothing of what was shown."""

    def __init__(self, reason: str) -> None:
        super().__init__("not proven")
        self.reason = reason


@dataclass(frozen=True)
class AppRole:
    """A role id; its secret ids are kept apart."""

    kind: ClassVar[str] = "approle"
    role_id: str


@dataclass(frozen=True)
class Signer:
    """Who signs, and where its keys are: `keys` if there are any, else its JWKS (RFC 7517), found by discovery."""

    issuer: str
    keys: tuple[str, ...] = ()
    """Public keys, PEM."""
    jwks_url: str = ""
    """Where the issuer has no discovery document."""
    ca: str = ""
    """PEM of who vouches for the issuer's server; empty: the system's authorities."""
    algorithms: tuple[str, ...] = USUAL
    skew: timedelta = SKEW

    def __post_init__(self) -> None:
        if not self.issuer:
            raise Invalid("issuer is needed", field="issuer")
        if not self.keys:
            secure(self.jwks_url or self.issuer, "jwks_url" if self.jwks_url else "issuer")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise Invalid(f"algorithms must be some of {', '.join(ALGORITHMS)}", field="algorithms")
        if not timedelta() <= self.skew <= MOST_SKEW:
            raise Invalid("skew must be from 0 seconds to 5 minutes", field="skew")

    def check(self) -> None:
        """Raises Invalid where a key is not a public one in PEM, or the authority no certificate."""
        try:
            for pem in self.keys:
                load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise Invalid("keys must be public keys in PEM, BEGIN PUBLIC KEY", field="keys") from None
        try:
            if self.ca:
                load_pem_x509_certificates(self.ca.encode())
        except ValueError:
            raise Invalid("ca must be certificates in PEM, BEGIN CERTIFICATE", field="ca") from None


@dataclass(frozen=True)
class Jwt:
    """A statement of an issuer for one of the audiences, about a subject that fits, with claims that fit."""

    kind: ClassVar[str] = "jwt"
    signer: Signer
    audiences: tuple[str, ...]
    subject: str = ""
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each must be there and fit one of its patterns; of a list of texts, one of them."""

    def __post_init__(self) -> None:
        _some(self.audiences, "audiences")
        for name, patterns in self.claims.items():
            _some(patterns, f"claims.{name}")
        bound = [self.subject, *(each for several in self.claims.values() for each in several)]
        if any(each and not each.strip("*") for each in bound):
            raise Invalid("a lone * binds nothing: leave it out", field="claims")
        if not any(bound):
            raise Invalid("the issuer signs for everybody who uses it: bind subject, or claims", field="subject")

    def check(self, stated: Mapping[str, Any]) -> None:
        """Raises Unproven where what was stated (and signed) does not fit."""
        if self.subject and not fits(stated.get("sub"), (self.subject,)):
            raise Unproven("subject")
        for name, patterns in self.claims.items():
            if not fits(stated.get(name), patterns):
                raise Unproven(f"claim {name}")


@dataclass(frozen=True)
class ServiceAccount:
    """Whose token it is, as the cluster says."""

    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True)
class Kubernetes:
    """A token of one of the service accounts, meant for one of the audiences.

    Without a `signer` the API server of the settings is asked (TokenReview), which knows of pods and accounts that
    are gone. With one it is believed until it expires.
    """

    kind: ClassVar[str] = "kubernetes"
    namespaces: tuple[str, ...]
    service_accounts: tuple[str, ...]
    audiences: tuple[str, ...]
    signer: Signer | None = None

    def __post_init__(self) -> None:
        for name in ("namespaces", "service_accounts", "audiences"):
            _some(getattr(self, name), name)
        if all(any(not each.strip("*") for each in several) for several in (self.namespaces, self.service_accounts)):
            where = "service_accounts"
            raise Invalid(f"every account of every namespace is too many: bind namespaces, or {where}", field=where)

    def check(self, account: ServiceAccount) -> None:
        """Raises Unproven for any other account."""
        if not fits(account.namespace, self.namespaces):
            raise Unproven("namespace")
        if not fits(account.name, self.service_accounts):
            raise Unproven("service account")


@dataclass(frozen=True)
class Certificate:
    """Fingerprints, as a token has them: the present one, and the next."""

    kind: ClassVar[str] = "certificate"
    certificates: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.certificates:
            raise Invalid("certificates: at least one is needed", field="certificates")


Proof = AppRole | Jwt | Kubernetes | Certificate


class Verifier(Protocol):
    """Looks at signed statements."""

    def verified(self, jwt: Secret, signer: Signer, audiences: Sequence[str], now: datetime) -> Mapping[str, Any]:
        """What it states, if the signer signed it, for one of the audiences, and it is in force.

        Raises Unproven, and Unavailable where the signer's keys cannot be got.
        """
        ...


class Reviewer(Protocol):
    """Asks a cluster about its service accounts' tokens."""

    def reviewed(self, jwt: Secret, audiences: Sequence[str]) -> ServiceAccount:
        """Whose it is. Raises Unproven, and Unavailable where the cluster cannot be asked."""
        ...


def account_in(jwt: Secret) -> ServiceAccount:
    """Whose token it says it is; nothing of it is verified here. Raises Unproven.

    The subject is `system:serviceaccount:NAMESPACE:NAME`, of every kind of service account token (Kubernetes,
    "Service accounts", "Authentication credentials"). It is at the same time the name that a TokenReview answers.
    """
    try:
        _, payload, _ = jwt.reveal().split(".")
        stated = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        about = stated.get("kubernetes.io")
        of = about.get("serviceaccount") if isinstance(about, dict) else None
        uid = of.get("uid") if isinstance(of, dict) else None
        return account_named(stated["sub"], uid if isinstance(uid, str) else "")
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise Unproven("no service account's token") from None


def account_named(subject: object, uid: str = "") -> ServiceAccount:
    """From the name that a cluster gives an account. Raises Unproven."""
    found = _ACCOUNT.fullmatch(subject) if isinstance(subject, str) else None
    if found is None:
        raise Unproven("no service account")
    return ServiceAccount(found[1], found[2], uid)


def fits(stated: object, patterns: Sequence[str]) -> bool:
    """Is this text, number or truth, or one of this list, what a pattern says?"""
    if isinstance(stated, bool):
        stated = "true" if stated else "false"
    if isinstance(stated, list):
        return any(fits(each, patterns) for each in stated if not isinstance(each, list))
    text = str(stated) if isinstance(stated, (str, int)) else None
    return text is not None and any(_like(text, each) for each in patterns)


def _like(text: str, pattern: str) -> bool:
    # Part by part, the leftmost place for each: as a regular expression, many stars would take for ever.
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - len(last) >= at and text.endswith(last)


def secure(url: str, where: str) -> None:
    """Raises Invalid for an address that is neither https nor on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    local = parts.scheme == "http" and host in _LOOPBACK
    if not host or not (parts.scheme == "https" or local) or "@" in parts.netloc or parts.query or parts.fragment:
        raise Invalid(f"{where} must be an https:// address without user, query or fragment", field=where)


def _some(entries: Sequence[str], where: str) -> None:
    if not entries or not all(entries):
        raise Invalid(f"{where}: at least one is needed, and none of them empty", field=where)
    if len(entries) > MOST:
        raise Invalid(f"{where}: {MOST} are the most", field=where)
