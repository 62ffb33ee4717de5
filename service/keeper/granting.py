"""Granting: what somebody may give to others, and how grants are shown.

Nobody gives more than they own, and what they own by a grant with a rule they do not give at all: whoever it was given
to would not be bound by the rule. Through a pinned instance nobody is let in where it does not reach itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from service.core import names
from service.core.access import EVERYTHING, Caller, Grant, Kind, Level, Thing, require
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.core.person import email, group_name
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.rules import checked
from service.keeper.standing import an_owner_stays, standing
from service.keeper.walls import Walls
from service.ledger import environments, grants, groups, machines, tokens, users
from service.ledger.grants import HeldGrant, Holder, Holding
from service.ledger.ledger import Transaction

MOST_RULES = 50
"""Different ones, of one holder in one environment. A rule that takes long takes half a millisecond."""


@dataclass(frozen=True)
class WantedGrant:
    """A grant as it is asked for: environments by name."""

    level: str
    kind: str
    environment: str | None
    path: str
    rule: str = ""


@dataclass(frozen=True)
class ShownGrant:
    """A grant as it is shown."""

    id: str
    holder: Holder
    grant: Grant
    environment: str | None


class Granting:
    """Operations on grants, whoever holds them."""

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def listed(self, caller: Caller, after: str, limit: int) -> list[ShownGrant]:
        """All grants that the caller could take away, by id."""

        def evaluate(tx: Transaction) -> list[ShownGrant]:
            held = grants.every(tx, after, 100_000)
            mine = [h for h in held if caller.level(_thing(h.grant)) == Level.OWN]
            return [shown for h in mine if self._served(shown := self._named(tx, h))][:limit]

        return self._door.fetch(caller, Deed("grant.list"), evaluate)

    def to_token(self, caller: Caller, token: str, wanted: WantedGrant) -> ShownGrant:
        """One more grant for a token, by its name. Raises Invalid, Absent, Forbidden, Conflict."""
        names.segment(token, "token")

        def find(tx: Transaction) -> Holder | None:
            found = tokens.named(tx, token)
            return Holder(found.id, found.name) if found else None

        return self._give(caller, f"token {token}", token, find, wanted)

    def to_machine(self, caller: Caller, machine: str, wanted: WantedGrant) -> ShownGrant:
        """One more grant for a machine, by its name. Raises Invalid, Absent, Forbidden, Conflict."""
        names.path(machine, "machine")

        def find(tx: Transaction) -> Holder | None:
            found = machines.find(tx, machine)
            return Holder(found.id, found.name, Holding.MACHINE) if found else None

        return self._give(caller, f"machine {machine}", machine, find, wanted)

    def to_user(self, caller: Caller, address: str, wanted: WantedGrant) -> ShownGrant:
        """One more grant for a user, by its address. Raises Invalid, Absent, Forbidden, Conflict."""
        found = email(address, "user")

        def find(tx: Transaction) -> Holder | None:
            user = users.named(tx, found)
            return Holder(user.id, user.email, Holding.USER) if user else None

        return self._give(caller, f"user {found}", "", find, wanted)

    def to_group(self, caller: Caller, group: str, wanted: WantedGrant) -> ShownGrant:
        """One more grant for a group, by its name. Raises Invalid, Absent, Forbidden, Conflict."""
        group_name(group, "group")

        def find(tx: Transaction) -> Holder | None:
            found = groups.named(tx, group)
            return Holder(found.id, found.name, Holding.GROUP) if found else None

        return self._give(caller, f"group {group}", group, find, wanted)

    def _give(
        self, caller: Caller, whom: str, name: str, find: Callable[[Transaction], Holder | None], wanted: WantedGrant
    ) -> ShownGrant:
        grant_id = self._door.new_id()

        def act(tx: Transaction) -> ShownGrant:
            granted = self.granted(tx, caller, wanted)
            holder = find(tx)
            if holder is None:
                raise Absent(f"{whom} does not exist")
            if holder.kind in (Holding.TOKEN, Holding.MACHINE):
                require_directory(caller, [granted])
            require_fresh(tx, caller, "giving a grant")
            if granted.rule:
                require_few_rules([*(held.grant for held in grants.of(tx, holder)), granted])
            deed.resource = deed.resource or holder.id  # an event's body cannot forget whom it names
            grants.add(tx, grant_id, holder, granted)
            return self._named(tx, HeldGrant(grant_id, holder, granted))

        told: dict[str, Detail] = {"level": wanted.level, "kind": wanted.kind, "path": wanted.path}
        if wanted.rule:
            told["rule"] = wanted.rule
        deed = Deed("grant.add", wanted.environment or "", name, told)
        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, grant_id: str) -> None:
        """Take a grant away. Raises Absent, also where the caller does not own what it is on."""

        def act(tx: Transaction) -> None:
            held = grants.find(tx, grant_id)
            if held is not None and caller.level(_thing(held.grant)) != Level.OWN:
                held = None  # and nothing more is asked than where there is none
            if held is None or not self._served(self._named(tx, held)):
                raise Absent(f"grant {grant_id[:64]} does not exist")
            require_fresh(tx, caller, "taking a grant away")
            of_person = held.holder.kind is Holding.USER
            deed.detail[held.holder.kind.value] = held.holder.id if of_person else held.holder.name
            with an_owner_stays(tx):
                grants.remove(tx, held)

        deed = Deed("grant.remove", resource=grant_id)
        self._door.change(caller, deed, act)

    # -- for who hands out identities

    def granted(self, tx: Transaction, caller: Caller, wanted: WantedGrant) -> Grant:
        """What is asked for, if the caller may give it. Raises Invalid, Absent, Forbidden."""
        level = Level.of(wanted.level)
        try:
            kind = Kind(wanted.kind)
        except ValueError:
            raise Invalid(f"kind must be {' or '.join(Kind)}", field="kind") from None
        rule = checked(wanted.rule)
        if not kind.walled:
            return self._unwalled(caller, Grant(level, kind, "", wanted.path, rule), wanted)
        if not wanted.environment:
            raise Invalid("environment is needed", field="environment")
        wall = self._walls.enter(tx, caller, wanted.environment)
        path = names.path(wanted.path, "path") if kind is not Kind.ENVIRONMENT else ""
        if kind is Kind.ENVIRONMENT and wanted.path:
            raise Invalid("a grant on an environment has no path", field="path")
        grant = Grant(level, kind, wall.id, path, rule)
        require_outright(caller, _thing(grant), f"environment {wanted.environment}")
        return grant

    def _unwalled(self, caller: Caller, grant: Grant, wanted: WantedGrant) -> Grant:
        """On what lies in no environment."""
        if wanted.environment:
            raise Invalid(f"a grant on {grant.kind} names no environment", field="environment")
        if grant.path and grant.kind is not Kind.MACHINE:
            raise Invalid(f"a grant on {grant.kind} has no path", field="path")
        if grant.path:
            names.path(grant.path, "path")
        what = "the installation" if grant.kind is Kind.EVERYTHING else str(grant.kind)
        require_outright(caller, _thing(grant), what)
        if self._walls.pinned is not None and caller.kind != "system":
            raise Forbidden(f"a grant on {grant.kind} is not given through an instance that serves some environments")
        return grant

    def require_within(self, tx: Transaction, caller: Caller, what: str, held: Iterable[Grant]) -> None:
        """Through a pinned instance nobody lets others in where it does not reach itself. Raises Forbidden."""
        if self._walls.pinned is None or caller.kind == "system":
            return
        for grant in held:
            found = environments.get(tx, grant.environment_id) if grant.environment_id else None
            if found is None or not self._walls.serves(found.name):
                raise Forbidden(f"{what} reaches further than this instance, which serves some environments")

    def shown(self, tx: Transaction, holder: Holder) -> list[ShownGrant]:
        """What somebody holds."""
        return list(filter(self._served, (self._named(tx, held) for held in grants.of(tx, holder))))

    def own(self, tx: Transaction, caller: Caller) -> list[ShownGrant]:
        """What the caller holds, as it was made out."""
        if caller.user is not None:
            return self._of_person(tx, caller.user.id)
        found = tokens.find(tx, caller.id)
        kind = Holding.MACHINE if found and found.machine_id else Holding.TOKEN
        holder = Holder(caller.id, caller.name, kind)
        return list(filter(self._served, (self._named(tx, HeldGrant("", holder, each)) for each in caller.grants)))

    def _of_person(self, tx: Transaction, user_id: str) -> list[ShownGrant]:
        """Its own, and those of its groups, each with the group that holds it."""
        user = users.get(tx, user_id)
        if user is None:
            return []
        holders = [Holder(user.id, user.email, Holding.USER)]
        holders += [Holder(group.id, group.name, Holding.GROUP) for group in standing(tx, user).groups]
        return [replace(each, id="") for holder in holders for each in self.shown(tx, holder)]

    def _served(self, shown: ShownGrant) -> bool:
        """A pinned instance tells nothing of grants in the environments that it does not serve."""
        return shown.environment is None or self._walls.serves(shown.environment)

    @staticmethod
    def _named(tx: Transaction, held: HeldGrant) -> ShownGrant:
        environment = environments.get(tx, held.grant.environment_id) if held.grant.environment_id else None
        return ShownGrant(held.id, held.holder, held.grant, environment.name if environment else None)


def require_outright(caller: Caller, thing: Thing, what: str) -> None:
    """Raises as `require` for *own*; Forbidden as well where it is owned by a grant with a rule only."""
    require(caller, Level.OWN, thing, what)
    if caller.outright(thing) != Level.OWN:
        raise Forbidden(f"{what}: what you own by a grant with a rule, you cannot give to others")


def require_directory(caller: Caller, held: Iterable[Grant]) -> None:
    """What owns people and is no person keeps the directory (SCIM), with all that provisioned groups hold.

    Raises Forbidden for who gives that, or comes to stand for it, and does not own everything.
    """
    keeps = any(grant.level is Level.OWN and grant.kind is Kind.PEOPLE for grant in held)
    if keeps and caller.kind != "system" and caller.outright(EVERYTHING) is not Level.OWN:
        raise Forbidden(
            "a token or a machine that owns people can put anybody into provisioned groups (SCIM): "
            "this is for somebody who owns everything"
        )


def require_few_rules(held: Iterable[Grant]) -> None:
    """Rules are judged on the way of every fetch: nobody slows others by many of them. Raises Conflict."""
    for place, rules in groupby(sorted({(it.environment_id, it.rule) for it in held if it.rule}), lambda it: it[0]):
        if len(list(rules)) > MOST_RULES:
            where = "in one environment" if place else "outside of environments"
            raise Conflict(f"{MOST_RULES} different rules of one holder {where} are the most: take grants away first")


def _thing(grant: Grant) -> Thing:
    return Thing(grant.kind, grant.environment_id, grant.path)
