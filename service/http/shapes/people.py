"""Users and groups on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.core.names import LONGEST, SEGMENT
from service.core.person import LONGEST_ATTRIBUTE, LONGEST_NAME, MOST_ATTRIBUTES
from service.http.shapes.tokens import Grant
from service.http.shapes.words import Answer, Email, Folder, GroupName, Request

ShownName = Annotated[
    str, Field(max_length=LONGEST_NAME, pattern=r"^([^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)?$")
]
Attribute = Annotated[str, Field(max_length=LONGEST_ATTRIBUTE)]
Attributes = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")],
        Attribute | Annotated[list[Attribute], Field(max_length=100)],
    ],
    Field(max_length=MOST_ATTRIBUTES, description="What rules can ask about: each is a text, or several."),
]
Landing = Annotated[str, Field(max_length=LONGEST, pattern=f"^({SEGMENT})?$")]


class NewUser(Request):
    """A person's account. It holds nothing and cannot sign in yet."""

    email: Email
    name: ShownName = ""
    attributes: Attributes = Field(default_factory=dict)
    emergency: bool = Field(False, description="May sign in with its password even where that is switched off.")


class ChangedUser(Request):
    """What is to be changed of a user; what is left out stays."""

    email: Email | None = None
    name: ShownName | None = None
    attributes: Attributes | None = None
    enabled: bool | None = Field(None, description="false: its sessions and tokens end at once.")
    emergency: bool | None = None


class User(Answer):
    """A person's account."""

    id: str
    email: str
    name: str
    enabled: bool
    type: str = Field(description="`local`, or `provisioned`: an identity provider keeps it.")
    external_id: str | None
    attributes: dict[str, str | list[str]]
    emergency: bool
    groups: list[str] = Field(description="All groups that it is in, directly or by groups in groups.")
    grants: list[Grant] = Field(description="Its own; those of its groups are with the groups.")
    has_password: bool
    password_changed_at: datetime | None
    password_ends_at: datetime | None
    must_change_password: bool
    factors: list[str] = Field(description="The kinds of its second factors.")
    last_login_at: datetime | None
    last_active_at: datetime | None
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime


class NewGroup(Request):
    """A group. It is empty and holds nothing."""

    name: GroupName
    landing_environment: Landing | None = Field(None, description="Where members land who may not edit there.")
    landing_folder: Folder | None = None
    second_factor: bool = Field(False, description="Do its members need one, whatever the settings say?")


class ChangedGroup(Request):
    """What is to be changed of a group; what is left out stays."""

    name: GroupName | None = None
    landing_environment: Landing | None = Field(None, description="Empty: none.")
    landing_folder: Folder | None = None
    second_factor: bool | None = None


class Group(Answer):
    """A group."""

    id: str
    name: str
    provisioned: bool = Field(description="An identity provider keeps its members.")
    external_id: str | None
    landing_environment: str | None
    landing_folder: str
    second_factor: bool
    groups: list[str] = Field(description="Those that it is in directly.")
    grants: list[Grant] = Field(description="Its own, which every member holds.")
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime


class Member(Answer):
    """Who is in a group directly; once for each source."""

    id: str
    kind: str = Field(description="`user` or `group`")
    name: str = Field(description="The address of a user, the name of a group.")
    source: str = Field(description="`hand`, `scim`, `oidc:…` or `saml:…`: who put it there, and takes it out.")
