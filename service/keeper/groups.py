"""Groups: who is in them, what they hold for their members, where those land.

    staff ── holds *use* on shop ── landing folder `shop`
      ├── ana                       by hand
      ├── ben                       as the identity provider says at sign-in
      └── operators                 a group in a group: whoever is in it is in `staff`, too
            └── cem

No circles, ten levels at most. Whoever is let in holds what the group holds: nobody lets in, or takes in, what holds
more than they own.
"""

from dataclasses import dataclass, replace

from service.core import names
from service.core.access import PEOPLE, Caller, Level, require
from service.core.errors import Absent, Conflict, Invalid
from service.core.event import Detail, fit
from service.core.person import BY_HAND, DEEPEST, Group, Membership, group_name
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.granting import Granting, ShownGrant
from service.keeper.standing import (
    above,
    an_owner_stays,
    held_in,
    require_over,
    require_over_members,
    ruled_inside,
    standing,
)
from service.keeper.walls import Walls
from service.ledger import environments, groups, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class ShownGroup:
    """A group, its own grants, where its members land, the names of the groups that it is in."""

    group: Group
    grants: tuple[ShownGrant, ...]
    landing_environment: str | None
    parents: tuple[str, ...]


@dataclass(frozen=True)
class WantedGroup:
    """A group as it is to be. None: as it was; an empty landing environment: none."""

    name: str | None = None
    landing_environment: str | None = None
    landing_folder: str | None = None
    second_factor: bool | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            group_name(self.name)
        if self.landing_environment:
            names.segment(self.landing_environment, "landing_environment")
        if self.landing_folder:
            names.path(self.landing_folder, "landing_folder")


class Groups:
    """Operations on groups."""

    def __init__(self, door: Door, walls: Walls, granting: Granting) -> None:
        self._door = door
        self._walls = walls
        self._granting = granting

    def listed(self, caller: Caller, after: str, limit: int) -> list[ShownGroup]:
        """All of them, by name. Raises Absent."""

        def evaluate(tx: Transaction) -> list[ShownGroup]:
            require(caller, Level.USE, PEOPLE, "the list of groups")
            return [self._shown(tx, group) for group in groups.every(tx, after, limit)]

        return self._door.fetch(caller, Deed("group.list"), evaluate)

    def get(self, caller: Caller, group_id: str) -> ShownGroup:
        """One of them. Raises Absent."""
        return self._door.fetch(
            caller, Deed("group.get", resource=group_id), lambda tx: self._shown(tx, self._seen(tx, caller, group_id))
        )

    def members(self, caller: Caller, group_id: str, after: str, limit: int) -> list[Membership]:
        """Who is in it directly, and where that comes from. Raises Absent."""

        def evaluate(tx: Transaction) -> list[Membership]:
            return groups.members_of(tx, self._seen(tx, caller, group_id).id, after, limit)

        return self._door.fetch(caller, Deed("group.members", resource=group_id), evaluate)

    def add(self, caller: Caller, wanted: WantedGroup) -> ShownGroup:
        """A new one, empty, that holds nothing. Raises Invalid, Absent, Forbidden, Conflict."""
        name, group_id = group_name(wanted.name or ""), self._door.new_id()

        def act(tx: Transaction) -> ShownGroup:
            require(caller, Level.OWN, PEOPLE, f"group {name}")
            self._unused(tx, name)
            made = Group(group_id, name, 1, tx.now, caller.name, tx.now)
            groups.add(tx, self._wanted(tx, caller, made, wanted))
            return self._found(tx, group_id)

        return self._door.change(caller, Deed("group.add", resource=group_id, detail={"name": name}), act)

    def change(self, caller: Caller, group_id: str, wanted: WantedGroup, if_match: int | None = None) -> ShownGroup:
        """Change what is given. Raises Invalid, Absent, Forbidden, Conflict, Outdated."""

        def act(tx: Transaction) -> ShownGroup:
            former = self._mine(tx, caller, group_id)
            deed.detail["name"] = former.name
            require_fresh(tx, caller, "changing a group")
            check_revision(if_match, former.revision)
            if wanted.name is not None and wanted.name != former.name:
                self._unused(tx, wanted.name)
                self._no_rule_beyond(tx, caller, group_id, f"group {former.name}")
                deed.detail["new_name"] = wanted.name
            changed = self._wanted(tx, caller, former, wanted)
            groups.change(tx, replace(changed, revision=former.revision + 1, updated_at=tx.now))
            return self._found(tx, group_id)

        told: dict[str, Detail] = {} if wanted.second_factor is None else {"second_factor": wanted.second_factor}
        deed = Deed("group.change", resource=group_id, detail=told)
        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, group_id: str, if_match: int | None = None) -> None:
        """It is gone, with its grants. Raises Absent, Forbidden, Conflict, Outdated."""

        def act(tx: Transaction) -> None:
            former = self._mine(tx, caller, group_id)
            deed.detail["name"] = former.name
            require_fresh(tx, caller, "removing a group")
            check_revision(if_match, former.revision)
            self._no_rule_beyond(tx, caller, group_id, f"group {former.name}")
            with an_owner_stays(tx):
                groups.remove(tx, group_id)

        deed = Deed("group.remove", resource=group_id)
        self._door.change(caller, deed, act)

    def join(self, caller: Caller, group_id: str, member_id: str) -> None:
        """A user, or a group, is in it from now on; if it is already, by hand, nothing happens.

        Raises Absent, Forbidden, Conflict.
        """
        row_id = self._door.new_id()

        def act(tx: Transaction) -> None:
            group = self._mine(tx, caller, group_id)
            user_id, child_id = self._member(tx, caller, member_id, deed)
            require_fresh(tx, caller, "letting somebody into a group")
            deed.detail["group"] = group.name
            require_fresh(tx, caller, "letting somebody into a group")
            if child_id:
                no_circle(tx, group, child_id)
            deed.detail["new"] = groups.join(tx, row_id, group_id, BY_HAND, user_id=user_id, child_id=child_id)

        deed = Deed("group.join", resource=group_id, detail={"member_id": member_id})
        self._door.change(caller, deed, act)

    def part(self, caller: Caller, group_id: str, member_id: str) -> None:
        """It is in it no more. Who is in it because of an identity provider, is for that to take out.

        Raises Absent, Forbidden, Conflict.
        """

        def act(tx: Transaction) -> None:
            group = self._mine(tx, caller, group_id)
            user_id, child_id = self._member(tx, caller, member_id, deed)
            deed.detail["group"] = group.name
            require_fresh(tx, caller, "taking somebody out of a group")
            with an_owner_stays(tx):
                gone = groups.part(tx, group_id, BY_HAND, user_id=user_id, child_id=child_id)
            left = [source for user, child, source in groups.direct(tx, group_id) if member_id in (user, child)]
            if left and not gone:
                raise Conflict(
                    f"this member is in the group by {', '.join(left)}, which puts it there: take it out there"
                )
            if not gone:
                raise Absent(f"member {fit(member_id)[:64]} of this group does not exist")

        deed = Deed("group.part", resource=group_id, detail={"member_id": member_id})
        self._door.change(caller, deed, act)

    def _member(self, tx: Transaction, caller: Caller, member_id: str, deed: Deed) -> tuple[str, str]:
        """The id of a user and of a group, one of them empty."""
        user, child = users.get(tx, member_id), groups.get(tx, member_id)
        if user is not None:
            # Rules may ask who is in which group: what somebody holds already may come into force by it.
            held = standing(tx, user).grants
            require_over(caller, held, f"user {user.email}")
            self._granting.require_within(tx, caller, f"user {user.email}", (grant for grant in held if grant.rule))
            return user.id, ""
        if child is not None:
            deed.detail["member"] = child.name
            require_over(caller, held_in(tx, child), f"group {child.name}")
            self._no_rule_beyond(tx, caller, child.id, f"group {child.name}")
            return "", child.id
        raise Absent(f"member {fit(member_id)[:64]} does not exist: it must be the id of a user or of a group")

    def _no_rule_beyond(self, tx: Transaction, caller: Caller, group_id: str, what: str) -> None:
        """No rule of its members gives what the caller, or this instance, does not reach. Raises Forbidden."""
        require_over_members(tx, caller, group_id, what)
        self._granting.require_within(tx, caller, f"a member of {what}", ruled_inside(tx, group_id))

    def _seen(self, tx: Transaction, caller: Caller, group_id: str) -> Group:
        require(caller, Level.USE, PEOPLE, f"group {fit(group_id)[:64]}")
        return _there(groups.get(tx, group_id), group_id)

    def _mine(self, tx: Transaction, caller: Caller, group_id: str) -> Group:
        require(caller, Level.OWN, PEOPLE, f"group {fit(group_id)[:64]}")
        group = _there(groups.get(tx, group_id), group_id)
        held = held_in(tx, group)
        require_over(caller, held, f"group {group.name}")
        self._granting.require_within(tx, caller, f"group {group.name}", held)
        return group

    @staticmethod
    def _unused(tx: Transaction, name: str) -> None:
        if groups.named(tx, name):
            raise Conflict(f"a group named {name} exists already")

    def _wanted(self, tx: Transaction, caller: Caller, former: Group, wanted: WantedGroup) -> Group:
        landing = former.landing_environment_id
        if wanted.landing_environment is not None:
            place = wanted.landing_environment
            landing = self._walls.enter(tx, caller, place).id if place else ""
        folder = former.landing_folder if wanted.landing_folder is None else wanted.landing_folder
        if not landing and wanted.landing_folder:
            raise Invalid("landing_folder goes with landing_environment", field="landing_folder")
        return replace(
            former,
            name=former.name if wanted.name is None else wanted.name,
            landing_environment_id=landing,
            landing_folder=folder if landing else "",
            second_factor=former.second_factor if wanted.second_factor is None else wanted.second_factor,
        )

    def _found(self, tx: Transaction, group_id: str) -> ShownGroup:
        return self._shown(tx, _there(groups.get(tx, group_id), group_id))

    def _shown(self, tx: Transaction, group: Group) -> ShownGroup:
        place = environments.get(tx, group.landing_environment_id) if group.landing_environment_id else None
        if place is not None and not self._walls.serves(place.name):
            place = None
        held = self._granting.shown(tx, Holder(group.id, group.name, Holding.GROUP))
        direct = {member.group_id for member in group.parents}
        parents = tuple(sorted(each.name for each in groups.read(tx, sorted(direct))))
        return ShownGroup(group, tuple(held), place.name if place else None, parents)


def no_circle(tx: Transaction, group: Group, child_id: str) -> None:
    """Raises Conflict if the group, with this one in it, would be in itself, or too deep."""
    upwards = above(tx, group.parents)
    if child_id == group.id or child_id in upwards:
        raise Conflict("the group would be in itself: a group cannot be in one that is in it")
    if _height(group, upwards) + _depth(tx, child_id) > DEEPEST:
        raise Conflict(f"groups in groups may be {DEEPEST} deep: this would be deeper")


def _height(group: Group, upwards: dict[str, Group]) -> int:
    """Groups from this one up to the topmost, along the longest way."""
    parents = [upwards[member.group_id] for member in group.parents if member.group_id in upwards]
    return 1 + max((_height(parent, upwards) for parent in parents), default=0)


def _depth(tx: Transaction, group_id: str) -> int:
    """Groups from this one down to the lowest, along the longest way."""
    depth, level = 0, {group_id}
    while level and depth <= DEEPEST:
        depth, level = depth + 1, groups.children(tx, level)
    return depth


def _there(found: Group | None, group_id: str) -> Group:
    if found is None:
        raise Absent(f"group {fit(group_id)[:64]} does not exist")
    return found
