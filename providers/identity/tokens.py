"""A code for tokens (RFC 6749, 4.1.3), and how we prove to a provider who we are.

no secret            nothing but the client id: PKCE alone
a private key (PEM)  private_key_jwt: a statement signed with it (`client_assertion.py`)
anything else        client_secret_basic, or client_secret_post where that is all that it takes
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from providers.identity.client_assertion import is_key, statement
from providers.identity.metadata import Metadata, named
from providers.proofs.asking import exchange, trust
from service.core.errors import Unavailable
from service.core.identity import NotLetIn
from service.core.openid import Asked, OpenId
from service.core.secret import Secret

_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


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
    if is_key(text):
        stated = statement(it, metadata, text, asked, now)
        return "", {"client_id": it.client_id, "client_assertion_type": _BEARER, "client_assertion": stated}
    if "client_secret_basic" in takes:
        # Each is form-encoded first (RFC 6749, 2.3.1).
        pair = f"{quote_plus(it.client_id)}:{quote_plus(text)}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}", {}
    if "client_secret_post" in takes:
        return "", {"client_id": it.client_id, "client_secret": text}
    raise Unavailable(f"{named(it)} takes a client secret neither by client_secret_basic nor by client_secret_post")
