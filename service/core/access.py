"""Who asks, and what they may do. Deny by default.

    use   see and fetch                          grants are on: everything (the whole installation),
    edit  use, and create and change             an environment, a folder in one, or one connection
    own   edit, and rename, move, export,        in one
          delete, grant

What a caller may not *use* is absent for it (404), by the same path as what does not exist;
what it may use but not change is Forbidden (403).
"""

import ipaddress
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from service.core import names
from service.core.errors import Absent, Forbidden, Invalid, Unauthenticated


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


@dataclass(frozen=True)
class Grant:
    """One permission. `environment_id` is empty for everything; `path` is a folder or a connection's name."""

    level: Level
    kind: Kind
    environment_id: str = ""
    path: str = ""

    def covers(self, thing: "Thing") -> bool:
        """Is `thing` what the grant is on, or inside it?"""
        if self.kind is Kind.EVERYTHING:
            return True
        if not thing.environment_id or self.environment_id != thing.environment_id:
            return False
        match self.kind:
            case Kind.ENVIRONMENT:
                return True
            case Kind.FOLDER:
                return names.within(thing.path, self.path) or (thing.kind is Kind.FOLDER and thing.path == self.path)
            case Kind.CONNECTION:
                return thing.kind is Kind.CONNECTION and thing.path == self.path


@dataclass(frozen=True)
class Thing:
    """What an operation is about: an environment, something in it, or (with no environment) the installation."""

    kind: Kind
    environment_id: str = ""
    path: str = ""


EVERYTHING = Thing(Kind.EVERYTHING)


@dataclass(frozen=True)
class Caller:
    """Who asks: a machine, a person, or Keywright's own scheduler; with its grants and its address."""

    id: str
    name: str
    kind: str
    """`machine`, `person` or `system`"""
    grants: tuple[Grant, ...]
    address: str = ""
    request_id: str = ""
    machine_id: str = ""
    """Whose token it is; empty for one that stands for itself."""

    def level(self, thing: Thing) -> Level | None:
        """The highest level this caller has on `thing`, if any."""
        return max((grant.level for grant in self.grants if grant.covers(thing)), default=None)

    def sees(self, environment_id: str) -> bool:
        """Has this caller any grant that is on, or inside, the environment?"""
        return any(g.kind is Kind.EVERYTHING or g.environment_id == environment_id for g in self.grants)


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
