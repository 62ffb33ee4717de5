"""Provisioned groups, as the identity provider that keeps them may see and change them. See `directory.py`.

Of the members it sees and changes those that it put there itself; who is in a group by hand stays in it.
"""

from collections.abc import Iterable
from dataclasses import replace

from service.core.access import Caller
from service.core.directory import Found, KeptGroup, KeptMember, Sought, Taken, WantedGroup
from service.core.errors import Absent, Invalid, Outdated
from service.core.person import BY_SCIM, Group
from service.keeper.directory_users import BY, require_provider
from service.keeper.door import Deed, Door
from service.keeper.groups import no_circle
from service.keeper.standing import an_owner_stays
from service.ledger import directory, groups
from service.ledger.ledger import Transaction


class DirectoryGroups:
    """Operations on provisioned groups."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def find(self, caller: Caller, sought: Sought) -> Found[KeptGroup]:
        """A page of them. Raises Absent, Forbidden."""

        def evaluate(tx: Transaction) -> Found[KeptGroup]:
            require_provider(caller, "the list of groups")
            return directory.sought_groups(tx, sought)

        return self._door.fetch(caller, Deed("group.list", detail=dict(BY)), evaluate)

    def get(self, caller: Caller, group_id: str) -> KeptGroup:
        """One of them. Raises Absent, Forbidden."""
        deed = Deed("group.get", resource=group_id, detail=dict(BY))
        return self._door.fetch(caller, deed, lambda tx: _found(tx, caller, group_id))

    def add(self, caller: Caller, wanted: WantedGroup) -> KeptGroup:
        """A new one, which nothing was granted to yet. Raises Invalid, Absent, Forbidden, Conflict."""
        group_id = self._door.new_id()
        deeds = [Deed("group.add", resource=group_id, detail=BY | {"name": wanted.name})]

        def act(tx: Transaction) -> KeptGroup:
            require_provider(caller, "the list of groups")
            _check_name(tx, wanted.name, "")
            made = Group(group_id, wanted.name, 1, tx.now, caller.name, tx.now, wanted.external_id, provisioned=True)
            groups.add(tx, made)
            deeds.extend(self._join(tx, made, wanted.members))
            return _kept(tx, group_id)

        return self._door.change(caller, deeds, act)

    def change(self, caller: Caller, group_id: str, wanted: WantedGroup, version: str | None = None) -> KeptGroup:
        """It is as wanted from now on, and so are its members. Raises Invalid, Absent, Forbidden, Conflict, Outdated.

        Every membership that begins or ends is an event of its own.
        """
        deeds = [Deed("group.change", resource=group_id, detail=dict(BY))]

        def act(tx: Transaction) -> KeptGroup:
            kept = _found(tx, caller, group_id)
            _check(version, kept)
            _check_name(tx, wanted.name, group_id)
            deeds[0].detail["name"] = kept.group.name
            if wanted.name != kept.group.name:
                deeds[0].detail["new_name"] = wanted.name
            gone = [member for member in kept.members if member.id not in wanted.members]
            if gone:
                with an_owner_stays(tx):
                    deeds.extend(_part(tx, group_id, gone))
            deeds.extend(self._join(tx, kept.group, wanted.members - {member.id for member in kept.members}))
            groups.change(
                tx,
                replace(
                    kept.group,
                    name=wanted.name,
                    external_id=wanted.external_id,
                    revision=kept.group.revision + 1,
                    updated_at=tx.now,
                ),
            )
            return _kept(tx, group_id)

        return self._door.change(caller, deeds, act)

    def remove(self, caller: Caller, group_id: str, version: str | None = None) -> None:
        """It is gone, with what it was granted; nobody is in it any more. Raises Absent, Forbidden, Outdated."""

        def act(tx: Transaction) -> None:
            kept = _found(tx, caller, group_id)
            _check(version, kept)
            deed.detail["name"] = kept.group.name
            with an_owner_stays(tx):
                groups.remove(tx, group_id)

        deed = Deed("group.remove", resource=group_id, detail=dict(BY))
        self._door.change(caller, deed, act)

    def _join(self, tx: Transaction, group: Group, ids: Iterable[str]) -> list[Deed]:
        wanted = sorted(ids)
        known = directory.known(tx, wanted)
        if any(each not in known for each in wanted):
            raise Invalid(
                "members: there is no provisioned user, and no provisioned group, of such an id", field="members"
            )
        deeds = []
        for each in wanted:
            if known[each]:
                no_circle(tx, group, each)
            one = {"child_id": each} if known[each] else {"user_id": each}
            groups.join(tx, self._door.new_id(), group.id, BY_SCIM, **one)
            deeds.append(Deed("group.join", resource=group.id, detail=BY | {"member_id": each}))
        return deeds


def _part(tx: Transaction, group_id: str, gone: Iterable[KeptMember]) -> list[Deed]:
    for member in gone:
        one = {"child_id": member.id} if member.group else {"user_id": member.id}
        groups.part(tx, group_id, BY_SCIM, **one)
    return [Deed("group.part", resource=group_id, detail=BY | {"member_id": member.id}) for member in gone]


def _found(tx: Transaction, caller: Caller, group_id: str) -> KeptGroup:
    require_provider(caller, f"group {group_id[:64]}")
    kept = directory.group(tx, group_id)
    if kept is None:
        raise Absent(f"group {group_id[:64]} does not exist")
    return kept


def _kept(tx: Transaction, group_id: str) -> KeptGroup:
    kept = directory.group(tx, group_id)
    assert kept is not None  # it was written just now  # noqa: S101
    return kept


def _check(version: str | None, kept: KeptGroup) -> None:
    if version is not None and version != kept.version:
        raise Outdated("the group was changed meanwhile: read it again")


def _check_name(tx: Transaction, name: str, group_id: str) -> None:
    """Groups made by hand have names, too. Raises Conflict."""
    there = groups.named(tx, name)
    if there is not None and there.id != group_id:
        raise Taken("another group has this displayName")
