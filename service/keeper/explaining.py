"""Why somebody may do something, or may not: every grant that could matter, and which one decided.

    explain(whom, level, thing) ──► held by whom (the user, or a group, and by which groups it gets there)
                                    ├── on the thing or around it?    else it is not named
                                    ├── level high enough?
                                    └── rule, if it has one: holds here and now, does not, cannot be told

Told to oneself, and to who owns what is asked about. Rules of somebody else are judged by the present moment, the
address that is given, and as for a token of its own: what a session would add cannot be known.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core import names
from service.core.access import Caller, CurrentUser, Grant, Kind, Level, Thing, never, require
from service.core.errors import Absent, Invalid
from service.core.event import fit
from service.core.person import Attributes, Group, Member, User
from service.keeper.door import Deed, Door
from service.keeper.machines import of_machine
from service.keeper.rules import Context, checked, unjudged
from service.keeper.standing import above, standing
from service.keeper.walls import Walls
from service.ledger import environments, groups, machines, tokens, users
from service.ledger.ledger import Transaction

KINDS = ("user", "group", "machine", "token")
_FOLDERS = {Kind.FOLDER: "folder", Kind.CONNECTION: "connection", Kind.POLICY: "policy"}


@dataclass(frozen=True)
class Considered:
    """One grant that is on what was asked about, or around it."""

    grant: Grant
    environment: str | None
    path: tuple[str, ...]
    """How it is come by: from the caller over its groups to the one that holds the grant; one name if it is its own."""
    enough: bool
    """Is its level high enough?"""
    holds: bool
    """Does its rule hold? True where it has none."""


@dataclass(frozen=True)
class TriedUser:
    """A made-up person, as a rule would see it. `factor_age` in seconds; None: no second factor was shown."""

    id: str
    email: str
    name: str
    groups: tuple[str, ...]
    attributes: Attributes
    method: str
    signed_in: bool
    factor_age: int | None

    def at(self, when: datetime) -> CurrentUser:
        """At that moment."""
        factor_at = None if self.factor_age is None else when - timedelta(seconds=self.factor_age)
        who = (self.id, self.email, self.name, self.groups, self.attributes, self.method)
        return CurrentUser(*who, when, factor_at, self.signed_in)


@dataclass(frozen=True)
class Explained:
    """An answer. `decided` is the grant that lets the caller do it; None: nothing does, and `missing` tells why."""

    kind: str
    name: str
    level: Level | None
    """The highest that it has there."""
    decided: Considered | None
    considered: tuple[Considered, ...]
    missing: str


@dataclass(frozen=True)
class _Whom:
    """Somebody, and what it holds with the way to it."""

    kind: str
    id: str
    name: str
    enabled: bool
    held: tuple[tuple[Grant, tuple[str, ...]], ...]
    holds: Callable[[str], bool]


class Explaining:
    """Answers to who may do what."""

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def explain(self, caller: Caller, whom: str, action: str, resource: str, address: str = "") -> Explained:
        """`whom` is `user:ADDRESS`, `group:NAME`, `machine:NAME`, `token:NAME`, an address alone, or empty: oneself.

        `resource` is `everything`, `people`, `settings`, `machine:NAME`, `environment:NAME`, or `variable:ENV/NAME`,
        and so folder, connection, policy. Raises Invalid, Absent, Forbidden.
        """
        wanted = Level.of(action)
        kind, name = _split(whom)

        def evaluate(tx: Transaction) -> Explained:
            thing, what = self._thing(tx, caller, resource)
            asked = self._whom(tx, caller, kind, name, address or caller.address)
            deed.detail |= {"whom": asked.id if asked else "", "action": wanted.word}
            if asked is None or asked.id != _id(caller):
                require(caller, Level.OWN, thing, what)
            if asked is None:
                raise Absent(f"{kind} {fit(name)[:254]} does not exist")
            return self._explained(tx, asked, wanted, thing, what)

        deed = Deed("access.explain", resource=fit(resource)[:254])
        return self._door.fetch(caller, deed, evaluate)

    def tried(
        self, caller: Caller, rule: str, user: "TriedUser | None", machine: str, address: str, at: datetime | None
    ) -> bool:
        """Would a rule hold for a made-up person, or machine, from there and then (None: now)? Raises Invalid."""
        checked(rule)
        when = at or self._door.ledger.now()
        person = user.at(when) if user else None
        asks = Context(person, machine, "person" if person else "machine", address, when)
        return self._door.fetch(caller, Deed("rule.try"), lambda _: not rule or asks.holds(rule))

    def _explained(self, tx: Transaction, asked: _Whom, wanted: Level, thing: Thing, what: str) -> Explained:
        considered = []
        for grant, path in asked.held:
            if grant.covers(thing):
                place = environments.get(tx, grant.environment_id) if grant.environment_id else None
                holds = not grant.rule or asked.holds(grant.rule)
                considered.append(Considered(grant, place.name if place else None, path, grant.level >= wanted, holds))
        considered.sort(key=lambda each: (not (each.enough and each.holds), -each.grant.level, each.path))
        level = max((each.grant.level for each in considered if each.holds), default=None)
        decided = considered[0] if considered and considered[0].enough and considered[0].holds else None
        if not asked.enabled:
            decided, level = None, None
        missing = "" if decided else _missing(asked, wanted, what, considered)
        return Explained(asked.kind, asked.name, level, decided, tuple(considered), missing)

    def _thing(self, tx: Transaction, caller: Caller, resource: str) -> tuple[Thing, str]:
        kind, colon, rest = resource.partition(":")
        match kind:
            case "everything" | "people" | "settings" if not colon:
                return Thing(Kind(kind)), "the installation" if kind == "everything" else kind
            case "machine":
                return of_machine(names.path(rest, "resource")), f"machine {rest}"
            case "environment":
                wall = self._walls.enter(tx, caller, names.segment(rest, "resource"))
                return Thing(Kind.ENVIRONMENT, wall.id), f"environment {rest}"
            case "variable" | "folder" | "connection" | "policy":
                where, _, path = rest.partition("/")
                names.path(path, "resource")
                wall = self._walls.enter(tx, caller, names.segment(where, "resource"))
                return Thing(Kind.FOLDER if kind == "variable" else Kind(kind), wall.id, path), f"{kind} {rest}"
        raise Invalid(
            "resource must be everything, people, settings, machine:NAME, environment:NAME, or one of variable, "
            "folder, connection and policy with :ENVIRONMENT/NAME",
            field="resource",
        )

    def _whom(self, tx: Transaction, caller: Caller, kind: str, name: str, address: str) -> _Whom | None:
        if not kind:
            return self._oneself(tx, caller)
        match kind:
            case "user":
                user = users.named(tx, name.lower())
                if user is not None and caller.user is not None and user.id == caller.user.id:
                    return self._oneself(tx, caller)
                return _of_user(tx, user, address) if user else None
            case "group":
                group = groups.named(tx, name)
                return (
                    _Whom(kind, group.id, name, True, tuple(_by_groups(tx, [Member(group.id, "")], ())), never)
                    if group
                    else None
                )
            case "machine":
                machine = machines.find(tx, name)
                if machine is None:
                    return None
                asks = Context(None, name, "machine", address, tx.now)
                held = tuple((grant, (name,)) for grant in machine.grants)
                return _Whom(kind, machine.id, name, machine.enabled, held, asks.holds)
        token = tokens.named(tx, name)
        if token is None:
            return None
        asks = Context(None, name, "token", address, tx.now)
        return _Whom(kind, token.id, name, True, tuple((grant, (name,)) for grant in token.grants), asks.holds)

    @staticmethod
    def _oneself(tx: Transaction, caller: Caller) -> _Whom:
        if caller.user is None:
            kind = "machine" if caller.machine_id else "token"
            held = tuple((grant, (caller.name,)) for grant in caller.grants)
            return _Whom(kind, _id(caller), caller.name, True, held, caller.holds)
        user = users.get(tx, caller.user.id)
        mine = tuple(_held(tx, user)) if user else ()
        return _Whom("user", caller.user.id, caller.user.email, user is not None and user.enabled, mine, caller.holds)


def _id(caller: Caller) -> str:
    return caller.user.id if caller.user else caller.machine_id or caller.id


def _split(whom: str) -> tuple[str, str]:
    if not whom:
        return "", ""
    kind, colon, name = whom.partition(":")
    if colon and kind in KINDS and name:
        return kind, name
    if "@" in whom:
        return "user", whom
    raise Invalid(
        "caller must be an e-mail address, user:ADDRESS, group:NAME, machine:NAME or token:NAME", field="caller"
    )


def _of_user(tx: Transaction, user: User, address: str) -> _Whom:
    found = tuple(group.name for group in standing(tx, user).groups)
    asks = Context(
        CurrentUser(user.id, user.email, user.name, found, user.attributes), user.email, "person", address, tx.now
    )
    return _Whom("user", user.id, user.email, user.enabled, tuple(_held(tx, user)), asks.holds)


def _held(tx: Transaction, user: User) -> Iterator[tuple[Grant, tuple[str, ...]]]:
    yield from ((grant, (user.email,)) for grant in user.grants)
    yield from _by_groups(tx, list(user.memberships), (user.email,))


def _by_groups(
    tx: Transaction, memberships: list[Member], way: tuple[str, ...]
) -> Iterator[tuple[Grant, tuple[str, ...]]]:
    """What groups give, each by the shortest way to it."""
    known = above(tx, memberships)
    ahead, seen = [(member.group_id, way) for member in memberships], set[str]()
    while ahead:
        group_id, before = ahead.pop(0)
        group: Group | None = known.get(group_id)
        if group is None or group_id in seen:
            continue
        seen.add(group_id)
        path = (*before, group.name)
        yield from ((grant, path) for grant in group.grants)
        ahead += [(member.group_id, path) for member in group.parents]


def _missing(asked: _Whom, wanted: Level, what: str, considered: list[Considered]) -> str:
    """Why not, in a sentence."""
    if not asked.enabled:
        return f"{asked.kind} {asked.name} is disabled"
    for each in considered:
        if each.enough and (why := unjudged(each.grant.rule)):
            return f"{what}: there is a grant '{wanted.word}', but no rule like its own is judged any more: {why}"
    if any(each.enough for each in considered):
        return f"{what}: there is a grant '{wanted.word}', but its rule does not hold now"
    if considered:
        best = max(each.grant.level for each in considered)
        return f"{what}: this needs the grant '{wanted.word}', and {asked.name} has '{best.word}' at the most"
    return f"{what}: {asked.name} holds no grant on it, or on anything that it lies in"
