"""SAML messages as documents: what may be read at all, and what a signature covers.

    text ──► no DTD, no entity, no comment, one root ──► ids that stand once ──► signatures of one shape only

        <X ID="i"> … <ds:Signature> <ds:Reference URI="#i"> enveloped, exclusive C14N </…> </…> </X>

A signature is a direct child of what it signs, refers to that and to nothing else, and uses what the lists below name.
So what is verified is the element around it, as it stands. Every place where an attacker could keep what a signature
covers while another element is read (XSW1 to XSW8; Somorovsky et al., "On Breaking SAML", 2012) is refused by its
shape, before anybody looks at a key. Comments are no part of what is signed, and split texts: they are refused too.
"""

import base64
import binascii
import re
import zlib

from lxml import etree

from service.core.identity import NotLetIn

LARGEST = 256 * 1024
"""Bytes of a message, also after it was inflated."""
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_MORE, _XENC = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2001/04/xmlenc#"
SIGNATURES = frozenset(f"{_MORE}{kind}-sha{bits}" for kind in ("rsa", "ecdsa") for bits in (256, 384, 512))
DIGESTS = frozenset((f"{_XENC}sha256", f"{_MORE}sha384", f"{_XENC}sha512"))
"""No SHA-1 anywhere (RFC 9231 has the names)."""
CIPHERS = frozenset(
    [f"{_XENC}aes{bits}-cbc" for bits in (128, 256)]
    + [f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm" for bits in (128, 256)]
)
WRAPS = frozenset((f"{_XENC}rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"))
"""Not RSA 1.5: whoever can ask often enough would read what is encrypted (Bleichenbacher)."""

_DECLARATION = re.compile(r"\A\s*<\?xml\s[^?>]*\?>")
_CLASSIC = re.compile(r"[A-Za-z0-9+/=\s]*")
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")

Element = etree._Element


def refused(reason: str) -> NotLetIn:
    """What proves nothing. The person learns no more than that; the reason is for the log."""
    return NotLetIn("what the identity provider sent does not prove who you are: begin again at /sign-in", reason)


def decoded(message: str) -> bytes:
    """A form's field, as it is sent by HTTP-POST (base64). Raises NotLetIn."""
    if len(message) > LARGEST * 2 or not _CLASSIC.fullmatch(message):
        raise refused("too large" if len(message) > LARGEST else "no base64")
    try:
        found = base64.b64decode("".join(message.split()), validate=True)
    except binascii.Error:
        raise refused("no base64") from None
    if len(found) > LARGEST:
        raise refused("too large")
    return found


def inflated(message: str) -> bytes:
    """A parameter, as it is sent by HTTP-Redirect (raw DEFLATE, base64). Raises NotLetIn; stops at LARGEST."""
    raw = decoded(message)
    way = zlib.decompressobj(-15)
    try:
        found = way.decompress(raw, LARGEST)
    except zlib.error:
        raise refused("no DEFLATE") from None
    if way.unconsumed_tail or len(found) >= LARGEST:
        raise refused("too large")
    if way.unused_data or not way.eof:
        raise refused("no DEFLATE")
    return found


def document(message: bytes) -> Element:
    """Its root. Raises NotLetIn for everything that a SAML message needs not have and an attacker would."""
    try:
        text = _DECLARATION.sub("", message.decode("utf-8"), count=1)
    except UnicodeDecodeError:
        raise refused("no UTF-8") from None
    # A DTD, an entity, a comment, a CDATA section, a processing instruction: `<` stands for itself nowhere else.
    if "<!" in text or "<?" in text:
        raise refused("markup beyond elements")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, encoding="utf-8"
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise refused("no XML") from None
    checked(root)
    return root


def checked(root: Element) -> None:
    """Elements only, ids that stand once, and signatures of the one shape. Raises NotLetIn."""
    ids: set[str] = set()
    for element in root.iter():
        if not isinstance(element.tag, str):
            raise refused("markup beyond elements")  # within what was encrypted
        for name, value in element.attrib.items():
            if etree.QName(name).localname.lower() == "id":
                if value in ids or not _ID.fullmatch(str(value)):
                    raise refused("ids")
                ids.add(str(value))
        if element.tag == f"{DS}Signature":
            _check_signature(element)


def _check_signature(signature: Element) -> None:
    signed = signature.getparent()
    if signed is None or len(signed.findall(f"{DS}Signature")) != 1 or "ID" not in signed.attrib:
        raise refused("place of the signature")
    [info] = _exactly(signature, "SignedInfo", 1)
    _exactly(signature, "SignatureValue", 1)
    if {child.tag for child in signature} - {f"{DS}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo")}:
        raise refused("parts of the signature")
    [canonical], [method] = _exactly(info, "CanonicalizationMethod", 1), _exactly(info, "SignatureMethod", 1)
    [reference] = _exactly(info, "Reference", 1)
    if reference.get("URI") != f"#{signed.get('ID')}":
        raise refused("reference of the signature")
    [transforms], [digest] = _exactly(reference, "Transforms", 1), _exactly(reference, "DigestMethod", 1)
    if [each.get("Algorithm") for each in transforms] != [ENVELOPED, EXCLUSIVE]:
        raise refused("transforms of the signature")
    if canonical.get("Algorithm") != EXCLUSIVE:
        raise refused("canonical form of the signature")
    if method.get("Algorithm") not in SIGNATURES or digest.get("Algorithm") not in DIGESTS:
        raise refused("algorithm of the signature")


def _exactly(parent: Element, name: str, count: int) -> list[Element]:
    found = parent.findall(f"{DS}{name}")
    if len(found) != count:
        raise refused("parts of the signature")
    return found


def check_encrypted(encrypted: Element) -> None:
    """Before our key is used on it: known ciphers, and everything at hand. Raises NotLetIn."""
    data = [each for each in encrypted if each.tag == f"{XENC}EncryptedData"]
    keys = list(encrypted.iter(f"{XENC}EncryptedKey"))
    if len(data) != 1 or len(keys) != 1 or len(list(encrypted.iter(f"{XENC}EncryptedData"))) != 1:
        raise refused("parts of the encryption")
    elsewhere = [each for each in encrypted.iter(f"{DS}RetrievalMethod") if not each.get("URI", "").startswith("#")]
    if elsewhere or list(encrypted.iter(f"{XENC}CipherReference")):
        raise refused("reference of the encryption")  # nothing is fetched because a message says so
    for element, allowed in ((data[0], CIPHERS), (keys[0], WRAPS)):
        methods = element.findall(f"{XENC}EncryptionMethod")
        if len(methods) != 1 or methods[0].get("Algorithm") not in allowed:
            raise refused("algorithm of the encryption")


def child(parent: Element, tag: str) -> Element:
    """The only one of its kind. Raises NotLetIn."""
    found = parent.findall(tag)
    if len(found) != 1:
        raise refused(f"number of {etree.QName(tag).localname}")
    return found[0]


def leaf(element: Element) -> str:
    """The text of an element that has nothing else in it. Raises NotLetIn."""
    if len(element):
        raise refused(f"text of {etree.QName(element).localname}")
    return (element.text or "").strip()
