"""A SAML provider of our own, for attacks: it signs what it is told to, right and wrong, and rearranges what it signed.

A message is a tree of lxml until `form()` makes the text of it that a browser would post. What an attacker does to a
message that an honest provider signed is done to the tree after `signed()`.
"""

import base64
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlencode

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from xmlsec import constants

from service.core.identity import Entry
from service.core.saml import Place, Saml

SAML, SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
NAMES = {"saml": SAML, "samlp": SAMLP, "ds": DS}
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
Element = etree._Element


@dataclass(frozen=True)
class Pair:
    """A private key, and a certificate for it; both PEM."""

    key: str = field(repr=False)
    certificate: str


@cache
def pair(name: str = "provider", *, bits: int = 2048, curve: bool = False) -> Pair:
    """One of this name, the same each time."""
    key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    # Long over: it is the key that counts.
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    certificate = made.not_valid_after(datetime(2021, 1, 1, tzinfo=UTC)).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())


def stamp(at: datetime) -> str:
    """As SAML writes times."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Asserting:
    """One provider, and what it would say truly to `place`."""

    place: Place
    entity_id: str = "https://idp.test/saml"
    pair: Pair = field(default_factory=lambda: pair("provider"))
    sso_url: str = "https://idp.test/sso"

    def definition(self, *certificates: str, entry: Entry | None = None, **more: object) -> Saml:
        """How it is configured."""
        given = {"groups_attribute": "groups", "email_attribute": "email", "name_attribute": "name"} | more
        held = certificates or (self.pair.certificate,)
        return Saml(self.entity_id, self.sso_url, held, entry or Entry(), **given)  # type: ignore[arg-type]

    def response(
        self,
        answers: str = "_request",
        *,
        name_id: str = "ada",
        name_id_format: str = "",
        said: Mapping[str, Sequence[str]] | None = None,
        at: datetime | None = None,
        lasts: timedelta = timedelta(minutes=5),
        context: str = PASSWORD,
        index: str = "_session",
    ) -> Element:
        """A response that is right in everything, not signed yet."""
        now = at or datetime.now(UTC)
        attributes = {"email": ["ada@shop.test"], "name": ["Ada"], "groups": ["staff", "dba"]} if said is None else said
        values = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{text}</saml:AttributeValue>" for text in texts)
            + "</saml:Attribute>"
            for name, texts in attributes.items()
        )
        irt = f'InResponseTo="{answers}"' if answers else ""
        statement = f"<saml:AttributeStatement>{values}</saml:AttributeStatement>" if values else ""
        form = f'Format="{name_id_format}"' if name_id_format else ""
        text = f"""<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_{secrets.token_hex(16)}" Version="2.0"
 IssueInstant="{stamp(now)}" Destination="{self.place.acs}" {irt}><saml:Issuer>{self.entity_id}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
<saml:Assertion ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{stamp(now)}">
<saml:Issuer>{self.entity_id}</saml:Issuer>
<saml:Subject><saml:NameID {form}>{name_id}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
 NotOnOrAfter="{stamp(now + lasts)}" Recipient="{self.place.acs}" {irt}/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{stamp(now - timedelta(minutes=1))}" NotOnOrAfter="{stamp(now + lasts)}">
<saml:AudienceRestriction><saml:Audience>{self.place.entity_id}</saml:Audience></saml:AudienceRestriction>
</saml:Conditions>
<saml:AuthnStatement AuthnInstant="{stamp(now)}" SessionIndex="{index}"><saml:AuthnContext>
<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
{statement}</saml:Assertion></samlp:Response>"""
        return etree.fromstring(text)

    def signed(
        self,
        message: Element,
        what: str = "saml:Assertion",
        *,
        by: Pair | None = None,
        method: object = constants.TransformRsaSha256,
        digest: object = constants.TransformSha256,
        canonical: object = constants.TransformExclC14N,
        transform: object = constants.TransformExclC14N,
        uri: str | None = None,
    ) -> Element:
        """The same, with this part of it signed; `.` is all of it."""
        element = first(message, what)
        signature = xmlsec.template.create(element, canonical, method, ns="ds")  # type: ignore[arg-type]
        issuer = element.find(f"{{{SAML}}}Issuer")
        assert issuer is not None
        issuer.addnext(signature)
        where = f"#{element.get('ID')}" if uri is None else uri
        reference = xmlsec.template.add_reference(signature, digest, uri=where)  # type: ignore[arg-type]
        xmlsec.template.add_transform(reference, constants.TransformEnveloped)
        xmlsec.template.add_transform(reference, transform)  # type: ignore[arg-type]
        sign(message, signature, by or self.pair)
        return anew(message)

    def form(self, answers: str = "_request", change: Callable[[Element], object] | None = None, **more: object) -> str:
        """What the browser posts: a right response, changed before it is signed."""
        message = self.response(answers, **more)  # type: ignore[arg-type]
        if change:
            change(message)
        return form(self.signed(message))

    def logout(
        self, destination: str, name_id: str = "ada", indexes: Sequence[str] = ("_session",), at: datetime | None = None
    ) -> Element:
        """A LogoutRequest, not signed."""
        now = at or datetime.now(UTC)
        sessions = "".join(f"<samlp:SessionIndex>{each}</samlp:SessionIndex>" for each in indexes)
        return etree.fromstring(
            f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_{secrets.token_hex(16)}"'
            f' Version="2.0" IssueInstant="{stamp(now)}" NotOnOrAfter="{stamp(now + timedelta(minutes=5))}"'
            f' Destination="{destination}"><saml:Issuer>{self.entity_id}</saml:Issuer>'
            f"<saml:NameID>{name_id}</saml:NameID>{sessions}</samlp:LogoutRequest>"
        )

    def redirected(
        self,
        message: Element,
        *,
        by: Pair | None = None,
        algorithm: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        method: object = constants.TransformRsaSha256,
        relay: str = "",
        parameter: str = "SAMLRequest",
    ) -> str:
        """The query that takes it, signed."""
        query = {parameter: deflated(etree.tostring(message))} | ({"RelayState": relay} if relay else {})
        text = urlencode(query | {"SigAlg": algorithm})
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory((by or self.pair).key, constants.KeyDataFormatPem, None)
        signature = context.sign_binary(text.encode(), method)  # type: ignore[arg-type]
        return text + "&" + urlencode({"Signature": base64.b64encode(signature).decode()})


def sign(message: Element, signature: Element, by: Pair) -> None:
    """Fill in a template of a signature."""
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(message, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(by.key, constants.KeyDataFormatPem, None)
    context.key.load_cert_from_memory(by.certificate, constants.KeyDataFormatPem)
    context.sign(signature)


def encrypted(
    message: Element,
    certificate: str,
    *,
    cipher: object = constants.TransformAes256Gcm,
    wrap: object = constants.TransformRsaOaep,
    bits: int = 256,
) -> Element:
    """The same, with its assertion encrypted for the owner of this certificate."""
    assertion = first(message, "saml:Assertion")
    made = xmlsec.template.encrypted_data_create(
        message,
        cipher,
        type=constants.TypeEncElement,
        ns="xenc",  # type: ignore[arg-type]
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(made)
    info = xmlsec.template.encrypted_data_ensure_key_info(made, ns="ds")
    xmlsec.template.encrypted_data_ensure_cipher_value(xmlsec.template.add_encrypted_key(info, wrap))  # type: ignore[arg-type]
    keys = xmlsec.KeysManager()
    keys.add_key(xmlsec.Key.from_memory(certificate, constants.KeyDataFormatCertPem, None))
    context = xmlsec.EncryptionContext(keys)
    context.key = xmlsec.Key.generate(constants.KeyDataAes, bits, constants.KeyDataTypeSession)
    holder = etree.SubElement(message, f"{{{SAML}}}EncryptedAssertion")
    holder.append(context.encrypt_xml(made, deepcopy(assertion)))
    message.remove(assertion)
    return anew(message)


def anew(message: Element) -> Element:
    """Read again: lxml does not find by name what xmlsec wrote."""
    return etree.fromstring(etree.tostring(message))


def first(message: Element, path: str) -> Element:
    """The first element of this path; `.` is the root."""
    found = message if path == "." else message.find(f".//{path}", NAMES)
    assert found is not None
    return found


def form(message: Element | bytes) -> str:
    """As a browser posts it."""
    text = message if isinstance(message, bytes) else etree.tostring(message)
    return base64.b64encode(text).decode()


def deflated(text: bytes) -> str:
    """As a redirect carries it."""
    way = zlib.compressobj(wbits=-15)
    return base64.b64encode(way.compress(text) + way.flush()).decode()
