"""Sign-ins by SAML 2.0 (Web Browser SSO Profile: HTTP-Redirect out, HTTP-POST in): the port `SamlSignIns`.

    Response ──► document() ──► shape ──► python3-saml, strict ──► conditions ──► Asserted
                 `saml_document.py`       signature, schema          below

python3-saml verifies the signature and holds the message against the schema. What it leaves open is done here:

    Destination, Recipient    it takes what begins with ours, or holds it, or is missing; here they are there and equal
    InResponseTo              it takes a Response, or a confirmation, without; here both name the same request
    Audience                  it takes an assertion without any; here each restriction names us
    NotOnOrAfter              it takes a confirmation without; here it has an end, and not a far one
    clocks                    it gives Conditions 300 seconds; here SKEW
    algorithms, ids, shape    it refuses what is known to be bad; here only what is known is let through
    replay                    it remembers nothing: `until` says how long whoever signs people in has to

Then everything is read from the assertion whose signature was verified, and from nowhere else.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import xmlsec
from lxml import etree
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from providers.identity.saml_document import (
    DS,
    SAML,
    SAMLP,
    Element,
    check_encrypted,
    child,
    decoded,
    document,
    leaf,
    refused,
)
from providers.identity.saml_sending import request, sent
from service.core.errors import Invalid
from service.core.identity import LONGEST_SUBJECT, MOST_GROUPS
from service.core.person import LONGEST_NAME, attributes, email
from service.core.saml import Asserted, Begun, Place, Saml, Visit
from service.core.sealed import Randomness
from service.core.secret import Secret

SKEW = timedelta(seconds=60)
"""How far clocks may be apart."""
LONGEST = timedelta(hours=25)
"""How long an assertion may be good for: so long it is remembered."""
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_LONGEST_VALUE = 2000


class SamlBrowser:
    """Sends people to providers, and reads what they bring back. `randomness` makes ids of requests."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    def begun(self, it: Saml, key: Secret | None, place: Place, now: datetime) -> Begun:
        """See `SamlSignIns`."""
        made = request("AuthnRequest", it.sso_url, place, now, self._randomness)
        made.set("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
        made.set("AssertionConsumerServiceURL", place.acs)
        # No Format: which one it is, is for the provider to say; `AllowCreate` lets it make one up.
        etree.SubElement(made, f"{SAMLP}NameIDPolicy", AllowCreate="true")
        return Begun(str(made.get("ID")), sent(it.sso_url, "SAMLRequest", made, key))

    def answers(self, message: str) -> str:
        """See `SamlSignIns`."""
        return str(document(decoded(message)).get("InResponseTo", ""))

    def asserted(self, it: Saml, key: Secret | None, place: Place, message: str, now: datetime) -> Asserted:
        """See `SamlSignIns`."""
        root = document(decoded(message))
        _check_response(root, it, place, now)
        assertion = _verified(root, it, key, place)
        answers = str(root.get("InResponseTo", ""))
        until = _check_assertion(assertion, it, place, answers, now)
        return _read(assertion, it, answers, until, now)


def _check_response(root: Element, it: Saml, place: Place, now: datetime) -> None:
    if root.tag != f"{SAMLP}Response":
        raise refused("no Response")
    if root.get("Destination") != place.acs:
        raise refused("Destination")
    issuer = root.find(f"{SAML}Issuer")
    if issuer is not None and leaf(issuer) != it.entity_id:
        raise refused("Issuer of the Response")
    if moment(root, "IssueInstant") > now + SKEW:
        raise refused("not yet")
    status = child(child(root, f"{SAMLP}Status"), f"{SAMLP}StatusCode")
    if status.get("Value") != SUCCESS:
        raise refused("the provider refused")
    found = list(root.iter(f"{SAML}Assertion", f"{SAML}EncryptedAssertion"))
    if len(found) != 1 or found[0].getparent() is not root:
        raise refused("number of Assertion")
    if len(list(root.iter(f"{SAMLP}Response"))) != 1:
        raise refused("number of Response")
    if found[0].tag == f"{SAML}EncryptedAssertion":
        check_encrypted(found[0])


def _verified(root: Element, it: Saml, key: Secret | None, place: Place) -> Element:
    """The assertion whose signature is by one of the provider's keys."""
    if root.find(f"{SAML}EncryptedAssertion") is not None and key is None:
        raise refused("encrypted, and there is no key")
    try:
        # From the root that was looked at, not from the bytes that came: nobody parses those another way.
        response = OneLogin_Saml2_Response(_settings(it, key, place), base64.b64encode(etree.tostring(root)))
        # Read anew, under the rules for everything that comes: what was encrypted may hold no more than what is not.
        read = document(etree.tostring(response.get_xml_document()))
        assertion = child(read, f"{SAML}Assertion")
        if len(list(read.iter(f"{SAML}Assertion"))) != 1 or len(assertion.findall(f"{DS}Signature")) != 1:
            raise refused("no signed assertion")
        if any(each.getparent() not in (read, assertion) for each in read.iter(f"{DS}Signature")):
            raise refused("place of the signature")
        response.is_valid(_request_data(place), raise_exceptions=True)
    except (OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError) as error:
        raise refused(f"python3-saml {error.code}") from None
    except (xmlsec.Error, etree.LxmlError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise refused(f"python3-saml {type(error).__name__}") from None
    return assertion


def _settings(it: Saml, key: Secret | None, place: Place) -> OneLogin_Saml2_Settings:
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "debug": False,
            "sp": {
                "entityId": place.entity_id,
                "assertionConsumerService": {"url": place.acs},
                "x509cert": it.certificate,
                "privateKey": key.reveal() if key else "",
            },
            "idp": {
                "entityId": it.entity_id,
                "singleSignOnService": {"url": it.sso_url},
                "x509certMulti": {"signing": list(it.certificates)},
            },
            "security": {
                "wantAssertionsSigned": True,
                "wantAttributeStatement": False,
                "rejectDeprecatedAlgorithm": True,
                "requestedAuthnContext": False,
                "allowSingleLabelDomains": True,
                "allowRepeatAttributeName": True,
            },
        }
    )


def _request_data(place: Place) -> dict[str, object]:
    """Where we are, as python3-saml wants to be told."""
    at = urlsplit(place.acs)
    return {"https": "on" if at.scheme == "https" else "off", "http_host": at.netloc, "script_name": at.path}


def _check_assertion(assertion: Element, it: Saml, place: Place, answers: str, now: datetime) -> datetime:
    """Issuer, time, audience, and that it was meant for here and for this request. Until when it could come again."""
    if leaf(child(assertion, f"{SAML}Issuer")) != it.entity_id:
        raise refused("Issuer")
    conditions = child(assertion, f"{SAML}Conditions")
    if conditions.get("NotBefore") and moment(conditions, "NotBefore") > now + SKEW:
        raise refused("not yet")
    if moment(assertion, "IssueInstant") > now + SKEW:
        raise refused("not yet")
    ends = [moment(conditions, "NotOnOrAfter")] if conditions.get("NotOnOrAfter") else []
    restrictions = conditions.findall(f"{SAML}AudienceRestriction")
    named = [[leaf(each) for each in one.findall(f"{SAML}Audience")] for one in restrictions]
    if not named or not all(place.entity_id in one for one in named):
        raise refused("Audience")
    confirmed = list(_confirmed(child(assertion, f"{SAML}Subject"), place, answers))
    if not confirmed:
        raise refused("SubjectConfirmation")
    end = min([max(confirmed), *ends])
    if end + SKEW <= now:
        raise refused("expired")
    if end > now + LONGEST:
        raise refused("good for too long")
    return max([*confirmed, *ends]) + SKEW


def _confirmed(subject: Element, place: Place, answers: str) -> Iterator[datetime]:
    """The ends of confirmations that are for whoever brings it here (SAML 2.0 Profiles, 4.1.4.3)."""
    for each in subject.findall(f"{SAML}SubjectConfirmation"):
        data = each.find(f"{SAML}SubjectConfirmationData")
        if each.get("Method") != BEARER or data is None or data.get("NotBefore") or not data.get("NotOnOrAfter"):
            continue
        if data.get("Recipient") == place.acs and data.get("InResponseTo", "") == answers:
            yield moment(data, "NotOnOrAfter")


def moment(element: Element, name: str) -> datetime:
    """An attribute with a time in UTC (SAML 2.0 Core, 1.3.3). Raises NotLetIn."""
    text = str(element.get(name, ""))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise refused(name) from None
    if not text.endswith("Z"):
        raise refused(name)
    return found.astimezone(UTC)


def _read(assertion: Element, it: Saml, answers: str, until: datetime, now: datetime) -> Asserted:
    said = _attributes(assertion)
    name_id = child(child(assertion, f"{SAML}Subject"), f"{SAML}NameID")
    named, form = leaf(name_id), str(name_id.get("Format", ""))
    subject = _one(said, it.subject_attribute) if it.subject_attribute else named
    if not it.subject_attribute and form == TRANSIENT:
        raise refused("transient NameID, and no subject_attribute")
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable() or not named.isprintable():
        raise refused("subject")
    try:
        address = email(_one(said, it.email_attribute) if it.email_attribute else named)
        told = {here: _some(said, there) for here, there in it.entry.attributes.items() if there in said}
        kept = attributes({here: each[0] if len(each) == 1 else each for here, each in told.items()})
    except Invalid as error:
        raise refused(error.field or "attributes") from None
    name = _one(said, it.name_attribute)[:LONGEST_NAME] if it.name_attribute in said and it.name_attribute else ""
    groups = tuple(said.get(it.groups_attribute, ()))[:MOST_GROUPS] if it.groups_attribute else None
    statement = child(assertion, f"{SAML}AuthnStatement")
    context = statement.find(f"{SAML}AuthnContext/{SAML}AuthnContextClassRef")
    shown = context is not None and leaf(context) in it.entry.factors
    index = str(statement.get("SessionIndex", ""))
    at = min(moment(statement, "AuthnInstant"), now)
    visit = Visit(named, form, index if index.isprintable() else "")
    found = str(assertion.get("ID"))
    return Asserted(found, answers, until, subject, address, name, groups, kept, visit, at if shown else None)


def _attributes(assertion: Element) -> dict[str, list[str]]:
    """By name; one that stands twice has the values of both, as some providers tell groups."""
    said: dict[str, list[str]] = {}
    for each in assertion.findall(f"{SAML}AttributeStatement/{SAML}Attribute"):
        texts = [leaf(value) for value in each.findall(f"{SAML}AttributeValue")]
        if any(len(text) > _LONGEST_VALUE for text in texts):
            raise refused("attributes")
        said.setdefault(str(each.get("Name")), []).extend(text for text in texts if text)
    return said


def _one(said: dict[str, list[str]], name: str) -> str:
    found = _some(said, name)
    if len(found) != 1:
        raise refused("attributes")
    return found[0]


def _some(said: dict[str, list[str]], name: str) -> list[str]:
    return said.get(name, [])
