"""What somebody stands for: everything that a user, or a member of a group, holds; and who may lay hands on that.

    nobody changes, takes over, or lets others into what holds more than they own themselves
    of those who own everything and can sign in, the last one stays

Groups hold their own grants and those of the groups that they are in, upwards.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from service.core.access import EVERYTHING, Caller, Grant, Level, Thing
from service.core.errors import Conflict, Forbidden
from service.core.person import Group, Member, User
from service.keeper.snapshot import Person, person
from service.ledger import groups, owners, users
from service.ledger.ledger import Transaction


def standing(tx: Transaction, user: User) -> Person:
    """The user with everything that it holds, as the ledger has it."""
    return person(user, above(tx, user.memberships))


def above(tx: Transaction, memberships: Iterable[Member]) -> dict[str, Group]:
    """The groups that these memberships lead to, directly or by groups in groups, by id."""
    found: dict[str, Group] = {}
    ahead = {member.group_id for member in memberships}
    while ahead:
        level = groups.read(tx, sorted(ahead))
        found |= {group.id: group for group in level}
        ahead = {member.group_id for group in level for member in group.parents} - found.keys()
    return found


def held_in(tx: Transaction, group: Group) -> tuple[Grant, ...]:
    """What every member of a group holds by it."""
    return (*group.grants, *(grant for each in above(tx, group.parents).values() for grant in each.grants))


def require_over(caller: Caller, held: Iterable[Grant], what: str) -> None:
    """Raises Forbidden where something is held that the caller does not own itself."""
    if caller.kind == "system":
        return
    for grant in held:
        if caller.outright(Thing(grant.kind, grant.environment_id, grant.path)) != Level.OWN:
            raise Forbidden(f"{what} holds more than you own: this is for somebody who owns all of it")


def require_over_members(tx: Transaction, caller: Caller, group_id: str, what: str) -> None:
    """Rules ask who is in which group: what members hold by rules may come into force by what is done to the group.

    Raises Forbidden where a user in the group, or in a group in it, holds by a rule what the caller does not own.
    """
    if caller.outright(EVERYTHING) is not Level.OWN:
        require_over(caller, ruled_inside(tx, group_id), f"a member of {what}")


def ruled_inside(tx: Transaction, group_id: str) -> Iterator[Grant]:
    """What users in the group, or in a group in it, hold by rules, whatever it is that gives it to them."""
    found: set[str] = set()
    inside, level = {group_id}, {group_id}
    while level:
        found |= groups.users_in(tx, sorted(level))
        level = groups.children(tx, sorted(level)) - inside
        inside |= level
    known = {group.id: group for group in groups.read(tx)}
    ids = sorted(found)
    for page in (ids[at : at + 500] for at in range(0, len(ids), 500)):
        for user in users.read(tx, page):
            yield from (grant for grant in person(user, known).grants if grant.rule)


@contextmanager
def an_owner_stays(tx: Transaction) -> Iterator[None]:
    """Whatever is done within: there is still a person who owns everything and can sign in, if there was one.

    Raises Conflict; the transaction has to end with it.
    """
    before = owners.can_sign_in(tx, owners.owners(tx))
    yield
    if before and not owners.can_sign_in(tx, owners.owners(tx)):
        raise Conflict("nobody who owns everything could sign in any more: let somebody else own everything first")
