"""What identity providers keep here by SCIM: provisioned users with their profiles, and provisioned groups.

Users for emergencies are none of theirs, whoever made them: no question here finds one.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select

from service.core.directory import Found, KeptGroup, KeptMember, KeptUser, Profile, Sought, folded
from service.core.person import BY_SCIM, UserType
from service.ledger import groups as all_groups
from service.ledger import users as all_users
from service.ledger.ledger import Transaction
from service.ledger.persons import groups, members, profiles, users

_PAGE = 500
_KEPT_USERS = (users.c.type == UserType.PROVISIONED.value) & ~users.c.emergency
_KEPT_GROUPS = groups.c.provisioned


def sought_users(tx: Transaction, sought: Sought) -> Found[KeptUser]:
    """Provisioned users."""
    # One without a profile was made when it signed in, and is called by its address.
    name = func.coalesce(profiles.c.user_name, users.c.email)
    by: dict[str, ColumnElement[bool]] = {
        "": _KEPT_USERS,
        "id": _KEPT_USERS & (users.c.id == sought.value),
        "user_name": _KEPT_USERS & (name == folded(sought.value)),
        "external_id": _KEPT_USERS & (users.c.external_id == sought.value),
    }
    source = users.outerjoin(profiles, profiles.c.user_id == users.c.id)
    total, ids = _page(tx, select(users.c.id).select_from(source).where(by[sought.by]), users, sought)
    return Found(total, tuple(_users(tx, ids)))


def sought_groups(tx: Transaction, sought: Sought) -> Found[KeptGroup]:
    """Provisioned groups."""
    by: dict[str, ColumnElement[bool]] = {
        "": _KEPT_GROUPS,
        "id": _KEPT_GROUPS & (groups.c.id == sought.value),
        "name": _KEPT_GROUPS & (func.lower(groups.c.name) == sought.value.lower()),
        "external_id": _KEPT_GROUPS & (groups.c.external_id == sought.value),
    }
    total, ids = _page(tx, select(groups.c.id).where(by[sought.by]), groups, sought)
    return Found(total, tuple(_groups(tx, ids, told=sought.members)))


def user(tx: Transaction, user_id: str) -> KeptUser | None:
    """By id; None also for one that is not provisioned."""
    return next(iter(sought_users(tx, Sought("id", user_id)).items), None)


def group(tx: Transaction, group_id: str) -> KeptGroup | None:
    """By id; None also for one that is not provisioned."""
    return next(iter(sought_groups(tx, Sought("id", group_id)).items), None)


def known(tx: Transaction, ids: Collection[str]) -> Mapping[str, bool]:
    """Which of these are provisioned users (False) or provisioned groups (True)."""
    found: dict[str, bool] = {}
    for page in _pages(sorted(ids)):
        of_users = select(users.c.id).where(_KEPT_USERS, users.c.id.in_(page))
        of_groups = select(groups.c.id).where(_KEPT_GROUPS, groups.c.id.in_(page))
        found |= dict.fromkeys(tx.sql.execute(of_users).scalars(), False)
        found |= dict.fromkeys(tx.sql.execute(of_groups).scalars(), True)
    return found


def holder(tx: Transaction, user_name: str) -> str | None:
    """The id of the user with a profile of this name."""
    query = select(profiles.c.user_id).where(profiles.c.user_name == folded(user_name))
    found: str | None = tx.sql.execute(query).scalar_one_or_none()
    return found


def write(tx: Transaction, user_id: str, profile: Profile) -> None:
    """This is said of a user from now on."""
    tx.sql.execute(delete(profiles).where(profiles.c.user_id == user_id))
    row = {"ended": profile.ended, "document": dict(profile.document)}
    tx.sql.execute(insert(profiles).values(row | {"user_id": user_id, "user_name": folded(profile.user_name)}))


def _page(tx: Transaction, query: Select[Any], table: Any, sought: Sought) -> tuple[int, list[str]]:
    """In the order in which they were made: what is new comes last, and moves nothing that was told already."""
    total: int = tx.sql.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    page = query.order_by(table.c.created_at, table.c.id).offset(sought.offset).limit(sought.limit)
    return total, list(tx.sql.execute(page).scalars())


def _users(tx: Transaction, ids: list[str]) -> Iterator[KeptUser]:
    for page in _pages(ids):
        of = {user.id: user for user in all_users.read(tx, page)}
        said = {row.user_id: row for row in tx.sql.execute(select(profiles).where(profiles.c.user_id.in_(page)))}
        among: dict[str, list[KeptMember]] = {}
        query = (
            select(members.c.user_id, groups.c.id, groups.c.name)
            .join(groups, groups.c.id == members.c.group_id)
            .where(members.c.user_id.in_(page), members.c.source == BY_SCIM, _KEPT_GROUPS)
            .order_by(groups.c.name, groups.c.id)
        )
        for row in tx.sql.execute(query):
            among.setdefault(row.user_id, []).append(KeptMember(row.id, row.name, group=True))
        for each in page:
            user = of[each]
            yield KeptUser(user, _profile(said.get(each), user.email), tuple(among.get(each, ())))


def _profile(row: Row[Any] | None, email: str) -> Profile:
    if row is None:
        return Profile(email, {})
    document: dict[str, object] = row.document
    return Profile(str(document.get("userName", row.user_name)), document, row.ended)


def _groups(tx: Transaction, ids: list[str], *, told: bool) -> Iterator[KeptGroup]:
    for page in _pages(ids):
        of = {group.id: group for group in all_groups.read(tx, page)}
        among: dict[str, list[KeptMember]] = {}
        if told:
            query = select(members).where(members.c.group_id.in_(page), members.c.source == BY_SCIM)
            for row in tx.sql.execute(query.order_by(members.c.id)):
                among.setdefault(row.group_id, []).append(
                    KeptMember(row.user_id or row.child_id, group=not row.user_id)
                )
        for each in page:
            yield KeptGroup(of[each], tuple(among.get(each, ())))


def _pages(ids: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(ids), _PAGE):
        yield ids[begin : begin + _PAGE]
