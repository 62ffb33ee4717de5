"""Groups, and who is in them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from service.core.access import Grants
from service.core.person import Group, Member, Membership
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants
from service.ledger.ledger import Transaction
from service.ledger.persons import groups, members, users
from service.ledger.tokens import grant_of


def _made(row: Row[Any], of: Sequence[Row[Any]], held: Iterable[Row[Any]]) -> Group:
    return Group(
        row.id,
        row.name,
        row.revision,
        row.created_at,
        row.created_by,
        row.updated_at,
        row.external_id,
        row.provisioned,
        row.landing_environment_id or "",
        row.landing_folder,
        row.second_factor,
        tuple(Member(member.group_id, member.source) for member in of),
        Grants(map(grant_of, held)),
    )


def _filled(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Group]:
    ids = [row.id for row in rows]
    of: dict[str, list[Row[Any]]] = {}
    held: dict[str, list[Row[Any]]] = {}
    for page in (ids[at : at + 500] for at in range(0, len(ids), 500)):
        query = select(members).where(members.c.child_id.in_(page)).order_by(members.c.group_id, members.c.source)
        for member in tx.sql.execute(query):
            of.setdefault(member.child_id, []).append(member)
        for grant in tx.sql.execute(select(grants).where(grants.c.group_id.in_(page)).order_by(grants.c.id)):
            held.setdefault(grant.group_id, []).append(grant)
    return [_made(row, of.get(row.id, ()), held.get(row.id, ())) for row in rows]


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[Group]:
    """All of them, or among these."""
    query = select(groups) if ids is None else select(groups).where(groups.c.id.in_(ids))
    return _filled(tx, tx.sql.execute(query).all())


def get(tx: Transaction, group_id: str) -> Group | None:
    """By id."""
    return next(iter(read(tx, [group_id])), None)


def named(tx: Transaction, name: str) -> Group | None:
    """By name."""
    return next(iter(_filled(tx, tx.sql.execute(select(groups).where(groups.c.name == name)).all())), None)


def every(tx: Transaction, after: str, limit: int) -> list[Group]:
    """By name, behind `after`."""
    query = select(groups).where(groups.c.name > after).order_by(groups.c.name).limit(limit)
    return _filled(tx, tx.sql.execute(query).all())


def _row(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "external_id": group.external_id,
        "provisioned": group.provisioned,
        "landing_environment_id": group.landing_environment_id or None,
        "landing_folder": group.landing_folder,
        "second_factor": group.second_factor,
        "revision": group.revision,
        "updated_at": group.updated_at,
    }


def add(tx: Transaction, group: Group) -> None:
    """A new one, without members and grants."""
    own = {"id": group.id, "created_at": group.created_at, "created_by": group.created_by}
    tx.sql.execute(insert(groups).values(_row(group) | own))
    tx.touch(Changed.GROUP, group.id)


def change(tx: Transaction, group: Group) -> None:
    """What it is from now on, but for members and grants."""
    tx.sql.execute(update(groups).where(groups.c.id == group.id).values(_row(group)))
    tx.touch(Changed.GROUP, group.id)


def remove(tx: Transaction, group_id: str) -> None:
    """With its grants; its members are in it no more."""
    for row in tx.sql.execute(select(members).where(members.c.group_id == group_id)).all():
        _touch(tx, row.user_id, row.child_id)
    tx.touch(Changed.GROUP, group_id)
    tx.sql.execute(delete(groups).where(groups.c.id == group_id))


# -- members


def direct(tx: Transaction, group_id: str) -> list[tuple[str, str, str]]:
    """Who is in it directly: the id of a user or an empty text, that of a group or an empty text, and the source."""
    query = select(members).where(members.c.group_id == group_id).order_by(members.c.id)
    return [(row.user_id or "", row.child_id or "", row.source) for row in tx.sql.execute(query)]


def members_of(tx: Transaction, group_id: str, after: str, limit: int) -> list[Membership]:
    """Who is in it directly, by the ids of the memberships, behind `after`."""
    query = (
        select(members, users.c.email, groups.c.name)
        .outerjoin(users, users.c.id == members.c.user_id)
        .outerjoin(groups, groups.c.id == members.c.child_id)
        .where(members.c.group_id == group_id, members.c.id > after)
        .order_by(members.c.id)
        .limit(limit)
    )
    return [
        Membership(
            row.id,
            row.user_id or row.child_id,
            "user" if row.user_id else "group",
            row.email or row.name,
            row.source,
        )
        for row in tx.sql.execute(query)
    ]


def children(tx: Transaction, ids: Collection[str]) -> set[str]:
    """The groups that are in any of these directly."""
    query = select(members.c.child_id).where(members.c.group_id.in_(ids), members.c.child_id.is_not(None))
    return set(tx.sql.execute(query).scalars())


def users_in(tx: Transaction, ids: Collection[str]) -> set[str]:
    """The users that are in any of these directly."""
    query = select(members.c.user_id).where(members.c.group_id.in_(ids), members.c.user_id.is_not(None))
    return set(tx.sql.execute(query).scalars())


def join(tx: Transaction, member_id: str, group_id: str, source: str, *, user_id: str = "", child_id: str = "") -> bool:
    """A user, or a group, is in the group. False: it was, by the same source. Loops are for the keeper to refuse."""
    if tx.sql.execute(select(members.c.id).where(_is(group_id, source, user_id, child_id))).first():
        return False
    row = {"id": member_id, "group_id": group_id, "user_id": user_id or None, "child_id": child_id or None}
    tx.sql.execute(insert(members).values(row | {"source": source}))
    _touch(tx, user_id, child_id)
    return True


def part(tx: Transaction, group_id: str, source: str, *, user_id: str = "", child_id: str = "") -> bool:
    """It is in it no more, by this source. False: it was not."""
    gone = tx.sql.execute(delete(members).where(_is(group_id, source, user_id, child_id))).rowcount
    if gone:
        _touch(tx, user_id, child_id)
    return bool(gone)


def _is(group_id: str, source: str, user_id: str, child_id: str) -> Any:
    who = members.c.user_id == user_id if user_id else members.c.child_id == child_id
    return (members.c.group_id == group_id) & (members.c.source == source) & who


def _touch(tx: Transaction, user_id: str | None, child_id: str | None) -> None:
    if user_id:
        tx.touch(Changed.USER, user_id)
    if child_id:
        tx.touch(Changed.GROUP, child_id)
