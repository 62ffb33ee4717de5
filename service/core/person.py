"""People: users, the groups that they are in, how they are signed in, and what is asked of them.

    user ─┬─ own grants, attributes        a person's account; disabled, none of its tokens is of use
          ├─ member of groups              directly, or by groups that are members of groups
          ├─ factors, recovery codes       what it shows beside its password
          └─ tokens ─┬─ sessions           signed in: `expires_at` moves on with use, never behind `renewable_until`
                     └─ of its own         by name, for scripts; they show no second factor

    group ─┬─ grants                       for every member
           └─ landing folder               where members without *edit* there are taken after signing in

A membership says where it comes from, and whoever maintains it (a hand, SCIM, the groups that an identity provider
tells at sign-in) leaves the others alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.core.access import Grant
from service.core.errors import Invalid

LONGEST_EMAIL = 254
"""RFC 5321, 4.5.3.1.3, without the brackets."""
LONGEST_NAME = 200
LONGEST_GROUP = 128
DEEPEST = 10
"""Groups in groups, at most."""
MOST_ATTRIBUTES = 50
LONGEST_ATTRIBUTE = 500
BY_HAND = "hand"
"""The source of a membership that an administrator gave."""
BY_SCIM = "scim"
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")

Attributes = Mapping[str, str | tuple[str, ...]]


class UserType(StrEnum):
    """Who keeps an account."""

    LOCAL = "local"
    PROVISIONED = "provisioned"  # an identity provider, by SCIM or at sign-in


@dataclass(frozen=True)
class Member:
    """A membership in a group, and where it comes from: `hand`, `scim`, `oidc:<provider id>`, `saml:<provider id>`."""

    group_id: str
    source: str


@dataclass(frozen=True)
class Membership:
    """A direct member of a group, as it is shown: once for each source."""

    id: str
    """Of the membership."""
    member_id: str
    kind: str
    """`user` or `group`"""
    name: str
    """The address of a user, the name of a group."""
    source: str


@dataclass(frozen=True)
class User:
    """What the ledger knows of a person, but for what proves who it is."""

    id: str
    email: str
    name: str
    enabled: bool
    type: UserType
    attributes: Attributes
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    external_id: str = ""
    """As whoever provisions it calls it."""
    provider_id: str = ""
    """The identity provider that it signs in by; empty for none, or any that is allowed to link it."""
    subject: str = ""
    """Who it is there."""
    has_password: bool = False
    password_changed_at: datetime | None = None
    password_ends_at: datetime | None = None
    """From then on it must be changed before anything else."""
    must_change: bool = False
    """The password was set by somebody else, or found in a list of known ones."""
    emergency: bool = False
    """May it sign in with its password where that is switched off for everybody else?"""
    factors: tuple[str, ...] = ()
    """The kinds of its second factors."""
    last_login_at: datetime | None = None
    last_active_at: datetime | None = None
    memberships: tuple[Member, ...] = ()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Group:
    """What the ledger knows of a group. `parents` are the groups that it is a member of."""

    id: str
    name: str
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    external_id: str = ""
    provisioned: bool = False
    """An identity provider keeps its members."""
    landing_environment_id: str = ""
    landing_folder: str = ""
    second_factor: bool = False
    """Do its members need one, whatever the settings say?"""
    parents: tuple[Member, ...] = ()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Session:
    """That somebody is signed in: what a token has that a sign-in made."""

    token_id: str
    user_id: str
    method: str
    """See `CurrentUser.method`."""
    provider_id: str
    provider_session: str
    """What the identity provider calls it, so that it can be ended from there."""
    factor_at: datetime | None
    signed_in_at: datetime
    address: str
    agent: str
    """What the browser or command says it is."""
    last_seen_at: datetime


@dataclass(frozen=True)
class Settings:
    """What administrators decide for everybody; kept in the ledger."""

    local_sign_in: bool = True
    """May people sign in with a password kept here? Users marked for emergencies may, always."""
    second_factor_required: bool = False
    step_up: int = 900
    """Seconds that a second factor counts as fresh; 0: none is asked for."""
    session_idle: int = 1800
    """Seconds without a request after which a session ends."""
    session_life: int = 43_200
    """Seconds after which it ends in any case."""
    password_length: int = 12
    password_days: int = 0
    """Days after which a password must be changed; 0: never."""
    invite_days: int = 7
    scim_adopts: bool = False
    """Does SCIM take over users whom somebody else made, when it is to make one of the same address?"""
    revision: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        for name, least, most in (
            ("step_up", 0, 86_400),
            ("session_idle", 60, 30 * 86_400),
            ("session_life", 300, 90 * 86_400),
            ("password_length", 8, 128),
            ("password_days", 0, 3650),
            ("invite_days", 1, 90),
        ):
            if not least <= getattr(self, name) <= most:
                raise Invalid(f"{name} must be from {least} to {most}", field=name)
        if self.session_idle > self.session_life:
            raise Invalid("session_idle must not be longer than session_life", field="session_idle")

    @property
    def idle(self) -> timedelta:
        """How long a session lasts without a request."""
        return timedelta(seconds=self.session_idle)

    @property
    def life(self) -> timedelta:
        """How long it lasts in any case."""
        return timedelta(seconds=self.session_life)


def email(text: str, field: str = "email") -> str:
    """An address in the form that users are told apart by: without a display name, in small letters. Raises Invalid."""
    found = text.strip()
    # Before it is written small: of some letters that comes to one of another address (K, the Kelvin sign, to k).
    if len(found) > LONGEST_EMAIL or not _EMAIL.fullmatch(found) or ".." in found:
        raise Invalid(f"{field} is not an e-mail address", field=field)
    return found.lower()


def shown_name(text: str, longest: int = LONGEST_NAME, field: str = "name") -> str:
    """What a person or a group is called, for people: one line, without blanks around it. Raises Invalid."""
    if text != text.strip() or len(text) > longest or any(not each.isprintable() for each in text):
        raise Invalid(
            f"{field} must be one line of {longest} characters at most, without blanks around it", field=field
        )
    return text


def group_name(text: str, field: str = "name") -> str:
    """What a group may be called. Raises Invalid."""
    if not text:
        raise Invalid(f"{field} must not be empty", field=field)
    return shown_name(text, LONGEST_GROUP, field)


def attributes(given: Mapping[str, object], field: str = "attributes") -> Attributes:
    """Attributes as they are kept: names to a text, or to several. Raises Invalid."""
    if len(given) > MOST_ATTRIBUTES:
        raise Invalid(f"{field}: {MOST_ATTRIBUTES} are the most", field=field)
    kept: dict[str, str | tuple[str, ...]] = {}
    for name, value in given.items():
        texts = [value] if isinstance(value, str) else value
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise Invalid(f"{field}: names are letters, digits and '_', 64 at most", field=field)
        if not isinstance(texts, (list, tuple)) or not all(isinstance(each, str) for each in texts):
            raise Invalid(f"{field}: {name} must be a text, or a list of texts", field=field)
        if any(_UNFIT.search(each) for each in texts):
            raise Invalid(f"{field}: {name} must hold no control characters", field=field)
        if len(texts) > LONGEST_ATTRIBUTE or sum(map(len, texts)) > LONGEST_ATTRIBUTE:
            raise Invalid(f"{field}: {name} has more than {LONGEST_ATTRIBUTE} characters, or texts", field=field)
        kept[name] = value if isinstance(value, str) else tuple(texts)
    return kept
