"""SAML metadata: what a provider tells of itself is read once, and what we tell of us can be read."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from providers.identity.saml_metadata import SamlDescriptions
from service.core.errors import Invalid
from service.core.saml import Place
from tests.rigs.asserting import Asserting, pair

METADATA = SamlDescriptions()
PLACE = Place("https://keywright.test/sign-in/saml/okta")
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings"


def der(pem: str) -> str:
    """A certificate as metadata write it."""
    return base64.b64encode(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)).decode()


def key(pem: str, use: str = 'use="signing"') -> str:
    """A key, broken into lines as many do."""
    text = der(pem)
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return (
        f'<md:KeyDescriptor {use}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>\n{lines}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def provider(*keys: str, name: str = "https://idp.test/saml", before: str = "") -> str:
    """What one tells."""
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{name}">{before}<md:IDPSSODescriptor '
        f'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{"".join(keys)}'
        f'<md:SingleLogoutService Binding="{BINDINGS}:HTTP-Redirect" Location="https://idp.test/slo"/>'
        f'<md:SingleSignOnService Binding="{BINDINGS}:HTTP-POST" Location="https://idp.test/post"/>'
        f'<md:SingleSignOnService Binding="{BINDINGS}:HTTP-Redirect" Location="https://idp.test/sso?t=1&amp;u=2"/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def test_what_a_provider_tells_is_read() -> None:
    one, two, other = pair("one").certificate, pair("two").certificate, pair("other").certificate
    keys = key(one), key(two, ""), key(other, 'use="encryption"')
    told = METADATA.told('<?xml version="1.0"?><!-- made on Monday -->\n' + provider(*keys))
    assert told == {
        "entity_id": "https://idp.test/saml",
        "sso_url": "https://idp.test/sso?t=1&u=2",
        "slo_url": "https://idp.test/slo",
        "certificates": [one, two],
    }


def test_a_signature_of_theirs_is_no_hindrance() -> None:
    signature = (
        '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>'
        '<ds:Reference URI=""/></ds:SignedInfo></ds:Signature>'
    )
    told = METADATA.told(provider(key(pair("one").certificate), before=signature))
    assert told["certificates"] == [pair("one").certificate]


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no xml",
        "<a/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a/>',
        "<a>\ud800</a>",
        f'<md:EntitiesDescriptor xmlns:md="{MD}">{provider()}{provider(name="https://other.test")}</md:EntitiesDescriptor>',
        provider(key(pair("one").certificate).replace("MII", "AAA")),
    ],
)
def test_what_is_none_is_refused_by_its_field(xml: str) -> None:
    with pytest.raises(Invalid) as caught:
        METADATA.told(xml)
    assert caught.value.field == "xml"


def test_what_we_tell_can_be_read() -> None:
    ours = pair("ours").certificate
    text = METADATA.ours(Asserting(PLACE).definition(certificate=ours), PLACE).decode()
    assert f'entityID="{PLACE.entity_id}"' in text
    assert text.count(der(ours)) == 2
    assert 'WantAssertionsSigned="true"' in text
    plain = METADATA.ours(Asserting(PLACE).definition(), PLACE).decode()
    assert "X509Certificate" not in plain
    assert 'AuthnRequestsSigned="false"' in plain
