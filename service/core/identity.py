"""Identity providers: who else may say who somebody is, what they say, and how far it is believed.

    provider ── definition ─┬─ how it is talked to          (`openid.py`, and one module for each further protocol)
             │              └─ Entry: whom it brings in     which domains, new accounts or only known ones, which groups
             └─ secret        what we prove to it who we are with; sealed apart

    Claimed      what a provider said of a person, proven: signed by it, meant for us, asked for by this browser
    NotLetIn     it proves nothing, or nobody who may come in: `reason` is for the log, the message for the person

An e-mail address is what a provider says it is. It finds nobody's account here unless the provider vouches for the
address and was allowed to link accounts: else whoever can make an account there could take over any account here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.core.errors import Invalid, Unauthenticated
from service.core.person import Attributes

EVERY = "*"
"""In a map of groups: each is called here as it is there."""
MOST_GROUPS = 500
"""Groups that are taken from what a provider says of one person."""
LONGEST_SUBJECT = 255
"""OpenID Connect Core 1.0, 2."""
MOST = 100
"""Entries of any list in a definition."""
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class NotLetIn(Unauthenticated):
    """Somebody who comes from an identity provider is not let in. The message repeats nothing of what was shown."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A word or two for the log."""


@dataclass(frozen=True)
class Entry:
    """Whom a provider brings in, whatever its protocol."""

    domains: tuple[str, ...] = ()
    """Of e-mail addresses, in small letters; empty: any."""
    creates: bool = False
    """Is somebody who is not known yet given an account?"""
    links: bool = False
    """May it, by an address that it vouches for, come in as a user who is here already?"""
    groups: Mapping[str, str] = field(default_factory=dict)
    """What it calls a group, to what the group is called here; see EVERY."""
    factors: tuple[str, ...] = ()
    """What it calls a sign-in with a second factor; empty: it is not believed about that."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the user, to what the provider calls them."""

    def __post_init__(self) -> None:
        for name in ("domains", "groups", "factors", "attributes"):
            if len(getattr(self, name)) > MOST:
                raise Invalid(f"{name}: {MOST} are the most", field=name)
        if not all(_DOMAIN.fullmatch(each) for each in self.domains):
            raise Invalid("domains must be names such as example.com, in small letters", field="domains")
        if not all(there and here for there, here in self.groups.items()):
            raise Invalid("groups must name a group here for each one there", field="groups")
        if (EVERY in self.groups or EVERY in self.groups.values()) and dict(self.groups) != {EVERY: EVERY}:
            raise Invalid('groups: {"*": "*"} stands alone; it takes every group by its own name', field="groups")
        if not all(_ATTRIBUTE.fullmatch(name) for name in self.attributes):
            raise Invalid("attributes: names are letters, digits and '_', 64 at most", field="attributes")

    def admits(self, email: str) -> bool:
        """Is an address, in its normal form, of one of the domains?"""
        return not self.domains or email.rpartition("@")[2] in self.domains

    def named(self, there: Sequence[str]) -> set[str]:
        """What groups that the provider told are called here."""
        if EVERY in self.groups:
            return set(there)
        return {self.groups[each] for each in there if each in self.groups}


class Definition(Protocol):
    """How a provider is talked to, and whom it brings in. One class for each kind."""

    @property
    def kind(self) -> str:
        """`oidc` or `saml`."""

    @property
    def entry(self) -> Entry:
        """Whom it brings in."""

    def kept(self) -> dict[str, object]:
        """As JSON, for the ledger."""


@dataclass(frozen=True)
class IdentityProvider:
    """One, as it is configured. Its secret is kept apart."""

    id: str
    name: str
    definition: Definition
    enabled: bool
    has_secret: bool
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime

    @property
    def method(self) -> str:
        """How a session says that it was opened by it: `oidc:NAME`."""
        return f"{self.definition.kind}:{self.name}"

    @property
    def source(self) -> str:
        """Where memberships that it tells come from. By id: a name may be given to another one later."""
        return f"{self.definition.kind}:{self.id}"


@dataclass(frozen=True)
class Claimed:
    """What an identity provider said of a person, proven."""

    provider_id: str
    subject: str
    """Who it is there, for good; an address is not."""
    email: str
    """In its normal form."""
    email_verified: bool
    """Does the provider vouch for it?"""
    name: str = ""
    groups: tuple[str, ...] | None = None
    """As they are called there. None: it told nothing of groups, which is not the same as none."""
    attributes: Attributes = field(default_factory=dict)
    session: str = ""
    """What the provider calls the session, so that it can end it."""
    factor_at: datetime | None = None
    """When a second factor was shown there, if that is believed."""
    hint: str = field(default="", repr=False)
    """What the provider wants to see again when the person signs out."""


def entry_kept(entry: Entry) -> dict[str, object]:
    """As JSON."""
    return {
        "domains": list(entry.domains),
        "creates": entry.creates,
        "links": entry.links,
        "groups": dict(entry.groups),
        "factors": list(entry.factors),
        "attributes": dict(entry.attributes),
    }


def entry_of(kept: Mapping[str, object]) -> Entry:
    """From there."""
    return Entry(
        texts(kept, "domains"),
        kept.get("creates") is True,
        kept.get("links") is True,
        mapped(kept, "groups"),
        texts(kept, "factors"),
        mapped(kept, "attributes"),
    )


def text(kept: Mapping[str, object], name: str) -> str:
    """A text of what the ledger keeps; empty where there is none."""
    found = kept.get(name)
    return found if isinstance(found, str) else ""


def texts(kept: Mapping[str, object], name: str) -> tuple[str, ...]:
    """A list of them."""
    found = kept.get(name)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def mapped(kept: Mapping[str, object], name: str) -> dict[str, str]:
    """Texts by texts."""
    found = kept.get(name)
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
