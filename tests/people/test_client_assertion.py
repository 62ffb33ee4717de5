"""How Keywright proves to a provider who it is, where that knows a key of it: what it is shown, taken apart."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.people.conftest import Site
from tests.rigs.asserting import pair

RSA, CURVE, OTHER = pair("ours"), pair("ours on a curve", curve=True), pair("another")


def shown(site: Site, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of what was shown in a sign-in, whose signature is right."""
    site.let(**more)
    assert site.come().status_code == 303
    form = site.server.form()
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    kind, pem = (ECKey, CURVE.key) if CURVE.key in more["secret"] else (RSAKey, RSA.key)
    token = jwt.decode(form["client_assertion"][0], kind.import_key(pem), algorithms=["RS256", "ES256"])
    return token.header, token.claims


def digest(certificate: str) -> str:
    """Of its DER, as RFC 7515, 4.1.8 has it."""
    der = x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def test_a_key_is_called_as_the_definition_says(site: Site) -> None:
    header, claims = shown(site, secret=RSA.key, key_id="keywright-1")
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "keywright-1"}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("keywright", "keywright", f"{site.issuer}/token")
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(("secret", "kind"), [(RSA.key, RSAKey), (CURVE.key, ECKey)])
def test_a_key_that_nobody_called_anything_is_called_by_its_thumbprint(site: Site, secret: str, kind: Any) -> None:
    header, _ = shown(site, secret=secret)
    assert header["kid"] == kind.import_key(secret).thumbprint()
    assert "x5t#S256" not in header


@pytest.mark.parametrize("secret", [RSA.key + RSA.certificate, RSA.certificate + RSA.key])
def test_a_certificate_beside_the_key_is_told(site: Site, secret: str) -> None:
    header, _ = shown(site, secret=secret)
    assert (header["x5t#S256"], "kid" in header) == (digest(RSA.certificate), False)


def test_a_certificate_and_a_name_are_both_told(site: Site) -> None:
    header, _ = shown(site, secret=RSA.key.replace("\n", "\r\n") + RSA.certificate, key_id="a name")
    assert (header["x5t#S256"], header["kid"]) == (digest(RSA.certificate), "a name")


@pytest.mark.parametrize(
    "secret",
    [
        RSA.key + OTHER.certificate,
        RSA.key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        RSA.certificate,
        RSA.key.replace("A", "B"),
    ],
)
def test_what_is_no_key_is_shown_to_nobody(site: Site, secret: str) -> None:
    site.let(secret=secret)
    asked = len(site.server.asked)
    assert site.come().status_code == 503
    assert not any(each.path.endswith("/token") for each in site.server.asked[asked:])
