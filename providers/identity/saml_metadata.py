"""SAML metadata (SAML 2.0 Metadata): read what a provider says of itself, and write what it has to know of us.

    EntityDescriptor ─┬─ IDPSSODescriptor ─┬─ KeyDescriptor use=signing ──► certificates
                      │                    ├─ SingleSignOnService, HTTP-Redirect ──► sso_url
      entityID        │                    └─ SingleLogoutService, HTTP-Redirect ──► slo_url
                      └─ SPSSODescriptor   ours

They are read once, by whoever sets the provider up, and looked at before they are kept. Nothing is followed from them.
"""

import base64
import binascii
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from providers.identity.saml_document import DS, Element, document
from service.core.errors import Invalid
from service.core.identity import NotLetIn
from service.core.saml import Place, Saml

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class SamlDescriptions:
    """Reads and writes them: the port `SamlMetadata`."""

    def told(self, xml: str) -> dict[str, object]:
        """See `SamlMetadata`."""
        try:
            # Signatures of metadata are not looked at, so they need not be of the shape that those of messages are.
            root = document(_without_signatures(xml))
        except NotLetIn as error:
            raise Invalid(f"metadata: this cannot be read ({error.reason})", field="xml") from None
        found = [root] if root.tag == f"{MD}EntityDescriptor" else list(root.iter(f"{MD}EntityDescriptor"))
        providers = [each for each in found if each.find(f"{MD}IDPSSODescriptor") is not None]
        if len(providers) != 1:
            raise Invalid("metadata: they must be of one identity provider (EntityDescriptor)", field="xml")
        [entity] = providers
        role = entity.find(f"{MD}IDPSSODescriptor")
        assert role is not None  # noqa: S101  that is how it was found
        return {
            "entity_id": str(entity.get("entityID", "")),
            "sso_url": _place(role, "SingleSignOnService"),
            "slo_url": _place(role, "SingleLogoutService"),
            "certificates": _certificates(role),
        }

    def ours(self, it: Saml, place: Place) -> bytes:
        """See `SamlMetadata`."""
        root = etree.Element(f"{MD}EntityDescriptor", nsmap={"md": MD[1:-1], "ds": DS[1:-1]})
        root.set("entityID", place.entity_id)
        role = etree.SubElement(root, f"{MD}SPSSODescriptor", protocolSupportEnumeration=PROTOCOL)
        role.set("AuthnRequestsSigned", "true" if it.certificate else "false")
        role.set("WantAssertionsSigned", "true")
        if it.certificate:
            for use in ("signing", "encryption"):
                key = etree.SubElement(role, f"{MD}KeyDescriptor", use=use)
                data = etree.SubElement(etree.SubElement(key, f"{DS}KeyInfo"), f"{DS}X509Data")
                der = x509.load_pem_x509_certificate(it.certificate.encode()).public_bytes(Encoding.DER)
                etree.SubElement(data, f"{DS}X509Certificate").text = base64.b64encode(der).decode()
        etree.SubElement(role, f"{MD}SingleLogoutService", Binding=REDIRECT, Location=place.slo)
        etree.SubElement(
            role, f"{MD}AssertionConsumerService", Binding=POST, Location=place.acs, index="0", isDefault="true"
        )
        return etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)


def _without_signatures(xml: str) -> bytes:
    text = _COMMENT.sub("", xml)
    try:
        return re.sub(r"<(?:\w+:)?Signature\s.*?</(?:\w+:)?Signature>", "", text, flags=re.DOTALL).encode()
    except UnicodeEncodeError:
        raise Invalid("metadata: this is no text", field="xml") from None


def _place(role: Element, name: str) -> str:
    """By HTTP-Redirect, the only way that we send people. Empty: there is none."""
    found = [each for each in role.findall(f"{MD}{name}") if each.get("Binding") == REDIRECT]
    return str(found[0].get("Location", "")) if found else ""


def _certificates(role: Element) -> list[str]:
    found: list[str] = []
    for key in role.findall(f"{MD}KeyDescriptor"):
        if key.get("use", "signing") != "signing":
            continue
        for each in key.iter(f"{DS}X509Certificate"):
            try:
                der = base64.b64decode("".join((each.text or "").split()), validate=True)
                pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
            except (binascii.Error, ValueError):
                raise Invalid("metadata: a certificate in them cannot be read", field="xml") from None
            if pem not in found:
                found.append(pem)
    return found
