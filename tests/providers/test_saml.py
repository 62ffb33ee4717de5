"""Sign-ins by SAML: what an honest provider says is read, and everything that an attacker makes of it is refused."""

import secrets
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
import xmlsec
from lxml import etree
from xmlsec import constants

from providers.identity.saml import TRANSIENT, SamlBrowser
from providers.identity.saml_document import LARGEST
from service.core.identity import Entry, NotLetIn
from service.core.saml import Asserted, Place, Saml
from service.core.secret import Secret
from tests.rigs.asserting import (
    EMAIL,
    SAML,
    SAMLP,
    Asserting,
    Element,
    encrypted,
    first,
    form,
    pair,
    stamp,
)

PLACE = Place("https://keywright.test/sign-in/saml/okta")
TIMESYNC = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken"
BROWSER = SamlBrowser(secrets.token_bytes)
IDP = Asserting(PLACE)
Change = Callable[[Element], object]


def read(message: str, it: Saml | None = None, key: Secret | None = None) -> Asserted:
    """As the server does it."""
    return BROWSER.asserted(it or IDP.definition(), key, PLACE, message, datetime.now(UTC))


def refusal(message: str, it: Saml | None = None, key: Secret | None = None) -> str:
    """Why it is refused, in the log's words."""
    with pytest.raises(NotLetIn) as caught:
        read(message, it, key)
    assert "ada" not in caught.value.message
    return caught.value.reason


def put(path: str, name: str, value: str | timedelta | None) -> Change:
    """Set an attribute, to so far from now if that is what is given, or take it away."""

    def change(message: Element) -> None:
        element = first(message, path)
        element.attrib.pop(name, None)
        if value is not None:
            element.set(name, value if isinstance(value, str) else stamp(datetime.now(UTC) + value))

    return change


def write(path: str, text: str) -> Change:
    """Set a text."""

    def change(message: Element) -> None:
        first(message, path).text = text

    return change


def remove(path: str) -> Change:
    """Take an element away."""

    def change(message: Element) -> None:
        element = first(message, path)
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)

    return change


def bare(element: Element) -> Element:
    """A copy without its own signature."""
    copy = deepcopy(element)
    signature = copy.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    if signature is not None:
        copy.remove(signature)
    return copy


# -- what an honest provider says


def test_what_is_signed_is_read() -> None:
    entry = Entry(attributes={"department": "ou"}, factors=(TIMESYNC,))
    said = {"email": ["Ada@Shop.test"], "name": ["Ada L."], "groups": ["staff", "dba"], "ou": ["data"]}
    found = read(IDP.form("_r1", said=said, context=TIMESYNC), IDP.definition(entry=entry))
    assert (found.subject, found.email, found.name) == ("ada", "ada@shop.test", "Ada L.")
    assert found.groups == ("staff", "dba")
    assert found.attributes == {"department": "data"}
    assert found.answers == "_r1"
    assert found.factor_at is not None
    assert found.factor_at <= datetime.now(UTC)
    assert found.visit.index == "_session"
    assert found.until > datetime.now(UTC) + timedelta(minutes=5)


def test_groups_may_stand_in_several_attributes_of_one_name() -> None:
    def split(message: Element) -> None:
        groups = first(message, "saml:Attribute[@Name='groups']")
        other = deepcopy(groups)
        other.remove(other[0])
        groups.remove(groups[1])
        groups.addnext(other)

    assert read(IDP.form(change=split)).groups == ("staff", "dba")


def test_an_address_may_be_the_name_id() -> None:
    it = IDP.definition(email_attribute="")
    assert read(IDP.form(name_id="ada@shop.test", name_id_format=EMAIL), it).email == "ada@shop.test"


def test_a_second_factor_is_believed_only_where_the_definition_names_its_class() -> None:
    assert read(IDP.form(context=TIMESYNC)).factor_at is None
    assert read(IDP.form(), IDP.definition(entry=Entry(factors=(TIMESYNC,)))).factor_at is None


def test_a_provider_that_turns_its_key_has_several_certificates() -> None:
    it = IDP.definition(pair("older").certificate, pair("provider").certificate)
    assert read(IDP.form(), it).subject == "ada"
    assert refusal(IDP.form(), IDP.definition(pair("older").certificate)).startswith("python3-saml")


def test_a_response_may_be_signed_beside_its_assertion() -> None:
    message = IDP.signed(IDP.signed(IDP.response()), ".")
    assert read(form(message)).subject == "ada"


def test_keys_of_elliptic_curves_sign_too() -> None:
    curve = pair("curve", curve=True)
    message = IDP.signed(IDP.response(), by=curve, method=constants.TransformEcdsaSha256)
    assert read(form(message), IDP.definition(curve.certificate)).subject == "ada"


@pytest.mark.parametrize(
    ("cipher", "bits"),
    [
        (constants.TransformAes128Cbc, 128),
        (constants.TransformAes256Cbc, 256),
        (constants.TransformAes128Gcm, 128),
        (constants.TransformAes256Gcm, 256),
    ],
)
def test_an_assertion_may_be_encrypted_for_our_key(cipher: object, bits: int) -> None:
    ours = pair("ours")
    message = form(encrypted(IDP.signed(IDP.response()), ours.certificate, cipher=cipher, bits=bits))
    assert read(message, IDP.definition(certificate=ours.certificate), Secret(ours.key)).subject == "ada"
    assert refusal(message) == "encrypted, and there is no key"


# -- signatures


def test_an_unsigned_response_is_refused() -> None:
    assert refusal(form(IDP.response())) == "no signed assertion"


def test_a_signed_response_alone_is_not_enough() -> None:
    assert refusal(form(IDP.signed(IDP.response(), "."))) == "no signed assertion"


def test_a_signed_response_around_an_assertion_of_somebody_else_is_refused() -> None:
    message = IDP.signed(IDP.signed(IDP.response(), by=pair("stranger")), ".")
    assert refusal(form(message)).startswith("python3-saml")


def test_a_wrong_signature_of_the_response_is_refused_though_the_assertion_is_right() -> None:
    message = IDP.signed(IDP.signed(IDP.response()), ".", by=pair("stranger"))
    assert refusal(form(message)).startswith("python3-saml")


def test_the_key_of_a_stranger_is_refused() -> None:
    assert refusal(form(IDP.signed(IDP.response(), by=pair("stranger")))).startswith("python3-saml")


def test_the_key_of_another_provider_of_ours_is_refused() -> None:
    other = Asserting(PLACE, pair=pair("other"))
    assert read(other.form(), other.definition()).subject == "ada"
    assert refusal(other.form(), IDP.definition()).startswith("python3-saml")


@pytest.mark.parametrize(
    "changed",
    [
        write("saml:NameID", "root"),
        write("saml:Attribute[@Name='email']/saml:AttributeValue", "root@shop.test"),
        write("ds:DigestValue", "AAAA"),
        write("ds:SignatureValue", "AAAA"),
        put("saml:AuthnStatement", "SessionIndex", "another"),
    ],
)
def test_what_was_changed_after_it_was_signed_is_refused(changed: Change) -> None:
    message = IDP.signed(IDP.response())
    changed(message)
    assert refusal(form(message)).startswith("python3-saml")


@pytest.mark.parametrize(
    "how",
    [
        {"method": constants.TransformRsaSha1},
        {"digest": constants.TransformSha1},
        {"method": constants.TransformRsaSha1, "digest": constants.TransformSha1},
        {"canonical": constants.TransformExclC14NWithComments},
        {"canonical": constants.TransformInclC14N},
        {"transform": constants.TransformExclC14NWithComments},
        {"transform": constants.TransformInclC14N},
        {"uri": ""},
    ],
    ids=str,
)
def test_weak_or_unusual_signatures_are_refused(how: dict[str, object]) -> None:
    message = IDP.signed(IDP.response(), **how)  # type: ignore[arg-type]
    assert refusal(form(message)).endswith("of the signature")


def test_a_key_that_anybody_knows_signs_nothing() -> None:
    """HMAC with the certificate's text for a key: the classic confusion of algorithms."""
    message = IDP.response()
    assertion = first(message, "saml:Assertion")
    signature = xmlsec.template.create(assertion, constants.TransformExclC14N, constants.TransformHmacSha256, ns="ds")
    first(assertion, "saml:Issuer").addnext(signature)
    reference = xmlsec.template.add_reference(signature, constants.TransformSha256, uri=f"#{assertion.get('ID')}")
    xmlsec.template.add_transform(reference, constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, constants.TransformExclC14N)
    xmlsec.tree.add_ids(message, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_binary_data(constants.KeyDataHmac, IDP.pair.certificate.encode())
    context.sign(signature)
    assert refusal(form(message)) == "algorithm of the signature"


def test_short_keys_are_no_keys() -> None:
    with pytest.raises(Exception, match="2048 bits"):
        IDP.definition(pair("short", bits=1024).certificate)


# -- signature wrapping


def evil(element: Element) -> Element:
    """What an attacker makes of what was signed for somebody."""
    copy = bare(element)
    copy.set("ID", "_evil")
    for name in copy.iter(f"{{{SAML}}}NameID"):
        name.text = "root"
    return copy


def signature_of(element: Element) -> Element:
    found = element.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert found is not None
    return found


def xsw1(message: Element) -> Element:
    """A forged response; the signed one inside of its signature."""
    signature, true, root = signature_of(message), bare(message), evil(message)
    root.insert(1, signature)
    signature.append(true)
    return root


def xsw2(message: Element) -> Element:
    """A forged response; the signed one before its signature."""
    signature, true, root = signature_of(message), bare(message), evil(message)
    root.insert(1, signature)
    signature.addprevious(true)
    return root


def xsw3(message: Element) -> Element:
    """A forged assertion before the signed one."""
    true = first(message, "saml:Assertion")
    true.addprevious(evil(true))
    return message


def xsw4(message: Element) -> Element:
    """A forged assertion around the signed one."""
    true = first(message, "saml:Assertion")
    forged = evil(true)
    true.addprevious(forged)
    forged.append(true)
    return message


def xsw5(message: Element) -> Element:
    """A forged assertion has the signature; the signed one stands behind it."""
    true = first(message, "saml:Assertion")
    forged = evil(true)
    forged.insert(1, signature_of(true))
    message.append(bare(true))
    message.replace(true, forged)
    return message


def xsw6(message: Element) -> Element:
    """A forged assertion has the signature, and that has the signed one."""
    true = first(message, "saml:Assertion")
    forged, signature, copy = evil(true), signature_of(true), bare(true)
    forged.insert(1, signature)
    signature.append(copy)
    message.replace(true, forged)
    return message


def xsw7(message: Element) -> Element:
    """A forged assertion among extensions."""
    true = first(message, "saml:Assertion")
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(evil(true))
    first(message, "saml:Issuer").addnext(extensions)
    return message


def xsw8(message: Element) -> Element:
    """A forged assertion has the signature, and that has an object with the signed one."""
    true = first(message, "saml:Assertion")
    forged, signature, copy = evil(true), signature_of(true), bare(true)
    forged.insert(1, signature)
    etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(copy)
    message.replace(true, forged)
    return message


@pytest.mark.parametrize("wrap", [xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8], ids=lambda it: it.__name__)
def test_wrapped_signatures_are_refused(wrap: Callable[[Element], Element]) -> None:
    message = IDP.signed(IDP.response())
    if wrap in (xsw1, xsw2):
        message = IDP.signed(message, ".")
    refusal(form(wrap(message)))


@pytest.mark.parametrize("wrap", [xsw3, xsw4, xsw5, xsw6, xsw7, xsw8], ids=lambda it: it.__name__)
def test_a_forged_assertion_that_keeps_the_id_is_refused_too(wrap: Callable[[Element], Element]) -> None:
    message = IDP.signed(IDP.response())
    true_id = first(message, "saml:Assertion").get("ID")
    wrapped = wrap(message)
    for each in wrapped.iter(f"{{{SAML}}}Assertion"):
        if each.get("ID") == "_evil":
            each.set("ID", str(true_id))
    refusal(form(wrapped))


def test_wrapped_signatures_are_refused_where_the_response_is_signed_by_a_stranger_around_it() -> None:
    message = IDP.signed(xsw7(IDP.signed(IDP.response())), ".", by=pair("stranger"))
    refusal(form(message))


@pytest.mark.parametrize("name", ["ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id"])
def test_ids_that_stand_twice_are_refused(name: str) -> None:
    message = IDP.signed(IDP.response())
    first(message, "samlp:Status").set(name, str(first(message, "saml:Assertion").get("ID")))
    assert refusal(form(message)) == "ids"


def test_two_assertions_are_refused_though_both_are_signed() -> None:
    message = IDP.response()
    message.append(first(IDP.response(), "saml:Assertion"))
    for assertion in message.findall(f"{{{SAML}}}Assertion"):
        whole = deepcopy(message)
        assert assertion.get("ID") in etree.tostring(whole).decode()
    assert refusal(form(IDP.signed(message))) == "number of Assertion"


def test_two_signatures_of_one_element_are_refused() -> None:
    message = IDP.signed(IDP.signed(IDP.response()), by=pair("stranger"))
    assert refusal(form(message)) == "place of the signature"


def test_a_signature_has_room_for_nothing_else() -> None:
    """An object in it is not signed, and the schema allows it: a place to keep what was signed once."""
    message = IDP.signed(IDP.response())
    etree.SubElement(first(message, "ds:Signature"), "{http://www.w3.org/2000/09/xmldsig#}Object").text = "x"
    assert refusal(form(message)) == "parts of the signature"


def test_a_second_reference_is_refused() -> None:
    message = IDP.signed(IDP.response())
    reference = first(message, "ds:Reference")
    reference.addnext(deepcopy(reference))
    assert refusal(form(message)) == "parts of the signature"


def test_transforms_that_compute_are_refused() -> None:
    message = IDP.signed(IDP.response())
    transforms = first(message, "ds:Transforms")
    etree.SubElement(
        transforms,
        "{http://www.w3.org/2000/09/xmldsig#}Transform",
        Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116",
    )
    assert refusal(form(message)) == "transforms of the signature"


# -- conditions: each is signed by the provider, and still not for us


CONFIRMATION = "saml:SubjectConfirmationData"
LATER, EARLIER = timedelta(hours=1), -timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (write("saml:Audience", "https://other.test"), "python3-saml"),
        (write("saml:Audience", PLACE.entity_id + "x"), "python3-saml"),
        (remove("saml:AudienceRestriction"), "Audience"),
        (put(CONFIRMATION, "Recipient", "https://other.test/acs"), "python3-saml"),
        (put(CONFIRMATION, "Recipient", f"https://other.test/?{PLACE.acs}"), "SubjectConfirmation"),
        (put(CONFIRMATION, "Recipient", None), "SubjectConfirmation"),
        (put(CONFIRMATION, "InResponseTo", "_another"), "python3-saml"),
        (put(CONFIRMATION, "InResponseTo", None), "SubjectConfirmation"),
        (put(CONFIRMATION, "NotOnOrAfter", None), "SubjectConfirmation"),
        (put(CONFIRMATION, "NotBefore", EARLIER), "SubjectConfirmation"),
        (
            put("saml:SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
            "python3-saml",
        ),
        (remove("saml:SubjectConfirmation"), "python3-saml"),
        (put(".", "Destination", "https://other.test/acs"), "Destination"),
        (put(".", "Destination", f"{PLACE.acs}/more"), "Destination"),
        (put(".", "Destination", None), "Destination"),
        (write("saml:Assertion/saml:Issuer", "https://other.test"), "python3-saml"),
        (write("saml:Issuer", "https://other.test"), "Issuer of the Response"),
        (put(CONFIRMATION, "NotOnOrAfter", EARLIER), "python3-saml"),
        (put("saml:Conditions", "NotOnOrAfter", EARLIER), "python3-saml"),
        (put("saml:Conditions", "NotBefore", LATER), "python3-saml"),
        (put("saml:Conditions", "NotBefore", timedelta(seconds=200)), "not yet"),
        (put("saml:Conditions", "NotOnOrAfter", -timedelta(seconds=200)), "expired"),
        (put("saml:Assertion", "IssueInstant", LATER), "not yet"),
        (put(".", "IssueInstant", LATER), "not yet"),
        (put(CONFIRMATION, "NotOnOrAfter", "tomorrow"), "python3-saml"),
        (put("saml:AuthnStatement", "SessionNotOnOrAfter", EARLIER), "python3-saml"),
        (put("samlp:StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"), "the provider refused"),
        (remove("saml:Conditions"), "python3-saml"),
        (remove("saml:AuthnStatement"), "python3-saml"),
        (put(".", "Version", "1.1"), "python3-saml"),
    ],
)
def test_what_is_not_for_us_or_not_now_is_refused(change: Change, reason: str) -> None:
    found = refusal(IDP.form(change=change))
    assert found.startswith(reason) if reason == "python3-saml" else found == reason


def test_an_assertion_that_is_good_for_ever_is_refused() -> None:
    assert refusal(IDP.form(lasts=timedelta(days=400))) == "good for too long"


def test_nothing_is_answered_where_nothing_was_asked() -> None:
    """Whether that is let in is for the flow to say; it is told apart."""
    assert read(IDP.form("")).answers == ""
    assert refusal(IDP.form("", change=put(CONFIRMATION, "InResponseTo", "_another"))) == "SubjectConfirmation"
    assert refusal(IDP.form("_another", change=put(CONFIRMATION, "InResponseTo", None))) == "SubjectConfirmation"


# -- who it is


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"said": {"name": ["Ada"]}}, "attributes"),
        ({"said": {"email": ["ada@shop.test", "root@shop.test"]}}, "attributes"),
        ({"said": {"email": ["ada"]}}, "email"),
        ({"said": {"email": ["ada@shop.test x"]}}, "email"),
        ({"name_id": ""}, "python3-saml"),
        ({"name_id": "a" * 300}, "subject"),
        ({"name_id_format": TRANSIENT}, "transient NameID, and no subject_attribute"),
    ],
)
def test_who_it_is_must_be_plain(given: dict[str, object], reason: str) -> None:
    found = refusal(IDP.form(**given))  # type: ignore[arg-type]
    assert found == reason or (reason == "python3-saml" and found == "subject")


def test_a_transient_name_is_no_harm_where_an_attribute_says_who_it_is() -> None:
    it = IDP.definition(subject_attribute="uid")
    said = {"uid": ["u1"], "email": ["ada@shop.test"]}
    assert read(IDP.form(name_id_format=TRANSIENT, name_id="_x", said=said), it).subject == "u1"


def test_attributes_are_read_from_the_assertion_only() -> None:
    """Beside it, unsigned, the schema allows more than one would think."""
    message = IDP.signed(IDP.response(said={"email": ["ada@shop.test"]}))
    statement = deepcopy(first(IDP.response(), "saml:AttributeStatement"))
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(statement)
    first(message, "saml:Issuer").addnext(extensions)
    assert read(form(message)).groups == ()


# -- documents


@pytest.mark.parametrize("where", ["ada@shop.test", "ada<", ">staff<"])
def test_comments_are_refused_wherever_they_cut_a_text(where: str) -> None:
    """The signature stays right: comments are no part of what is signed. Many a reader stops at them."""
    text = etree.tostring(
        IDP.signed(IDP.response(name_id="ada", said={"email": ["ada@shop.test"], "groups": ["staff"]}))
    )
    cut = where.encode()
    assert cut in text
    assert refusal(form(text.replace(cut, cut[:2] + b"<!---->" + cut[2:], 1))) == "markup beyond elements"


def test_comments_within_what_is_encrypted_are_refused() -> None:
    ours = pair("ours")
    message = IDP.signed(IDP.response())
    name = first(message, "saml:NameID")
    name.text = "a"
    name.append(etree.Comment("x"))
    name[0].tail = "da"
    sealed = form(encrypted(message, ours.certificate))
    reason = refusal(sealed, IDP.definition(certificate=ours.certificate), Secret(ours.key))
    assert reason == "markup beyond elements"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:1/">]>',
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/"> %a;]>',
        '<?xml-stylesheet href="http://127.0.0.1:1/"?>',
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE x>',
    ],
)
def test_declarations_and_instructions_are_refused(head: str) -> None:
    assert refusal(form(head.encode() + etree.tostring(IDP.signed(IDP.response())))) == "markup beyond elements"


def test_an_xml_declaration_is_no_harm() -> None:
    text = etree.tostring(IDP.signed(IDP.response()), xml_declaration=True, encoding="utf-8")
    assert read(form(text)).subject == "ada"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "utf-32"])
def test_other_encodings_hide_nothing(encoding: str) -> None:
    text = '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + etree.tostring(IDP.response()).decode()
    assert refusal(form(text.encode(encoding))) in ("no UTF-8", "markup beyond elements", "no XML")


def test_a_declared_encoding_does_not_count() -> None:
    text = b'<?xml version="1.0" encoding="UTF-7"?>' + etree.tostring(IDP.signed(IDP.response()))
    assert read(form(text)).subject == "ada"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "no XML"),
        ("%%%", "no base64"),
        ("QQ=", "no base64"),
        (form(b"x"), "no XML"),
        (form(b"<a/>"), "no Response"),
        (form(b"<a>" * 300 + b"</a>" * 300), "no XML"),
        (form(b"<a>" + b"x" * LARGEST + b"</a>"), "too large"),
        ("A" * (LARGEST * 3), "too large"),
        (form(b"\xff<a/>"), "no UTF-8"),
    ],
)
def test_what_is_no_message_is_refused(message: str, reason: str) -> None:
    assert refusal(message) == reason


# -- encryption


def test_an_encrypted_assertion_must_be_signed_too() -> None:
    ours = pair("ours")
    message = form(encrypted(IDP.response(), ours.certificate))
    it = IDP.definition(certificate=ours.certificate)
    assert refusal(message, it, Secret(ours.key)) == "no signed assertion"
    stranger = form(encrypted(IDP.signed(IDP.response(), by=pair("stranger")), ours.certificate))
    assert refusal(stranger, it, Secret(ours.key)).startswith("python3-saml")


def test_an_assertion_that_is_encrypted_for_another_key_is_refused() -> None:
    ours, other = pair("ours"), pair("other")
    message = form(encrypted(IDP.signed(IDP.response()), other.certificate))
    assert refusal(message, IDP.definition(certificate=ours.certificate), Secret(ours.key)).startswith("python3-saml")


def test_keys_wrapped_by_rsa_15_are_refused() -> None:
    """Before our key is used: else its answers would decrypt for strangers (Bleichenbacher)."""
    ours = pair("ours")
    message = encrypted(IDP.signed(IDP.response()), ours.certificate)
    method = message.find(
        ".//{http://www.w3.org/2001/04/xmlenc#}EncryptedKey/{http://www.w3.org/2001/04/xmlenc#}EncryptionMethod"
    )
    assert method is not None
    method.set("Algorithm", "http://www.w3.org/2001/04/xmlenc#rsa-1_5")
    it = IDP.definition(certificate=ours.certificate)
    assert refusal(form(message), it, Secret(ours.key)) == "algorithm of the encryption"


def test_nothing_is_fetched_that_a_message_names() -> None:
    ours = pair("ours")
    message = encrypted(IDP.signed(IDP.response()), ours.certificate)
    value = message.find(".//{http://www.w3.org/2001/04/xmlenc#}CipherValue")
    assert value is not None
    value.tag = "{http://www.w3.org/2001/04/xmlenc#}CipherReference"
    value.set("URI", "http://127.0.0.1:1/")
    it = IDP.definition(certificate=ours.certificate)
    assert refusal(form(message), it, Secret(ours.key)) == "reference of the encryption"


def test_a_second_assertion_within_what_is_encrypted_is_refused() -> None:
    ours = pair("ours")
    message = IDP.signed(IDP.response())
    forged = evil(first(message, "saml:Assertion"))
    advice = etree.Element(f"{{{SAML}}}Advice")
    advice.append(first(message, "saml:Assertion"))
    first(forged, "saml:Conditions").addnext(advice)
    message.append(forged)
    refusal(form(encrypted(message, ours.certificate)), IDP.definition(certificate=ours.certificate), Secret(ours.key))
