"""OpenID Connect (Core 1.0): a provider's definition, what a sign-in asks of it, and the ports that talk to it.

    browser ──► address() ──► the provider ──► back with `code`, `state`, `iss` ──► proven() ──► Claimed

    Asked      what was made for one sign-in, and comes back or is shown again: state, nonce, verifier
    Returned   what the browser brought back

The authorization code flow with PKCE (RFC 7636, S256) and nothing else; the security advice of RFC 9700.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from service.core.errors import Invalid
from service.core.identity import Claimed, Entry, IdentityProvider, entry_kept, entry_of, text, texts
from service.core.proof import ALGORITHMS, USUAL, Signer, secure
from service.core.sealed import Randomness
from service.core.secret import Secret

SCOPES = ("openid", "email", "profile")
MAX_AGE = 43_200
"""Seconds: how old a sign-in at the provider may be, where it is believed about second factors."""
_SCOPE = re.compile(r"[!#-\[\]-~]{1,100}")
_CLAIM = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True)
class OpenId:
    """An OpenID provider, found by discovery: its name is where it is."""

    kind: ClassVar[str] = "oidc"
    issuer: str
    client_id: str
    entry: Entry = field(default_factory=Entry)
    scopes: tuple[str, ...] = SCOPES
    email_claim: str = "email"
    groups_claim: str = ""
    """Empty: it tells nothing of groups."""
    hosted_domains: tuple[str, ...] = ()
    """Google's `hd`: only accounts of these organisations; empty: any."""
    vouches: bool = False
    """Are its addresses believed where it does not say `email_verified`? Never where it says that they are not."""
    access_audience: str = ""
    """The audience of access tokens that may be read for an address (RFC 9068); empty: the client id."""
    algorithms: tuple[str, ...] = USUAL
    ca: str = ""
    """PEM of who vouches for the provider's server; empty: the system's authorities."""
    key_id: str = ""
    """What it calls our private key; empty: see `providers/identity/client_assertion.py`."""

    def __post_init__(self) -> None:
        secure(self.issuer, "issuer")
        if not self.client_id:
            raise Invalid("client_id is needed", field="client_id")
        if "openid" not in self.scopes or not all(_SCOPE.fullmatch(each) for each in self.scopes):
            raise Invalid("scopes must be words, and openid one of them", field="scopes")
        for name in ("email_claim", "groups_claim"):
            claim = getattr(self, name)
            if not _CLAIM.fullmatch(claim) and (claim or name == "email_claim"):
                raise Invalid(f"{name} must be the name of a claim", field=name)
        if self.entry.groups and not self.groups_claim:
            raise Invalid("groups are mapped, so groups_claim must say which claim tells them", field="groups_claim")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise Invalid(f"algorithms must be some of {', '.join(ALGORITHMS)}", field="algorithms")
        Signer(self.issuer, ca=self.ca).check()

    def kept(self) -> dict[str, object]:
        """As JSON, for the ledger."""
        return {
            "issuer": self.issuer,
            "client_id": self.client_id,
            "entry": entry_kept(self.entry),
            "scopes": list(self.scopes),
            "email_claim": self.email_claim,
            "groups_claim": self.groups_claim,
            "hosted_domains": list(self.hosted_domains),
            "vouches": self.vouches,
            "access_audience": self.access_audience,
            "algorithms": list(self.algorithms),
            "ca": self.ca,
            "key_id": self.key_id,
        }

    @classmethod
    def of(cls, kept: Mapping[str, object]) -> "OpenId":
        """From there."""
        entry = kept.get("entry")
        return cls(
            text(kept, "issuer"),
            text(kept, "client_id"),
            entry_of(entry if isinstance(entry, dict) else {}),
            texts(kept, "scopes"),
            text(kept, "email_claim"),
            text(kept, "groups_claim"),
            texts(kept, "hosted_domains"),
            kept.get("vouches") is True,
            text(kept, "access_audience"),
            texts(kept, "algorithms"),
            text(kept, "ca"),
            text(kept, "key_id"),
        )


@dataclass(frozen=True)
class Asked:
    """What one sign-in was begun with. `state` is the text of what waits for it."""

    redirect: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """Of the verifier (RFC 7636, 4.2)."""
        return unpadded(hashlib.sha256(self.verifier.encode()).digest())


@dataclass(frozen=True)
class Returned:
    """What a browser brought back: a code, and who the provider says that it is (RFC 9207)."""

    code: Secret
    issuer: str | None


@dataclass(frozen=True)
class Ended:
    """What a provider said to be over: one of its sessions, or all of a person."""

    subject: str
    session: str
    mark: str
    """By which it is told again that it was told before."""
    until: datetime
    """How long it can be told."""


class SignIns(Protocol):
    """Talks with OpenID providers of people who come in."""

    def address(self, it: OpenId, asked: Asked) -> str:
        """Where the browser is to be sent. Raises Unavailable."""
        ...

    def proven(
        self, provider: IdentityProvider, it: OpenId, secret: Secret, asked: Asked, returned: Returned, now: datetime
    ) -> Claimed:
        """Who it is, from what the browser brought back. Raises NotLetIn, Unavailable."""
        ...


class SignOuts(Protocol):
    """Talks with them of people who leave."""

    def leaving(self, it: OpenId, hint: str, back: str) -> str:
        """Where the browser is to be sent to be signed out there too; empty: nowhere. Raises Unavailable."""
        ...

    def ended(self, it: OpenId, told: Secret, now: datetime) -> Ended:
        """What a provider says to be over (OpenID Connect Back-Channel Logout 1.0). Raises NotLetIn, Unavailable."""
        ...


class Examiner(Protocol):
    """Looks at a definition before anybody signs in by it."""

    def examined(self, it: OpenId) -> tuple[str, ...]:
        """What is wrong with it, each a sentence; nothing: it may work. Raises Unavailable where nobody answers."""
        ...


def unpadded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(randomness: Randomness) -> str:
    """A text that nobody guesses: 256 random bits."""
    return unpadded(randomness(32))
