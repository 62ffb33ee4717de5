"""A user as SCIM has it, and as Keywright does.

    userName                       who it is at the provider        id, groups, meta   ours; read only
    emails: primary, work, first   the address; where there is none, a userName that is one
    displayName, name              the name                         active             enabled
    title, userType, locale, …     attributes, for rules            externalId         external id

What the provider said is kept as it said it, and answered so.
"""

from typing import Any, cast

from scim2_models import GroupMembership, Meta, Reference

from service.core.directory import KeptUser, WantedUser
from service.core.errors import Invalid
from service.core.person import email
from service.http.scim.provider import EnterpriseUser, Person

_OURS = {"id", "external_id", "meta", "groups"}
"""What is not kept as the provider said it, since Keywright knows it better."""
_ATTRIBUTES = ("title", "userType", "preferredLanguage", "locale", "timezone")
_ENTERPRISE = ("employeeNumber", "costCenter", "organization", "division", "department")


def wanted(said: Any, *, new: bool = False) -> WantedUser:
    """What a provider wants to be of a user; a new one is active unless it says otherwise. Raises Invalid."""
    document = cast(dict[str, object], said.model_dump(exclude=_OURS))
    if new:
        document.setdefault("active", True)
    # A patch may have been applied to it: only what is there says which of it is set.
    organisation = cast(dict[str, str], document.get(str(EnterpriseUser.__schema__)) or {})
    attributes = {name: cast("str | None", document.get(name)) for name in _ATTRIBUTES}
    attributes |= {name: organisation.get(name) for name in _ENTERPRISE}
    return WantedUser(
        said.user_name or "",
        _address(said),
        _name(said),
        said.active is not False,
        said.external_id or "",
        attributes,
        document,
    )


def shown(kept: KeptUser) -> Any:
    """A user as it is answered."""
    user = kept.user
    document = dict(kept.profile.document) or {
        "userName": user.email,
        "displayName": user.name or user.email,
        "active": True,
        "emails": [{"value": user.email, "primary": True}],
    }
    if "active" in document or not user.enabled:
        document["active"] = user.enabled
    if user.external_id:
        document["externalId"] = user.external_id
    made = Person.model_validate(document)
    made.id = user.id
    if kept.groups:
        made.groups = [
            GroupMembership(value=group.id, ref=Reference(f"Groups/{group.id}"), display=group.display, type="direct")
            for group in kept.groups
        ]
    made.meta = Meta(
        resource_type="User", created=user.created_at, last_modified=user.updated_at, version=f'W/"{kept.version}"'
    )
    return made


def _address(said: Any) -> str:
    """The empty text for none. Raises Invalid."""
    emails = [it for it in said.emails or () if it.value]
    first = next((it for it in emails if it.primary), None)
    first = first or next((it for it in emails if it.type == "work"), None) or next(iter(emails), None)
    if first is not None:
        return str(first.value)
    try:
        return email(said.user_name or "")
    except Invalid:
        return ""


def _name(said: Any) -> str:
    parts = said.name
    full = " ".join(filter(None, (parts.given_name, parts.family_name))) if parts else ""
    return str(said.display_name or (parts and parts.formatted) or full or said.user_name or "").strip()
