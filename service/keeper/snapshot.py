"""The snapshot: what fetches are evaluated on, in memory. Sealed values stay sealed in it.

It stands at one epoch of the ledger and is brought to a later one by reading what was changed in between. Whether it
is still true is not known here: whoever answers from it records on its epoch, and the ledger refuses if that moved.
"""

import bisect
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from service.core.access import Grants
from service.core.connection import Target
from service.core.environment import Environment
from service.core.person import Group, Settings, User
from service.core.rotation import RotationPolicy
from service.core.token import Token
from service.keeper import definitions
from service.keeper.definitions import KeptIn
from service.ledger.changes import Kind
from service.ledger.state import LiveVariable, News, Offering

Key = tuple[str, str]
"""What somebody may wait for: a kind and an id. `WITHIN` stands for any variable of an environment."""
WITHIN = "variables of"
MOST_PERSONS = 10_000
"""Whose grants are kept put together."""
_PEOPLE = (Kind.USER, Kind.GROUP)


def key_of_rotation(rotation_id: str) -> Key:
    """For whoever waits for a rotation."""
    return Kind.ROTATION.value, rotation_id


def key_of_approval(approval_id: str) -> Key:
    """For whoever waits for a decision."""
    return Kind.APPROVAL.value, approval_id


@dataclass(frozen=True, slots=True)
class Person:
    """A user, and what it holds: its own grants and those of every group that it is in."""

    user: User
    groups: tuple[Group, ...]
    """By name; also those that it is in because its groups are in them."""
    grants: Grants


def person(user: User, groups: Mapping[str, Group]) -> Person:
    """A user put together with its groups. Groups may be in one another in a circle: each counts once."""
    found: dict[str, Group] = {}
    ahead = [member.group_id for member in user.memberships]
    while ahead:
        group = groups.get(each := ahead.pop())
        if group is not None and each not in found:
            found[each] = group
            ahead += [member.group_id for member in group.parents]
    among = tuple(sorted(found.values(), key=lambda group: group.name))
    return Person(user, among, Grants((*user.grants, *(grant for group in among for grant in group.grants))))


class OfferedConnection(Offering):
    """A connection's state, with its definition read once."""

    @cached_property
    def target(self) -> Target:
        """Where it leads."""
        return definitions.target(self.connection.definition)

    @cached_property
    def policy(self) -> RotationPolicy | None:
        """Its rotation policy."""
        return definitions.policy(self.connection.policy, self.target.engine)

    @cached_property
    def kept_in(self) -> KeptIn | None:
        """The store that its live password is in, if it is not here."""
        return definitions.kept_in(self.connection.definition.get("kept_in"))


class Snapshot:
    """Reading and taking over are done under `lock`: nobody sees half of what changed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.epoch: int | None = None
        self.tokens: dict[str, Token] = {}
        self.decided: dict[tuple[str, ...], Any] = {}
        """What fetches were decided to come to, for whoever decides; forgotten with the epoch."""
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.settings = Settings()
        self._persons: dict[str, Person] = {}
        self._machines: dict[str, str] = {}
        self._environments: dict[str, Environment] = {}
        self._names: dict[str, str] = {}
        self._variables: dict[str, LiveVariable] = {}
        self._offered: dict[str, OfferedConnection] = {}
        self._inside: dict[str, _Inside] = {}

    def machine(self, certificate: str) -> Token | None:
        """The token that this certificate (its SHA-256) alone stands for."""
        return self.tokens.get(self._machines.get(certificate, ""))

    def person(self, user_id: str) -> "Person | None":
        """A user with everything that it holds; None for one that there is not, or that is disabled."""
        found = self._persons.get(user_id)
        if found is None:
            user = self.users.get(user_id)
            if user is None or not user.enabled:
                return None
            if len(self._persons) >= MOST_PERSONS:
                self._persons = {}
            found = self._persons[user_id] = person(user, self.groups)
        return found

    def environment(self, name: str) -> Environment | None:
        """By name."""
        return self._environments.get(self._names.get(name, ""))

    def wall(self, environment_id: str) -> Environment | None:
        """An environment by its id."""
        return self._environments.get(environment_id)

    def walls(self) -> list[Environment]:
        """All environments."""
        return list(self._environments.values())

    def variable(self, environment_id: str, name: str) -> LiveVariable | None:
        """By name."""
        inside = self._inside.get(environment_id)
        return inside.variables.get(name) if inside else None

    def offered(self, environment_id: str, name: str) -> OfferedConnection | None:
        """A connection's state, by name."""
        inside = self._inside.get(environment_id)
        return inside.offered.get(name) if inside else None

    def folder(self, environment_id: str, folder: str) -> Iterator[LiveVariable]:
        """The variables of a folder at any depth, by name; all of them for an empty one."""
        inside = self._inside.get(environment_id)
        if inside is None:
            return
        order = inside.ordered()
        # `0` is the character after `/`: this range is exactly what begins with `folder/`.
        begin = bisect.bisect_left(order, f"{folder}/") if folder else 0
        end = bisect.bisect_left(order, f"{folder}0") if folder else len(order)
        for name in order[begin:end]:
            yield inside.variables[name]

    def take_over(self, news: News) -> set[Key] | None:
        """Stand at the epoch of the news. What changed, for whoever waits; None for everything."""
        with self.lock:
            keys = {(kind.value, each) for kind, each in news.touched} | self._within(news)
            if news.whole:
                self.tokens, self._machines, self._environments, self._names = {}, {}, {}, {}
                self._variables, self._offered, self._inside = {}, {}, {}
                self.users, self.groups = {}, {}
            for kind, each in news.gone:
                self._drop(kind, each)
            for environment in news.environments:
                self._drop_name(environment.id)
                self._environments[environment.id] = environment
                self._names[environment.name] = environment.id
            for token in news.tokens:
                self._drop_token(token.id)
            for token in news.tokens:
                self.tokens[token.id] = token
                if not token.bearer:
                    self._machines.update(dict.fromkeys(token.certificates, token.id))
            if news.whole or news.users or news.groups or any(kind in _PEOPLE for kind, _ in news.gone):
                self._persons = {}
            self.users.update((user.id, user) for user in news.users)
            self.groups.update((group.id, group) for group in news.groups)
            self.settings = news.settings or self.settings
            for variable in news.variables:
                self._put_variable(variable)
            for offering in news.offerings:
                self._put_offering(offering)
            self.decided = {}
            self.epoch = news.epoch
        return None if news.whole else keys

    def _within(self, news: News) -> set[Key]:
        known = (self._variables.get(each) for kind, each in news.gone if kind is Kind.VARIABLE)
        return {(WITHIN, variable.environment_id) for variable in (*known, *news.variables) if variable}

    def _put_variable(self, variable: LiveVariable) -> None:
        former = self._variables.get(variable.id)
        inside = self._inside.setdefault(variable.environment_id, _Inside())
        if former is None or former.name != variable.name:
            inside.order = None
            if former is not None:
                inside.variables.pop(former.name, None)
        self._variables[variable.id] = inside.variables[variable.name] = variable

    def _put_offering(self, offering: Offering) -> None:
        stored = offering.connection
        inside = self._inside.setdefault(stored.environment_id, _Inside())
        former = self._offered.get(stored.id)
        if former is not None and former.connection.name != stored.name:
            inside.offered.pop(former.connection.name, None)
        offered = OfferedConnection(stored, offering.credentials, offering.rotation)
        self._offered[stored.id] = inside.offered[stored.name] = offered

    def _drop(self, kind: Kind, each: str) -> None:
        if kind is Kind.TOKEN:
            self._drop_token(each)
        elif kind is Kind.USER:
            self.users.pop(each, None)
        elif kind is Kind.GROUP:
            self.groups.pop(each, None)
        elif kind is Kind.ENVIRONMENT:
            self._drop_name(each)
            self._environments.pop(each, None)
            inside = self._inside.pop(each, _Inside())
            for variable in inside.variables.values():
                self._variables.pop(variable.id, None)
            for offered in inside.offered.values():
                self._offered.pop(offered.connection.id, None)
        elif kind is Kind.VARIABLE and (variable_gone := self._variables.pop(each, None)):
            inside = self._inside[variable_gone.environment_id]
            inside.order = None
            if inside.variables.get(variable_gone.name) is variable_gone:  # and no new one of that name
                del inside.variables[variable_gone.name]
        elif kind is Kind.CONNECTION and (connection_gone := self._offered.pop(each, None)):
            named = self._inside[connection_gone.connection.environment_id].offered
            if named.get(connection_gone.connection.name) is connection_gone:
                del named[connection_gone.connection.name]

    def _drop_token(self, token_id: str) -> None:
        former = self.tokens.pop(token_id, None)
        if former is not None and not former.bearer:
            for certificate in former.certificates:
                self._machines.pop(certificate, None)

    def _drop_name(self, environment_id: str) -> None:
        former = self._environments.get(environment_id)
        if former is not None and self._names.get(former.name) == environment_id:
            del self._names[former.name]


class _Inside:
    """What an environment holds, by name."""

    __slots__ = ("offered", "order", "variables")

    def __init__(self) -> None:
        self.variables: dict[str, LiveVariable] = {}
        self.offered: dict[str, OfferedConnection] = {}
        self.order: list[str] | None = None

    def ordered(self) -> list[str]:
        """The names of the variables by their bytes; put in order when somebody asks for a folder."""
        if self.order is None:
            self.order = sorted(self.variables)
        return self.order


@dataclass(slots=True)  # not frozen, which takes twice as long: every fetch makes one
class View:
    """The snapshot as one evaluation sees it, at one moment of the ledger's clock."""

    snapshot: Snapshot
    now: datetime
