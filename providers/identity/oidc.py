"""People from OpenID providers (OpenID Connect Core 1.0): the ports of `service/core/openid.py`.

    address    where the browser goes: with state, nonce and the challenge of PKCE (RFC 7636, S256), always
    proven     `iss` of the answer (RFC 9207) ─► code for tokens ─► ID token ─► address, groups, factor

    ID token   signature by one of the provider's keys, with an algorithm that the definition allows; iss, aud, azp,
               exp, iat, nonce; at_hash, where it is there

What the provider answers about an error is never passed on: it may have been made by whoever sent the browser.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.errors import JoseError

from providers.identity import said
from providers.identity.metadata import Documents, Metadata, got, named
from providers.identity.tokens import tokens_for
from providers.proofs.asking import ask, trust
from service.core.identity import Claimed, IdentityProvider, NotLetIn
from service.core.openid import MAX_AGE, Asked, Ended, OpenId, Returned, unpadded
from service.core.proof import LONGEST_JWT, SKEW, Signer, Unproven, Verifier
from service.core.secret import Secret

ISSUED = timedelta(minutes=5)
"""How long ago an ID token may have been made: it was made for a code that was shown just now."""
TOLD = timedelta(minutes=10)
"""How long ago a session may have been said to be over."""
LONGEST_HINT = 4000
"""Characters of an ID token that is sent along in an address."""
_LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
_ACCESS = ("at+jwt", "application/at+jwt")
_NOT_PROVEN = "the identity provider's answer does not prove who you are: sign in once more"


class OidcSignIns:
    """The ports `SignIns` and `Examiner`."""

    def __init__(self, documents: Documents, verifier: Verifier) -> None:
        self._documents = documents
        self._verifier = verifier

    def address(self, it: OpenId, asked: Asked) -> str:
        """See `SignIns`."""
        metadata = self._documents.of(it)
        query = {
            "response_type": "code",
            "client_id": it.client_id,
            "redirect_uri": asked.redirect,
            "scope": " ".join(it.scopes),
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": asked.challenge,
            "code_challenge_method": "S256",
        }
        if it.entry.factors:
            query["max_age"] = str(MAX_AGE)  # with it, `auth_time` has to be told
        if len(it.hosted_domains) == 1:
            query["hd"] = it.hosted_domains[0]  # saves a choice; what is told afterwards is what counts
        return with_query(metadata.authorization, query)

    def proven(
        self, provider: IdentityProvider, it: OpenId, secret: Secret, asked: Asked, returned: Returned, now: datetime
    ) -> Claimed:
        """See `SignIns`."""
        metadata = self._documents.of(it)
        _same(it, metadata, returned.issuer)
        with self._documents.asking(it):
            tokens = tokens_for(it, metadata, secret, asked, returned.code, now)
        text, access = _text(tokens, "id_token"), _text(tokens, "access_token")
        if not text:
            raise NotLetIn(_NOT_PROVEN, "no ID token")
        stated = self._stated(it, metadata, text, it.client_id, now)
        _check(it, stated, text, access, asked, now)
        if it.hosted_domains and stated.get("hd") not in it.hosted_domains:
            raise NotLetIn("your account is of no organisation that may sign in here", "hosted domain")
        found = said.email(it, stated)
        if found is None and access:
            found = self._in_access_token(it, metadata, access, stated, now)
        more: Mapping[str, Any] = stated
        untold = it.groups_claim and it.groups_claim not in stated and "_claim_names" not in stated
        if metadata.userinfo and access and (found is None or untold):
            with self._documents.asking(it):
                more = {**_userinfo(it, metadata, access, stated), **stated}
            found = found or said.email(it, more)
        if found is None:
            raise NotLetIn(
                "the identity provider tells no e-mail address, neither in the ID token nor in an access token that "
                "is a JWT nor at its userinfo endpoint: ask whoever configured it for the scope `email`",
                "no e-mail address",
            )
        email, verified = found
        return Claimed(
            provider.id,
            said.subject(stated),
            email,
            verified,
            said.name(more, email),
            said.groups(it, more),
            said.attributes(it, more),
            said.session(stated),
            said.factor_at(it, stated, now),
            text if len(text) <= LONGEST_HINT else "",
        )

    def examined(self, it: OpenId) -> tuple[str, ...]:
        """See `Examiner`."""
        metadata = got(it)
        keys = ask(metadata.jwks, whom=named(it), trusting=trust(it.ca)).get("keys")
        wrong = []
        if not isinstance(keys, list) or not keys:
            wrong.append("it tells no keys")
        for name, needed, what in (
            ("response_types_supported", {"code"}, "the authorization code flow"),
            ("code_challenge_methods_supported", {"S256"}, "PKCE with S256"),
            ("id_token_signing_alg_values_supported", set(it.algorithms), f"any of {', '.join(it.algorithms)}"),
        ):
            listed = metadata.listed(name)
            if listed is not None and not needed & set(listed):
                wrong.append(f"it does not say that it supports {what} ({name})")
        scopes = metadata.listed("scopes_supported")
        if scopes is not None and (unknown := sorted(set(it.scopes) - set(scopes))):
            wrong.append(f"it does not say that it supports the scopes {' '.join(unknown)} (scopes_supported)")
        claims = metadata.listed("claims_supported")
        unsaid = [each for each in (it.email_claim, it.groups_claim) if each and each not in (claims or (each,))]
        wrong += [f"it does not say that it tells the claim {each} (claims_supported)" for each in unsaid]
        return tuple(wrong)

    def _stated(self, it: OpenId, metadata: Metadata, text: str, audience: str, now: datetime) -> Mapping[str, Any]:
        return stated_in(self._verifier, it, metadata, text, audience, now)

    def _in_access_token(
        self, it: OpenId, metadata: Metadata, access: str, stated: Mapping[str, Any], now: datetime
    ) -> tuple[str, bool] | None:
        """The address in an access token that is a JWT, made for us (RFC 9068, 4). Any other is none of ours to read.

        Raises NotLetIn for one that speaks of somebody else.
        """
        if str(header(access).get("typ", "")).lower() not in _ACCESS:
            return None
        try:
            found = self._stated(it, metadata, access, it.access_audience or it.client_id, now)
        except NotLetIn:
            return None
        if found.get("sub") != stated.get("sub") or found.get("client_id", it.client_id) != it.client_id:
            raise NotLetIn(_NOT_PROVEN, "access token of somebody else")
        return said.email(it, found)


class OidcSignOuts:
    """The port `SignOuts`."""

    def __init__(self, documents: Documents, verifier: Verifier) -> None:
        self._documents = documents
        self._verifier = verifier

    def leaving(self, it: OpenId, hint: str, back: str) -> str:
        """See `SignOuts` (OpenID Connect RP-Initiated Logout 1.0)."""
        metadata = self._documents.of(it)
        if not metadata.end_session:
            return ""
        query = {"client_id": it.client_id, "post_logout_redirect_uri": back}
        return with_query(metadata.end_session, query | ({"id_token_hint": hint} if hint else {}))

    def ended(self, it: OpenId, told: Secret, now: datetime) -> Ended:
        """See `SignOuts`: a logout token (Back-Channel Logout 1.0, 2.4 and 2.6)."""
        stated = stated_in(self._verifier, it, self._documents.of(it), told.reveal(), it.client_id, now)
        events, mark, at = stated.get("events"), _text(stated, "jti"), stated.get("iat")
        subject, session = _text(stated, "sub"), _text(stated, "sid")
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT), dict) or "nonce" in stated:
            raise NotLetIn("this is no logout token", "no logout token")
        if not mark or not (subject or session):
            raise NotLetIn("this logout token says nobody's session to be over", "logout token without jti, sub or sid")
        if not isinstance(at, int) or not (now - TOLD).timestamp() <= at <= (now + SKEW).timestamp():
            raise NotLetIn("this logout token was not made just now", "logout token of another time")
        return Ended(subject, session, mark, now + TOLD + SKEW)


def stated_in(
    verifier: Verifier, it: OpenId, metadata: Metadata, text: str, audience: str, now: datetime
) -> Mapping[str, Any]:
    """What the provider signed, for this audience, and is in force. Raises NotLetIn, Unavailable."""
    signer = Signer(it.issuer, jwks_url=metadata.jwks, ca=it.ca, algorithms=it.algorithms)
    if len(text) > LONGEST_JWT:
        raise NotLetIn(_NOT_PROVEN, "token too long")
    try:
        return verifier.verified(Secret(text), signer, (audience,), now)
    except Unproven as wrong:
        raise NotLetIn(_NOT_PROVEN, f"token: {wrong.reason}") from None


def header(text: str) -> Mapping[str, Any]:
    """What a JWT says of itself; nothing of it is verified here. Empty for what is none."""
    try:
        return jws.extract_compact(text.encode(), registry=jws.JWSRegistry(strict_check_header=False)).headers()
    except (JoseError, ValueError, RecursionError):
        return {}


def with_query(url: str, query: Mapping[str, str]) -> str:
    """An address with more in its query than it has."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _same(it: OpenId, metadata: Metadata, issuer: str | None) -> None:
    """Is it the provider who answers? Else its code may be meant for another (RFC 9207, 2.4). Raises NotLetIn."""
    if issuer is None and not metadata.names_itself:
        return
    if issuer != it.issuer:
        raise NotLetIn(_NOT_PROVEN, "no iss" if issuer is None else "iss of another provider")


def _check(it: OpenId, stated: Mapping[str, Any], text: str, access: str, asked: Asked, now: datetime) -> None:
    """What beside signature, issuer, audience and expiry must be right (Core, 3.1.3.7). Raises NotLetIn."""
    audiences, party, at = stated.get("aud"), stated.get("azp"), stated.get("iat")
    several = isinstance(audiences, list) and len(audiences) > 1
    if (several or party is not None) and party != it.client_id:
        raise NotLetIn(_NOT_PROVEN, "authorized party")
    if not hmac.compare_digest(_text(stated, "nonce").encode(), asked.nonce.encode()):
        raise NotLetIn(_NOT_PROVEN, "nonce")
    if isinstance(at, bool) or not isinstance(at, (int, float)):
        raise NotLetIn(_NOT_PROVEN, "no time of issue")
    if not (now - ISSUED).timestamp() <= at <= (now + SKEW).timestamp():
        raise NotLetIn(_NOT_PROVEN, "issued at another time")
    if "at_hash" in stated and not hmac.compare_digest(_text(stated, "at_hash").encode(), _half(text, access).encode()):
        raise NotLetIn(_NOT_PROVEN, "access token's hash")


def _half(text: str, access: str) -> str:
    """Of an access token, as the ID token tells it (Core, 3.1.3.6): by the hash of that one's own algorithm."""
    algorithm = str(header(text).get("alg", ""))
    digest = hashlib.new({"256": "sha256", "384": "sha384"}.get(algorithm[-3:], "sha512"), access.encode()).digest()
    return unpadded(digest[: len(digest) // 2])


def _userinfo(it: OpenId, metadata: Metadata, access: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """More of the same person (Core, 5.3). Raises NotLetIn for somebody else."""
    found = ask(metadata.userinfo, whom=named(it), trusting=trust(it.ca), bearer=access)
    if found.get("sub") != stated.get("sub"):
        raise NotLetIn(_NOT_PROVEN, "userinfo of somebody else")
    return found


def _text(stated: Mapping[str, Any], name: str) -> str:
    found = stated.get(name)
    return found if isinstance(found, str) else ""
