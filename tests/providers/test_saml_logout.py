"""Sign-outs by SAML: who leaves is read from what the provider signed, and from nothing else."""

import base64
import secrets
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
import xmlsec
from lxml import etree
from xmlsec import constants

from providers.identity.saml_logout import SamlLogout
from service.core.identity import NotLetIn
from service.core.saml import Left, Place, Visit
from service.core.secret import Secret
from tests.rigs.asserting import SAML, SAMLP, Asserting, Element, deflated, first, pair, stamp

PLACE = Place("https://keywright.test/sign-in/saml/okta")
IDP = Asserting(PLACE)
LOGOUT = SamlLogout(secrets.token_bytes)
NOW = datetime.now(UTC)


def left(query: str) -> Left:
    return LOGOUT.left(IDP.definition(), PLACE, query, datetime.now(UTC))


def refusal(query: str) -> str:
    with pytest.raises(NotLetIn) as caught:
        left(query)
    return caught.value.reason


def asked() -> Element:
    return IDP.logout(PLACE.slo)


def test_who_leaves_is_read() -> None:
    found = left(IDP.redirected(IDP.logout(PLACE.slo, "ada", ["_1", "_2"]), relay="back"))
    assert (found.name_id, found.indexes) == ("ada", ("_1", "_2"))
    assert found.means(Visit("ada", "", "_2"))
    assert not found.means(Visit("ada", "", "_3"))
    assert not found.means(Visit("eve", "", "_1"))
    assert left(IDP.redirected(IDP.logout(PLACE.slo, "ada", []))).means(Visit("ada", "", "_3"))


def test_the_signature_is_over_what_was_sent_octet_by_octet() -> None:
    """Some write escapes in small letters: written anew, the signature would not fit any more."""
    request = deflated(etree.tostring(asked()))
    small = quote_plus(request).replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")
    algorithm = quote_plus("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512")
    text = f"SAMLRequest={small}&RelayState=&SigAlg={algorithm}"
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(IDP.pair.key, constants.KeyDataFormatPem, None)
    signature = base64.b64encode(context.sign_binary(text.encode(), constants.TransformRsaSha512)).decode()
    assert left(f"{text}&Signature={quote_plus(signature)}").name_id == "ada"


def test_what_is_not_signed_by_the_provider_is_refused() -> None:
    assert refusal(f"SAMLRequest={quote_plus(deflated(etree.tostring(asked())))}") == "no signature"
    assert refusal(IDP.redirected(asked(), by=pair("stranger"))) == "signature"
    query = IDP.redirected(asked())
    other = quote_plus(deflated(etree.tostring(IDP.logout(PLACE.slo, "eve"))))
    parts = dict(part.split("=", 1) for part in query.split("&")) | {"SAMLRequest": other}
    assert refusal("&".join(f"{name}={value}" for name, value in parts.items())) == "signature"


def test_a_parameter_twice_is_refused() -> None:
    """Of two, one would be verified and the other read."""
    other = quote_plus(deflated(etree.tostring(IDP.logout(PLACE.slo, "eve"))))
    assert refusal(f"{IDP.redirected(asked())}&SAMLRequest={other}") == "parameters"


@pytest.mark.parametrize(
    ("algorithm", "method"),
    [
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", constants.TransformRsaSha1),
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", constants.TransformRsaSha256),
        ("anything", constants.TransformRsaSha256),
        ("", constants.TransformRsaSha256),
    ],
)
def test_weak_and_unknown_algorithms_are_refused(algorithm: str, method: object) -> None:
    assert refusal(IDP.redirected(asked(), algorithm=algorithm, method=method)) == "algorithm of the signature"


def changed(path: str, name: str, value: str | timedelta | None) -> Element:
    message = asked()
    value = stamp(datetime.now(UTC) + value) if isinstance(value, timedelta) else value
    element = first(message, path)
    if name == "text":
        element.text = value
    else:
        element.attrib.pop(name, None)
        if value is not None:
            element.set(name, value)
    return message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((".", "Destination", "https://other.test/"), "Destination"),
        ((".", "Destination", None), "Destination"),
        (("saml:Issuer", "text", "https://other.test"), "Issuer"),
        ((".", "NotOnOrAfter", -timedelta(minutes=5)), "expired"),
        ((".", "NotOnOrAfter", timedelta(days=40)), "good for too long"),
        ((".", "IssueInstant", timedelta(minutes=5)), "not yet"),
        ((".", "IssueInstant", "now"), "IssueInstant"),
        ((".", "Version", "1.1"), "no LogoutRequest"),
        ((".", "ID", None), "no LogoutRequest"),
    ],
)
def test_what_is_not_for_us_or_not_now_is_refused(change: tuple[str, str, str], reason: str) -> None:
    assert refusal(IDP.redirected(changed(*change))) == reason


def test_a_response_is_no_request() -> None:
    assert refusal(IDP.redirected(IDP.response())) == "no LogoutRequest"


def test_one_without_an_end_is_good_for_some_minutes() -> None:
    message = changed(".", "NotOnOrAfter", None)
    assert left(IDP.redirected(message)).until < datetime.now(UTC) + timedelta(minutes=10)
    first(message, ".").set("IssueInstant", stamp(datetime.now(UTC) - timedelta(minutes=20)))
    assert refusal(IDP.redirected(message)) == "expired"


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (deflated(b"<a>" + b" " * 20_000_000), "too large"),
        ("AAAA", "no DEFLATE"),
        ("%%", "no base64"),
        (deflated(b"<!DOCTYPE a []><a/>"), "markup beyond elements"),
        ("", "no DEFLATE"),
    ],
)
def test_bombs_and_scraps_are_refused(packed: str, reason: str) -> None:
    """Before any of it is verified, and without its being unpacked to the end."""
    assert refusal(f"SAMLRequest={quote_plus(packed)}&SigAlg=x&Signature=x") == reason


def test_a_bomb_takes_no_more_room_than_a_message_may() -> None:
    bomb = deflated(b" " * 50_000_000)
    tracemalloc.start()
    try:
        refusal(f"SAMLRequest={quote_plus(bomb)}&SigAlg=x&Signature=x")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_what_we_say_is_signed_and_names_the_session() -> None:
    ours = pair("ours")
    it = IDP.definition(slo_url="https://idp.test/slo?tenant=1")
    begun = LOGOUT.leaving(it, Secret(ours.key), PLACE, Visit("ada", "urn:x", "_s"), NOW)
    query = urlsplit(begun.address).query
    assert query.startswith("tenant=1&SAMLRequest=")
    root = unpacked(query, "SAMLRequest")
    assert root.get("ID") == begun.request_id
    assert root.findtext(f"{{{SAMLP}}}SessionIndex") == "_s"
    assert root.findtext(f"{{{SAML}}}NameID") == "ada"
    signed, _, signature = query.partition("tenant=1&")[2].partition("&Signature=")
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(ours.certificate, constants.KeyDataFormatCertPem, None)
    raw = base64.b64decode(parse_qs(f"s={signature}")["s"][0])
    context.verify_binary(signed.encode(), constants.TransformRsaSha256, raw)
    gone = urlsplit(LOGOUT.gone(it, None, PLACE, "_asked", "relay & more", NOW)).query
    assert unpacked(gone, "SAMLResponse").get("InResponseTo") == "_asked"
    assert parse_qs(gone)["RelayState"] == ["relay & more"]


def unpacked(query: str, name: str) -> Element:
    """The message in a query."""
    return etree.fromstring(zlib.decompress(base64.b64decode(parse_qs(query)[name][0]), -15))
