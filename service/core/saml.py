"""SAML 2.0: a provider's definition, the messages of a sign-in and a sign-out, and the ports that read and write them.

    browser ──► begun() ── AuthnRequest ──► the provider ──► back with a Response ──► asserted() ──► Asserted
                  │ its id waits                                 │ answers() tells which request it names
                  └── where we are called there: Place

    the provider ── LogoutRequest ──► left() ──► Left          whoever signs out there is signed out here

A Response is worth what the signature of its one assertion is worth: what it says outside of that is not read, but
for the id of the request that it names, and that only to find what waits for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from service.core.errors import Invalid
from service.core.identity import Claimed, Entry, entry_kept, entry_of, text, texts
from service.core.person import Attributes
from service.core.proof import secure
from service.core.secret import Secret

MOST_CERTIFICATES = 10
LONGEST_ENTITY_ID = 1024
"""SAML 2.0 Core, 8.3.6."""
SHORTEST_RSA = 2048
"""Bits of a key that signs or decrypts."""
_ENTITY = re.compile(r"[!-~]+")
_ATTRIBUTE = re.compile(r"[^\x00-\x1f\x7f]{0,500}")


@dataclass(frozen=True)
class Saml:
    """A SAML identity provider. Whoever holds the key of one of its certificates is it, whatever the date."""

    kind: ClassVar[str] = "saml"
    entity_id: str
    sso_url: str
    """Where a sign-in is asked for (HTTP-Redirect)."""
    certificates: tuple[str, ...] = field(repr=False)
    """PEM; several, while it turns its keys."""
    entry: Entry = field(default_factory=Entry)
    slo_url: str = ""
    """Where a sign-out is told (HTTP-Redirect); empty: it is not told."""
    email_attribute: str = ""
    """Empty: the NameID is the address."""
    name_attribute: str = ""
    groups_attribute: str = ""
    """Empty: it tells nothing of groups."""
    subject_attribute: str = ""
    """What says for good who somebody is there; empty: the NameID."""
    vouches: bool = False
    """Are its addresses believed, to find a user who is here already?"""
    unsolicited: bool = False
    """May it send somebody whom nobody asked for (IdP-initiated)?"""
    certificate: str = ""
    """Ours, PEM: for what is encrypted for us, and what we sign; empty: we have no key there."""

    def __post_init__(self) -> None:
        if not self.entity_id or len(self.entity_id) > LONGEST_ENTITY_ID or not _ENTITY.fullmatch(self.entity_id):
            raise Invalid("entity_id is the provider's own name, as its metadata tells it", field="entity_id")
        # Google's addresses have a query, so only what stands before it is looked at.
        secure(self.sso_url.partition("?")[0], "sso_url")
        if self.slo_url:
            secure(self.slo_url.partition("?")[0], "slo_url")
        if not 1 <= len(self.certificates) <= MOST_CERTIFICATES:
            raise Invalid(f"certificates: from 1 to {MOST_CERTIFICATES}, in PEM", field="certificates")
        for each in self.certificates:
            _check_certificate(each, "certificates")
        if self.certificate:
            _check_certificate(self.certificate, "certificate")
        for name in ("email_attribute", "name_attribute", "groups_attribute", "subject_attribute"):
            if not _ATTRIBUTE.fullmatch(getattr(self, name)):
                raise Invalid(f"{name} must be the name of an attribute", field=name)
        if self.entry.groups and not self.groups_attribute:
            raise Invalid(
                "groups are mapped, so groups_attribute must say which attribute tells them", field="groups_attribute"
            )

    def kept(self) -> dict[str, object]:
        """As JSON, for the ledger."""
        return {
            "entity_id": self.entity_id,
            "sso_url": self.sso_url,
            "certificates": list(self.certificates),
            "entry": entry_kept(self.entry),
            "slo_url": self.slo_url,
            "email_attribute": self.email_attribute,
            "name_attribute": self.name_attribute,
            "groups_attribute": self.groups_attribute,
            "subject_attribute": self.subject_attribute,
            "vouches": self.vouches,
            "unsolicited": self.unsolicited,
            "certificate": self.certificate,
        }

    @classmethod
    def of(cls, kept: Mapping[str, object]) -> "Saml":
        """From there."""
        entry = kept.get("entry")
        return cls(
            text(kept, "entity_id"),
            text(kept, "sso_url"),
            texts(kept, "certificates"),
            entry_of(entry if isinstance(entry, dict) else {}),
            text(kept, "slo_url"),
            text(kept, "email_attribute"),
            text(kept, "name_attribute"),
            text(kept, "groups_attribute"),
            text(kept, "subject_attribute"),
            kept.get("vouches") is True,
            kept.get("unsolicited") is True,
            text(kept, "certificate"),
        )


@dataclass(frozen=True)
class Place:
    """Where, and by what name, a provider knows us: from the address of the server and the provider's name here."""

    url: str
    """`https://keywright.example/sign-in/saml/NAME`"""

    @property
    def entity_id(self) -> str:
        """Our name there, and where our metadata is."""
        return f"{self.url}/metadata"

    @property
    def acs(self) -> str:
        """Where responses are brought (assertion consumer service)."""
        return f"{self.url}/acs"

    @property
    def slo(self) -> str:
        """Where sign-outs are told."""
        return f"{self.url}/logout"


@dataclass(frozen=True)
class Begun:
    """A sign-in, or a sign-out, that was asked for: where the browser is sent, and the id that the answer names."""

    request_id: str
    address: str


@dataclass(frozen=True)
class Visit:
    """A session at the provider, as it calls it: what a sign-out names."""

    name_id: str
    format: str
    index: str

    def kept(self) -> str:
        """As one text, for the row of a session."""
        return "\n".join((self.index, self.format, self.name_id))

    @classmethod
    def of(cls, kept: str) -> "Visit | None":
        """From there."""
        index, *rest = kept.split("\n", 2)
        return cls(rest[1], rest[0], index) if len(rest) == 2 else None


@dataclass(frozen=True)
class Asserted:
    """What the verified assertion of a response says."""

    assertion_id: str
    answers: str
    """The id of our request; empty: nobody asked."""
    until: datetime
    """Until then it could be brought once more."""
    subject: str
    email: str
    name: str
    groups: tuple[str, ...] | None
    attributes: Attributes
    visit: Visit
    factor_at: datetime | None

    def claimed(self, provider_id: str, *, email_verified: bool) -> Claimed:
        """The same in the words of all protocols."""
        return Claimed(
            provider_id,
            self.subject,
            self.email,
            email_verified,
            self.name,
            self.groups,
            self.attributes,
            self.visit.kept(),
            self.factor_at,
            self.visit.kept(),
        )


@dataclass(frozen=True)
class Left:
    """What a LogoutRequest says: who leaves, and which of its sessions there; none named: all of them."""

    request_id: str
    until: datetime
    """Until then it could be brought once more."""
    name_id: str
    indexes: tuple[str, ...]

    def means(self, visit: Visit) -> bool:
        """Is it this session?"""
        return visit.name_id == self.name_id and (not self.indexes or visit.index in self.indexes)


class SamlSignIns(Protocol):
    """Writes requests for sign-ins, and reads responses."""

    def begun(self, it: Saml, key: Secret | None, place: Place, now: datetime) -> Begun:
        """Where the browser is to be sent."""
        ...

    def answers(self, message: str) -> str:
        """The request that a response names; empty for none. Proves nothing. Raises NotLetIn."""
        ...

    def asserted(self, it: Saml, key: Secret | None, place: Place, message: str, now: datetime) -> Asserted:
        """What a response says that is worth something. Raises NotLetIn."""
        ...


class SamlSignOuts(Protocol):
    """Writes and reads what is said of people who leave. `query` is the raw query of the redirect."""

    def leaving(self, it: Saml, key: Secret | None, place: Place, visit: Visit, now: datetime) -> Begun:
        """Where the browser is to be sent, to be signed out there too."""
        ...

    def left(self, it: Saml, place: Place, query: str, now: datetime) -> Left:
        """Who leaves. Raises NotLetIn."""
        ...

    def gone(self, it: Saml, key: Secret | None, place: Place, request_id: str, relay: str, now: datetime) -> str:
        """Where the browser is to be sent with our answer to that."""
        ...


class SamlMetadata(Protocol):
    """Reads a provider's metadata, and writes ours."""

    def told(self, xml: str) -> dict[str, object]:
        """What they say: `entity_id`, `sso_url`, `slo_url`, `certificates`. Raises Invalid."""
        ...

    def ours(self, it: Saml, place: Place) -> bytes:
        """What a provider has to know of us."""
        ...


def certified(key: Secret, now: datetime) -> str:
    """A certificate (PEM) for our key: it only carries the public half. Raises Invalid for what is no RSA key."""
    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < SHORTEST_RSA:
        raise Invalid(
            f"secret must be an RSA key of at least {SHORTEST_RSA} bits, in PEM, without a password", field="secret"
        )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keywright")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=3650))
    return made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _check_certificate(pem: str, name: str) -> None:
    try:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    except ValueError:
        raise Invalid(f"{name} must be certificates in PEM", field=name) from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= SHORTEST_RSA:
        return
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Invalid(f"{name} must be of RSA keys of at least {SHORTEST_RSA} bits, or of elliptic curves", field=name)
