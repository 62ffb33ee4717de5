"""What there is at the SCIM door, and what is tolerated there.

The schemas of RFC 7643 with the attributes that Keywright has a use for. What a provider says beyond them (passwords,
telephone numbers, photographs) is passed over: it is neither kept nor answered.
"""

from typing import Annotated, Any, Union

from pydantic import Field
from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    Email,
    ETag,
    Extension,
    Filter,
    GroupMembership,
    Mutability,
    Name,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from service.http.envelope import LARGEST_BODY

MOST_RESULTS = 200
"""Resources on a page, and operations in one bulk request."""


class User(Resource[AnyExtension]):
    """A user, as RFC 7643, section 4.1 has it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """Who it is at the identity provider."""
    name: Name | None = None
    """The parts of the name."""
    display_name: str | None = None
    """As it is shown to others."""
    title: str | None = None
    """Such as "Vice President"."""
    user_type: str | None = None
    """Such as "Contractor"."""
    preferred_language: str | None = None
    """Such as "en"."""
    locale: str | None = None
    """Such as "en-GB"."""
    timezone: str | None = None
    """Such as "Europe/London"."""
    active: bool | None = None
    """May it be used?"""
    emails: list[Email] | None = None
    """Addresses. The primary one is what the user signs in by."""
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None
    """Provisioned groups that it was put into."""


class EnterpriseUser(Extension):
    """What an organisation says of a user, as RFC 7643, section 4.3 has it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    """Given by the organisation."""
    cost_center: str | None = None
    """Its cost center."""
    organization: str | None = None
    """Its organisation."""
    division: str | None = None
    """Its division."""
    department: str | None = None
    """Its department."""


class GroupMember(ComplexAttribute):
    """A user or a group in a group. What it is called is not said: it would be a second place to say it."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    """Its id."""
    ref: Annotated[Reference[Union["User[Any]", "Group"]] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """Its address."""
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User", "Group"])
    """What it is."""


class Group(Resource[Any]):
    """A group, as RFC 7643, section 4.2 has it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = None
    """What it is called. No two have the same name."""
    members: list[GroupMember] | None = None
    """Who was put into it by SCIM."""


Person = User[EnterpriseUser]
"""A user with everything that can be said of it."""

POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    # As Microsoft Entra sends them: members to be removed as a value, and addresses that are not there yet by a filter.
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
PROVIDER = ScimProvider(
    models=[User, EnterpriseUser, Group],
    resource_types=[ResourceType.from_resource(Person), ResourceType.from_resource(Group)],
    config=ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=MOST_RESULTS, max_payload_size=LARGEST_BODY),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token of Keywright that owns people.",
                spec_uri="https://www.rfc-editor.org/info/rfc6750",  # type: ignore[arg-type]
                primary=True,
            )
        ],
    ),
    policy=POLICY,
)
