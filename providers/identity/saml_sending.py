"""SAML messages that we send, by HTTP-Redirect (SAML 2.0 Bindings, 3.4): deflated, and signed where we have a key.

ADDRESS ? SAMLRequest=…  [&RelayState=…]  [&SigAlg=…  &Signature=…]      signed is the text before `&Signature`
"""

import base64
import zlib
from datetime import datetime
from urllib.parse import urlencode

import xmlsec
from lxml import etree

from providers.identity.saml_document import SAML, SAMLP, Element
from service.core.saml import Place
from service.core.sealed import Randomness
from service.core.secret import Secret

_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_PREFIXES = {"samlp": SAMLP[1:-1], "saml": SAML[1:-1]}


def request(kind: str, destination: str, place: Place, now: datetime, randomness: Randomness, **more: str) -> Element:
    """A message of ours, so far as all of them are alike."""
    made = etree.Element(f"{SAMLP}{kind}", nsmap=_PREFIXES)
    made.set("ID", f"_{randomness(20).hex()}")
    made.set("Version", "2.0")
    made.set("IssueInstant", f"{now:%Y-%m-%dT%H:%M:%SZ}")
    made.set("Destination", destination)
    for name, value in more.items():
        made.set(name, value)
    etree.SubElement(made, f"{SAML}Issuer").text = place.entity_id
    return made


def sent(address: str, parameter: str, message: Element, key: Secret | None, relay: str = "") -> str:
    """The address that a browser takes the message to."""
    way = zlib.compressobj(wbits=-15)
    packed = way.compress(etree.tostring(message)) + way.flush()
    query = {parameter: base64.b64encode(packed).decode()} | ({"RelayState": relay} if relay else {})
    text = urlencode(query)
    if key is not None:
        text += "&" + urlencode({"SigAlg": _RSA_SHA256})
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(key.reveal(), xmlsec.constants.KeyDataFormatPem, None)
        signature = context.sign_binary(text.encode(), xmlsec.constants.TransformRsaSha256)
        text += "&" + urlencode({"Signature": base64.b64encode(signature).decode()})
    return f"{address}{'&' if '?' in address else '?'}{text}"
