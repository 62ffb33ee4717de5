"""private_key_jwt (OpenID Connect Core 1.0, 9; RFC 7523, 2.2 and 3): a statement of a minute about who we are.

Its header says which key signed it, so that a provider which knows several of ours need not try them:

kid         what the definition calls the key (RFC 7515, 4.1.4)
x5t#S256    the digest of the certificate that stands in the secret beside the key (4.1.8), as Entra ID wants it
neither     kid is the thumbprint of the public key (RFC 7638), which a provider can tell from the key itself
"""

import hashlib
import re
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from providers.identity.metadata import Metadata, named
from service.core.errors import Unavailable
from service.core.openid import Asked, OpenId, unpadded

LASTS = 60
"""Seconds."""
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?-----END \1-----", re.S)


def is_key(secret: str) -> bool:
    """Is that a private key, and no secret that both sides know?"""
    return secret.startswith("-----BEGIN")


def statement(it: OpenId, metadata: Metadata, pem: str, asked: Asked, now: datetime) -> str:
    """Signed by the private key in `pem`. Raises Unavailable for what is none."""
    parts = [(found[1], found[0]) for found in _PEM.finditer(pem.replace("\r\n", "\n"))]
    key = _key(it, next((text for label, text in parts if label.endswith("PRIVATE KEY")), ""))
    certificate = next((text for label, text in parts if label == "CERTIFICATE"), "")
    header = {"alg": _ALGORITHMS[key.curve_name] if isinstance(key, ECKey) else "RS256"}
    if certificate:
        header["x5t#S256"] = _digest(it, certificate, key)
    if it.key_id or not certificate:
        header["kid"] = it.key_id or key.thumbprint()
    at = int(now.timestamp())
    claims = {"iss": it.client_id, "sub": it.client_id, "aud": metadata.token, "iat": at, "exp": at + LASTS}
    # Used once, like what it stands in for: the challenge belongs to one sign-in.
    claims["jti"] = asked.challenge
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def _key(it: OpenId, pem: str) -> RSAKey | ECKey:
    for kind in (RSAKey, ECKey):
        try:
            key = kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
        if not isinstance(key, ECKey) or key.curve_name in _ALGORITHMS:
            return key
    raise Unavailable(f"the private key for {named(it)} is none that can sign: RSA, or EC on P-256, P-384 or P-521")


def _digest(it: OpenId, pem: str, key: RSAKey | ECKey) -> str:
    """Of a certificate of this very key."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        its = found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise Unavailable(f"what stands beside the private key for {named(it)} is no certificate") from None
    if its != key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo):
        raise Unavailable(f"the certificate beside the private key for {named(it)} is of another key")
    return unpadded(hashlib.sha256(found.public_bytes(Encoding.DER)).digest())
