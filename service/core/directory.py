"""What an identity provider keeps here by SCIM, apart from its words on the wire (RFC 7643).

    user  ─ provisioned          its address, name, attributes, and whether it may be used, come from the provider
            + profile            what else the provider said of it, given back as it was
    group ─ provisioned          its name and its `scim` members come from the provider

    enabled ──(provider: not active)──> ended by the provider ──(provider: active)──> enabled
    enabled ──(a hand)────────────────> disabled by a hand    ──(a hand, only)──────> enabled

A profile remembers which of the two it was: no synchronisation undoes what an administrator did. Everything else of
a user or a group (grants, memberships by hand, landing folders, passwords) is not the provider's, who never sees it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from unicodedata import normalize

from service.core.errors import Conflict, Invalid
from service.core.person import LONGEST_EMAIL, LONGEST_NAME, Group, User, group_name, shown_name

LONGEST_DOCUMENT = 16_384
"""Characters of what is kept of one user, as JSON."""
MOST_MEMBERS = 20_000
NOWHERE = "provisioned.invalid"
"""The domain of users without an address (RFC 2606): nobody signs in by it, nothing is sent to it."""


class Taken(Conflict):
    """Somebody else has this name, or this address."""


Document = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """What an identity provider says of a user."""

    user_name: str
    """Who it is there; told apart in small letters."""
    document: Document
    ended: bool = False
    """Was it the provider who disabled the user here?"""


@dataclass(frozen=True)
class WantedUser:
    """A user as a provider wants it. `attributes` are those that it may set; None takes one away."""

    user_name: str
    email: str
    name: str
    active: bool
    external_id: str
    attributes: Mapping[str, str | None]
    document: Document

    def __post_init__(self) -> None:
        """Raises Invalid."""
        plain(self.user_name, "userName", LONGEST_EMAIL)
        shown_name(self.name, field="displayName")
        plain(self.external_id, "externalId", LONGEST_NAME, empty=True)
        if len(json.dumps(self.document)) > LONGEST_DOCUMENT:
            raise Invalid(f"more than {LONGEST_DOCUMENT} characters were said of this user", field="userName")


@dataclass(frozen=True)
class KeptMember:
    """Somebody in a group, or the group that somebody is in."""

    id: str
    display: str = ""
    """What a group is called, for those who are in it."""
    group: bool = False


@dataclass(frozen=True)
class WantedGroup:
    """A group as a provider wants it, with everybody whom it has put into it."""

    name: str
    external_id: str
    members: frozenset[str] = frozenset()
    """Ids of users and groups."""

    def __post_init__(self) -> None:
        """Raises Invalid."""
        group_name(self.name, "displayName")
        plain(self.external_id, "externalId", LONGEST_NAME, empty=True)
        if len(self.members) > MOST_MEMBERS:
            raise Invalid(f"members: {MOST_MEMBERS} are the most", field="members")


@dataclass(frozen=True)
class KeptUser:
    """A provisioned user, as its provider may see it."""

    user: User
    profile: Profile
    groups: tuple[KeptMember, ...] = ()
    """Those that the provider put it into."""

    @property
    def version(self) -> str:
        """Another one whenever what the provider sees is another."""
        said = (self.user.revision, self.user.enabled, self.user.updated_at.isoformat(), _told(self.groups))
        return _stamp(said)


@dataclass(frozen=True)
class KeptGroup:
    """A provisioned group, as its provider may see it."""

    group: Group
    members: tuple[KeptMember, ...] = ()

    @property
    def version(self) -> str:
        """See above. Members go by themselves when a user is removed."""
        return _stamp((self.group.revision, self.group.updated_at.isoformat(), _told(self.members)))


@dataclass(frozen=True)
class Sought:
    """Which users or groups: all, or those of whom one thing is exactly so. Page by page, the eldest first."""

    by: str = ""
    """`user_name`, `external_id`, `name`, or nothing."""
    value: str = ""
    offset: int = 0
    limit: int | None = None
    members: bool = True
    """Are the members of groups wanted?"""


@dataclass(frozen=True)
class Found(Generic[T]):
    """A page, and how many there are in all."""

    total: int
    items: tuple[T, ...] = ()


def folded(user_name: str) -> str:
    """The form in which user names are told apart (RFC 7643, 4.1.1: whatever the letters' size)."""
    return normalize("NFC", normalize("NFC", user_name).lower())


def plain(text: str, field: str, longest: int, *, empty: bool = False) -> str:
    """`text`, if it can be shown in one line. Raises Invalid."""
    if len(text) > longest:
        raise Invalid(f"{field} has more than {longest} characters", field=field)
    if not text.strip() and not empty:
        raise Invalid(f"{field} is needed", field=field)
    if not text.isprintable():
        raise Invalid(f"{field} holds a character that cannot be shown", field=field)
    return text


def _told(members: tuple[KeptMember, ...]) -> list[tuple[str, str]]:
    return [(member.id, member.display) for member in members]


def _stamp(said: object) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]
