"""Sign-outs by SAML 2.0 (Single Logout Profile, HTTP-Redirect): the port `SamlSignOuts`.

    the provider ── SAMLRequest, SigAlg, Signature ──► left() ──► whose sessions end; gone(): where it goes on
    leaving() ── SAMLRequest ──► the provider          somebody signs out here, and wants to be signed out there

The signature is over the parameters as they were sent, octet by octet (SAML 2.0 Bindings, 3.4.4.1), so the query is
taken raw. A LogoutRequest without a signature would let any page on the web sign people out: it is refused.
"""

import base64
import binascii
from datetime import datetime, timedelta
from urllib.parse import unquote_plus

from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from providers.identity.saml import LONGEST, SKEW, moment
from providers.identity.saml_document import SAML, SAMLP, SIGNATURES, Element, child, document, inflated, leaf, refused
from providers.identity.saml_sending import request, sent
from service.core.saml import Begun, Left, Place, Saml, Visit
from service.core.sealed import Randomness
from service.core.secret import Secret

LATE = timedelta(minutes=5)
"""How old a request may be that says no end."""
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_SIGNED = ("SAMLRequest", "RelayState", "SigAlg")


class SamlLogout:
    """Tells providers of who leaves, and is told. `randomness` makes ids of requests."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    def leaving(self, it: Saml, key: Secret | None, place: Place, visit: Visit, now: datetime) -> Begun:
        """See `SamlSignOuts`."""
        made = request("LogoutRequest", it.slo_url, place, now, self._randomness)
        name = etree.SubElement(made, f"{SAML}NameID", {"Format": visit.format} if visit.format else {})
        name.text = visit.name_id
        if visit.index:
            etree.SubElement(made, f"{SAMLP}SessionIndex").text = visit.index
        return Begun(str(made.get("ID")), sent(it.slo_url, "SAMLRequest", made, key))

    def left(self, it: Saml, place: Place, query: str, now: datetime) -> Left:
        """See `SamlSignOuts`."""
        given = _parameters(query)
        root = document(inflated(unquote_plus(given["SAMLRequest"])))
        _check_signature(it, given)
        if root.tag != f"{SAMLP}LogoutRequest" or root.get("Version") != "2.0" or not root.get("ID"):
            raise refused("no LogoutRequest")
        if root.get("Destination") != place.slo:
            raise refused("Destination")
        if leaf(child(root, f"{SAML}Issuer")) != it.entity_id:
            raise refused("Issuer")
        until = _until(root, now)
        indexes = tuple(leaf(each) for each in root.findall(f"{SAMLP}SessionIndex"))
        return Left(str(root.get("ID")), until, leaf(child(root, f"{SAML}NameID")), indexes)

    def gone(self, it: Saml, key: Secret | None, place: Place, request_id: str, relay: str, now: datetime) -> str:
        """See `SamlSignOuts`."""
        made = request("LogoutResponse", it.slo_url, place, now, self._randomness)
        made.set("InResponseTo", request_id)
        etree.SubElement(etree.SubElement(made, f"{SAMLP}Status"), f"{SAMLP}StatusCode", Value=_SUCCESS)
        return sent(it.slo_url, "SAMLResponse", made, key, relay)


def _parameters(query: str) -> dict[str, str]:
    """Raw, each once. Raises NotLetIn."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in found:
            raise refused("parameters")
        found[name] = value
    if not {"SAMLRequest", "SigAlg", "Signature"} <= set(found):
        raise refused("no signature")
    return found


def _check_signature(it: Saml, given: dict[str, str]) -> None:
    algorithm = unquote_plus(given["SigAlg"])
    # python3-saml checks RSA only, and takes what it does not know for RSA with SHA-256.
    if algorithm not in SIGNATURES or "#rsa-" not in algorithm:
        raise refused("algorithm of the signature")
    try:
        signature = base64.b64decode(unquote_plus(given["Signature"]), validate=True)
    except binascii.Error:
        raise refused("signature") from None
    text = "&".join(f"{name}={given[name]}" for name in _SIGNED if name in given)
    if not any(
        OneLogin_Saml2_Utils.validate_binary_sign(text, signature, certificate, algorithm)
        for certificate in it.certificates
    ):
        raise refused("signature")


def _until(root: Element, now: datetime) -> datetime:
    issued = moment(root, "IssueInstant")
    end = moment(root, "NotOnOrAfter") if root.get("NotOnOrAfter") else issued + LATE
    if issued > now + SKEW:
        raise refused("not yet")
    if end + SKEW <= now:
        raise refused("expired")
    if end > now + LONGEST:
        raise refused("good for too long")
    return end + SKEW
