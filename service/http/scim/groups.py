"""A group as SCIM has it, and as Keywright does: `displayName` is its name, `members` are users and groups by id."""

from typing import Any

from scim2_models import Meta, Reference

from service.core.directory import KeptGroup, WantedGroup
from service.http.scim.provider import Group, GroupMember


def wanted(said: Any) -> WantedGroup:
    """What a provider wants to be of a group. Raises Invalid."""
    members = frozenset(member.value for member in said.members or () if member.value)
    return WantedGroup((said.display_name or "").strip(), said.external_id or "", members)


def shown(kept: KeptGroup) -> Any:
    """A group as it is answered."""
    group = kept.group
    made = Group(id=group.id, external_id=group.external_id or None, display_name=group.name)
    if kept.members:
        made.members = [
            GroupMember(
                value=member.id,
                ref=Reference(f"{'Groups' if member.group else 'Users'}/{member.id}"),
                type="Group" if member.group else "User",
            )
            for member in kept.members
        ]
    made.meta = Meta(
        resource_type="Group", created=group.created_at, last_modified=group.updated_at, version=f'W/"{kept.version}"'
    )
    return made
