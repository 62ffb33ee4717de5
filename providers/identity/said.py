"""What is read of what an OpenID provider stated, once it is known to be its statement.

e-mail      the ID token, else an access token that is a JWT of the same provider (RFC 9068), else userinfo
groups      texts or one text of the claim that is configured; a claim that is left out is no groups at all
factor      `amr` (RFC 8176) or `acr` among those that are believed, with `auth_time`: without it nobody knows when
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.core import person
from service.core.errors import Invalid
from service.core.identity import LONGEST_SUBJECT, MOST_GROUPS, NotLetIn
from service.core.openid import OpenId
from service.core.person import LONGEST_NAME, Attributes
from service.core.proof import SKEW

Stated = Mapping[str, Any]


def subject(stated: Stated) -> str:
    """Who it is there. Raises NotLetIn."""
    found = stated.get("sub")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_SUBJECT or not found.isprintable():
        raise NotLetIn("the identity provider does not say who you are", "no subject")
    return found


def session(stated: Stated) -> str:
    """What it calls the session; empty where it does not, or by a name that is too long to be kept."""
    found = stated.get("sid")
    return found if isinstance(found, str) and len(found) <= LONGEST_SUBJECT else ""


def email(it: OpenId, stated: Stated) -> tuple[str, bool] | None:
    """The address in its normal form, and does the provider vouch for it? None: it tells none. Raises NotLetIn."""
    found = stated.get(it.email_claim)
    if not isinstance(found, str) or not found:
        return None
    # Some write the truth as a text.
    verified = {"true": True, "false": False}.get(str(stated.get("email_verified")).lower())
    if verified is None and stated.get("email_verified") is not None:
        verified = False
    if verified is False:
        raise NotLetIn("your address is not verified at the identity provider: verify it there", "e-mail not verified")
    try:
        return person.email(found), verified is True or it.vouches
    except Invalid:
        raise NotLetIn("the identity provider tells something that is no e-mail address", "no e-mail address") from None


def name(stated: Stated, otherwise: str) -> str:
    """What the person is called."""
    found = stated.get("name")
    said = found.strip() if isinstance(found, str) and found.isprintable() else ""
    return said[:LONGEST_NAME] or otherwise


def groups(it: OpenId, stated: Stated) -> tuple[str, ...] | None:
    """As they are called there. Raises NotLetIn where they are too many to be told, or taken."""
    if not it.groups_claim:
        return None
    elsewhere = stated.get("_claim_names")  # OpenID Connect Core, 5.6.2: with many groups Entra ID sends these instead
    found = stated.get(it.groups_claim, [])
    listed = [found] if isinstance(found, str) else found
    if isinstance(elsewhere, dict) and it.groups_claim in elsewhere:
        raise NotLetIn("the identity provider does not tell your groups: they are too many", "groups told elsewhere")
    if not isinstance(listed, list) or len(listed) > MOST_GROUPS:
        raise NotLetIn(f"the identity provider tells groups that are no list, or over {MOST_GROUPS}", "groups")
    return tuple(sorted({each for each in listed if isinstance(each, str) and each}))


def factor_at(it: OpenId, stated: Stated, now: datetime) -> datetime | None:
    """When a second factor was shown there, if it was, and that is believed."""
    shown = stated.get("amr")
    kinds = [*(shown if isinstance(shown, list) else ()), stated.get("acr")]
    at = stated.get("auth_time")
    if not set(it.entry.factors) & {each for each in kinds if isinstance(each, str)}:
        return None
    if not isinstance(at, int) or isinstance(at, bool) or not 0 < at <= (now + SKEW).timestamp():
        return None
    return min(datetime.fromtimestamp(at, UTC), now)


def attributes(it: OpenId, stated: Stated) -> Attributes:
    """Those that are taken. One that is no text or list of texts is left out. Raises NotLetIn."""
    found: dict[str, object] = {}
    for attribute, claim in it.entry.attributes.items():
        value = stated.get(claim)
        if isinstance(value, (bool, int)):
            value = str(value).lower()
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            found[attribute] = value
    try:
        return person.attributes(found)
    except Invalid:
        raise NotLetIn("the identity provider tells attributes that are too long to be kept", "attributes") from None
