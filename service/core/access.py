"""Who asks, and what they may do. Deny by default.

    use   see and fetch                          grants are on: everything (the whole installation),
    edit  use, and create and change             an environment, a folder in one, one connection in one or its
    own   edit, and rename, move, export,        rotation policy; machines; people (users and groups);
          delete, grant                          settings (and identity providers)

What a caller may not *use* is absent for it (404), by the same path as what does not exist;
what it may use but not change is Forbidden (403).

A grant may have a rule, and then counts only while the rule holds for the caller: rules narrow, and give nothing.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from service.core.errors import Absent, Forbidden, Invalid, Unauthenticated

if TYPE_CHECKING:
    from service.core.approval import Carried


class Level(IntEnum):
    """Each level holds the ones before it."""

    USE = 1
    EDIT = 2
    OWN = 3

    @property
    def word(self) -> str:
        """As it is written in requests and answers."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Level":
        """Raises Invalid."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise Invalid("level must be use, edit or own", field="level") from None


class Kind(StrEnum):
    """What a grant is on."""

    EVERYTHING = "everything"
    ENVIRONMENT = "environment"
    FOLDER = "folder"
    CONNECTION = "connection"
    POLICY = "policy"
    """The rotation policy of a connection."""
    MACHINE = "machine"
    PEOPLE = "people"
    """Users and groups."""
    SETTINGS = "settings"
    """And identity providers."""

    __hash__ = str.__hash__  # that of an Enum is a call of Python's own, and every decision takes several

    @property
    def walled(self) -> bool:
        """Does it lie in an environment?"""
        return self in (Kind.ENVIRONMENT, Kind.FOLDER, Kind.CONNECTION, Kind.POLICY)


@dataclass(frozen=True)
class Grant:
    """One permission.

    `environment_id` is empty for what lies in none. `path` is a folder, a connection's name, or that of a machine or
    of a folder of machines (all of them, if it is empty). `rule` narrows it; see above.
    """

    level: Level
    kind: Kind
    environment_id: str = ""
    path: str = ""
    rule: str = ""

    def covers(self, thing: "Thing") -> bool:
        """Is `thing` what the grant is on, or inside it?"""
        return (self.kind, self.environment_id, self.path) in thing.within()


@dataclass(frozen=True)
class Thing:
    """What an operation is about: an environment, something in it, or (with no environment) the installation."""

    kind: Kind
    environment_id: str = ""
    path: str = ""

    def within(self) -> "list[Place]":
        """What a grant must be on to cover it, from the whole installation down to itself."""
        kind, wall, path = self.kind, self.environment_id, self.path
        places: list[Place] = [(Kind.EVERYTHING, "", "")]
        if kind.walled:
            places.append((Kind.ENVIRONMENT, wall, ""))
            # What lies in a folder, and the folder itself; a connection of a folder's name is another thing.
            places += [(Kind.FOLDER, wall, part) for part in _folders(path) if kind is Kind.FOLDER or part != path]
            if kind in (Kind.CONNECTION, Kind.POLICY):
                places.append((Kind.CONNECTION, wall, path))
            if kind is Kind.POLICY:
                places.append((Kind.POLICY, wall, path))
        elif kind is not Kind.EVERYTHING:
            places.append((kind, "", ""))
            places += [(kind, "", part) for part in _folders(path)]
        return places


Place = tuple[Kind, str, str]
"""What a grant is on: kind, environment, path."""


def _folders(path: str) -> list[str]:
    """`a/b/c` lies in `a` and `a/b`, and is itself the last one."""
    found, end = [], path.find("/")
    while end != -1:
        found.append(path[:end])
        end = path.find("/", end + 1)
    return [*found, path] if path else found


class Grants(tuple[Grant, ...]):
    """What somebody may do. Looked up by place, so that a decision costs the same among three and among thousands."""

    _at: dict[Place, tuple[tuple[Level, str], ...]]
    _walls: dict[str, tuple[str, ...]]
    _ruled: bool

    def __new__(cls, held: Iterable[Grant] = ()) -> "Grants":
        """As a tuple."""
        made = super().__new__(cls, held)
        at: dict[Place, list[tuple[Level, str]]] = {}
        walls: dict[str, set[str]] = {}
        for grant in made:
            at.setdefault((grant.kind, grant.environment_id, grant.path), []).append((grant.level, grant.rule))
            if grant.kind is Kind.EVERYTHING or grant.environment_id:
                walls.setdefault(grant.environment_id, set()).add(grant.rule)
        # At each place the highest comes first, and of the same level what needs no rule to be looked at.
        made._at = {place: tuple(sorted(here, key=lambda it: (-it[0], it[1]))) for place, here in at.items()}
        made._ruled = any(grant.rule for grant in made)
        made._walls = {wall: tuple(sorted(rules)) for wall, rules in walls.items()}
        return made

    def level(self, thing: Thing, holds: "Callable[[str], bool]") -> Level | None:
        """The highest level on `thing`, if any. `holds` is asked about rules."""
        found = None
        for place in thing.within():
            for level, rule in self._at.get(place, ()):
                if found is not None and level <= found:
                    break
                if not rule or holds(rule):
                    found = level
                    break
        return found

    def sees(self, environment_id: str, holds: "Callable[[str], bool]") -> bool:
        """Is there any grant that is on, or inside, the environment, or on everything?"""
        return any(not rule or holds(rule) for wall in ("", environment_id) for rule in self._walls.get(wall, ()))

    @property
    def ruled(self) -> bool:
        """Does any of them depend on more than who asks?"""
        return self._ruled


EVERYTHING = Thing(Kind.EVERYTHING)
PEOPLE = Thing(Kind.PEOPLE)
SETTINGS = Thing(Kind.SETTINGS)


@dataclass(frozen=True)
class CurrentUser:
    """The person who asks, as rules and clients see it (`current_user`)."""

    id: str
    email: str
    name: str
    groups: tuple[str, ...] = ()
    """Names of all groups that it is in, directly or by groups in groups."""
    attributes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    method: str = "token"
    """How it signed in: `password`, `passkey`, `oidc:NAME`, `saml:NAME`, or `token` for a token of its own."""
    signed_in_at: datetime | None = None
    factor_at: datetime | None = None
    """When it last showed a second factor in this session."""
    session: bool = False
    """Is it signed in? If not, it came with a token of its own."""
    factors: tuple[str, ...] = ()
    """The kinds of second factors that it has."""


def never(_: str) -> bool:
    """Holds a rule? Not where nothing is known that it could be judged by."""
    return False


@dataclass(frozen=True)
class Caller:
    """Who asks: a machine, a person, or Keywright's own scheduler; with its grants and its address."""

    id: str
    """Of the token that it came with."""
    name: str
    kind: str
    """`machine`, `person` or `system`"""
    grants: tuple[Grant, ...]
    address: str = ""
    request_id: str = ""
    machine_id: str = ""
    """Whose token it is; empty for one that stands for itself."""
    user: CurrentUser | None = None
    holds: Callable[[str], bool] = field(default=never, compare=False, repr=False)
    """Does a rule hold for this caller, here and now?"""
    asks: bool = False
    """Does it ask that somebody agrees, and not that it be done?"""
    carries: "Carried | None" = None
    """The approval that it is applying."""

    def __post_init__(self) -> None:
        if type(self.grants) is not Grants:
            object.__setattr__(self, "grants", Grants(self.grants))

    @property
    def actor(self) -> str:
        """Who did it, for the log: a person, whatever it came with; else the token."""
        return self.user.id if self.user is not None else self.id

    def level(self, thing: Thing) -> Level | None:
        """The highest level this caller has on `thing`, if any."""
        grants: Grants = self.grants  # type: ignore[assignment]
        return grants.level(thing, self.holds)

    def outright(self, thing: Thing) -> Level | None:
        """The highest level by grants without a rule: what is so whatever the hour, and may be passed on."""
        grants: Grants = self.grants  # type: ignore[assignment]
        return grants.level(thing, never)

    def sees(self, environment_id: str) -> bool:
        """Has this caller any grant that is on, or inside, the environment?"""
        grants: Grants = self.grants  # type: ignore[assignment]
        return grants.sees(environment_id, self.holds)


class Stranger(Unauthenticated):
    """Nobody could be made out. `caller` tells where the request came from, and no more.

    Unless it is known whose token was presented without its certificate: that is for the log, not for the answer. So
    is `deed`, what was tried, with what is to be told of it.
    """

    def __init__(
        self,
        message: str,
        address: str,
        request_id: str,
        whose: Caller | None = None,
        deed: tuple[str, str, dict[str, str]] = ("token.use", "", {}),
    ) -> None:
        super().__init__(message)
        self.caller = whose or Caller("stranger", "", "stranger", (), address, request_id)
        self.action, self.resource, self.detail = deed


class OutOfPlace(Forbidden):
    """A token is used from an address that is not on its allowlist. It is known whose it is."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(f"this token may not be used from the address {caller.address}")
        self.caller = caller


def require(caller: Caller, level: Level, thing: Thing, what: str) -> None:
    """Raises Absent if the caller may not even see `thing`, Forbidden if only the level is short."""
    held = caller.level(thing)
    if held is None:
        raise Absent(f"{what} does not exist")
    if held < level:
        raise Forbidden(f"{what}: this needs the grant '{level.word}', and the token has '{held.word}'")


def networks(texts: tuple[str, ...], field: str = "allowlist") -> tuple[str, ...]:
    """The CIDR blocks of an allowlist in their normal form. Raises Invalid naming `field`."""
    try:
        # A zone (fe80::%eth0) may be any text, and means nothing on another machine.
        if any("%" in text for text in texts):
            raise ValueError
        return tuple(str(ipaddress.ip_network(text, strict=True)) for text in texts)
    except ValueError:
        raise Invalid(f"{field} must hold CIDR blocks, such as 10.0.0.0/8 or 192.0.2.7/32", field=field) from None


def admitted(address: str, allowlist: tuple[str, ...]) -> bool:
    """Does an allowlist admit an address? An empty list admits every address."""
    if not allowlist:
        return True
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in ipaddress.ip_network(block) for block in allowlist)
