"""A code for tokens (RFC 6749, 4.1.3), and how we prove to a provider who we are.

no secret            nothing but the client id: PKCE alone
a private key (PEM)  private_key_jwt: a statement of a minute, signed with it (RFC 7523, 2.2; Core, 9)
anything else        client_secret_basic, or client_secret_post where that is all that it takes
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from providers.identity.metadata import Metadata, named
from providers.proofs.asking import exchange, trust
from service.core.errors import Unavailable
from service.core.identity import NotLetIn
from service.core.openid import Asked, OpenId
from service.core.secret import Secret

LASTS = 60
"""Seconds."""
_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


def tokens_for(
    it: OpenId, metadata: Metadata, secret: Secret, asked: Asked, code: Secret, now: datetime
) -> dict[str, Any]:
    """What the provider gives for the code. Raises NotLetIn where it takes it not, Unavailable where not us."""
    authorization, proof = _shown(it, metadata, secret, asked, now)
    form = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "redirect_uri": asked.redirect,
        "code_verifier": asked.verifier,
        **proof,
    }
    granted, tokens = exchange(
        metadata.token, whom=named(it), trusting=trust(it.ca), form=form, authorization=authorization
    )
    if granted:
        return tokens
    if tokens.get("error") in ("invalid_client", "unauthorized_client"):
        raise Unavailable(f"{named(it)} does not know Keywright: its client id or secret is wrong there")
    raise NotLetIn("the identity provider does not take the code that it gave: sign in once more", "code refused")


def _shown(
    it: OpenId, metadata: Metadata, secret: Secret, asked: Asked, now: datetime
) -> tuple[str, Mapping[str, str]]:
    """The header, and the fields of the form."""
    text, takes = secret.reveal(), metadata.secrets
    if not text:
        return "", {"client_id": it.client_id}
    if text.startswith("-----BEGIN"):
        stated = _statement(it, metadata, text, asked, now)
        return "", {"client_id": it.client_id, "client_assertion_type": _BEARER, "client_assertion": stated}
    if "client_secret_basic" in takes:
        # Each is form-encoded first (RFC 6749, 2.3.1).
        pair = f"{quote_plus(it.client_id)}:{quote_plus(text)}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}", {}
    if "client_secret_post" in takes:
        return "", {"client_id": it.client_id, "client_secret": text}
    raise Unavailable(f"{named(it)} takes a client secret neither by client_secret_basic nor by client_secret_post")


def _statement(it: OpenId, metadata: Metadata, pem: str, asked: Asked, now: datetime) -> str:
    at = int(now.timestamp())
    claims = {"iss": it.client_id, "sub": it.client_id, "aud": metadata.token, "iat": at, "exp": at + LASTS}
    # Used once, like what it stands in for: the challenge belongs to one sign-in.
    claims["jti"] = asked.challenge
    for kind in (RSAKey, ECKey):
        try:
            key = kind.import_key(pem)
            algorithm = _ALGORITHMS[key.curve_name] if isinstance(key, ECKey) else "RS256"
            return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    raise Unavailable(f"the private key for {named(it)} is none that can sign: RSA, or EC on P-256, P-384 or P-521")
