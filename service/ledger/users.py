"""Users: people's accounts, and what proves who they are, but for factors."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from service.core.access import Grants
from service.core.person import Member, User, UserType
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants, tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import factors, members, profiles, recovery_codes, users
from service.ledger.tokens import grant_of


def _made(row: Row[Any], of: Sequence[Row[Any]], held: Iterable[Row[Any]], kinds: Sequence[str]) -> User:
    return User(
        row.id,
        row.email,
        row.name,
        row.enabled,
        UserType(row.type),
        {name: value if isinstance(value, str) else tuple(value) for name, value in row.attributes.items()},
        row.revision,
        row.created_at,
        row.created_by,
        row.updated_at,
        row.external_id,
        row.provider_id,
        row.subject,
        row.password_hash is not None,
        row.password_changed_at,
        row.password_ends_at,
        row.must_change,
        row.emergency,
        tuple(sorted(kinds)),
        row.last_login_at,
        row.last_active_at,
        tuple(Member(member.group_id, member.source) for member in of),
        Grants(map(grant_of, held)),
    )


def _filled(tx: Transaction, rows: Sequence[Row[Any]]) -> list[User]:
    """With their memberships, grants and kinds of factors; any number of them, in few questions."""
    ids = [row.id for row in rows]
    of: dict[str, list[Row[Any]]] = {}
    held: dict[str, list[Row[Any]]] = {}
    kinds: dict[str, list[str]] = {}
    for page in (ids[at : at + 500] for at in range(0, len(ids), 500)):
        query = select(members).where(members.c.user_id.in_(page)).order_by(members.c.group_id, members.c.source)
        for member in tx.sql.execute(query):
            of.setdefault(member.user_id, []).append(member)
        for grant in tx.sql.execute(select(grants).where(grants.c.user_id.in_(page)).order_by(grants.c.id)):
            held.setdefault(grant.user_id, []).append(grant)
        for factor in tx.sql.execute(select(factors.c.user_id, factors.c.kind).where(factors.c.user_id.in_(page))):
            kinds.setdefault(factor.user_id, []).append(factor.kind)
    return [_made(row, of.get(row.id, ()), held.get(row.id, ()), kinds.get(row.id, ())) for row in rows]


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[User]:
    """All of them, or among these."""
    query = select(users) if ids is None else select(users).where(users.c.id.in_(ids))
    return _filled(tx, tx.sql.execute(query).all())


def get(tx: Transaction, user_id: str) -> User | None:
    """By id."""
    return next(iter(read(tx, [user_id])), None)


def named(tx: Transaction, email: str) -> User | None:
    """By address, in its normal form."""
    return next(iter(_filled(tx, tx.sql.execute(select(users).where(users.c.email == email)).all())), None)


def subject(tx: Transaction, provider_id: str, subject: str) -> User | None:
    """By who it is at its identity provider."""
    query = select(users).where(users.c.provider_id == provider_id, users.c.subject == subject)
    return next(iter(_filled(tx, tx.sql.execute(query).all())), None)


def external(tx: Transaction, external_id: str) -> list[User]:
    """By what whoever provisions them calls them; several, if several do."""
    query = select(users).where(users.c.external_id == external_id).order_by(users.c.id)
    return _filled(tx, tx.sql.execute(query).all())


def every(tx: Transaction, after: str, limit: int) -> list[User]:
    """By address, behind `after`."""
    query = select(users).where(users.c.email > after).order_by(users.c.email).limit(limit)
    return _filled(tx, tx.sql.execute(query).all())


def _row(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "enabled": user.enabled,
        "type": user.type.value,
        "external_id": user.external_id,
        "provider_id": user.provider_id,
        "subject": user.subject,
        "attributes": {
            name: value if isinstance(value, str) else list(value) for name, value in user.attributes.items()
        },
        "password_ends_at": user.password_ends_at,
        "must_change": user.must_change,
        "emergency": user.emergency,
        "revision": user.revision,
        "updated_at": user.updated_at,
    }


def add(tx: Transaction, user: User) -> None:
    """A new one, without password, memberships, factors and grants."""
    own = {"id": user.id, "failures": 0, "created_at": user.created_at, "created_by": user.created_by}
    tx.sql.execute(insert(users).values(_row(user) | own))
    tx.touch(Changed.USER, user.id)


def change(tx: Transaction, user: User) -> None:
    """What it is from now on, but for password, memberships, factors and grants."""
    tx.sql.execute(update(users).where(users.c.id == user.id).values(_row(user)))
    if user.enabled:  # whoever disables it next, it was not the one before
        tx.sql.execute(update(profiles).where(profiles.c.user_id == user.id).values(ended=False))
    tx.touch(Changed.USER, user.id)


def remove(tx: Transaction, user_id: str) -> None:
    """With everything that is its own."""
    tx.touch(Changed.TOKEN, *tx.sql.execute(select(tokens.c.id).where(tokens.c.user_id == user_id)).scalars())
    tx.touch(Changed.USER, user_id)
    tx.sql.execute(delete(users).where(users.c.id == user_id))


def seen(tx: Transaction, user_id: str, *, login: bool = False) -> None:
    """It was here just now. No answer depends on it but those about users."""
    values = {"last_active_at": tx.now} | ({"last_login_at": tx.now} if login else {})
    tx.sql.execute(update(users).where(users.c.id == user_id).values(values))
    tx.touch(Changed.USER, user_id)


# -- passwords


@dataclass(frozen=True)
class Guarded:
    """A user's password as it is kept, and how often in a row what was shown was wrong."""

    hash: str | None
    failures: int
    failed_at: datetime | None


def guarded(tx: Transaction, user_id: str) -> Guarded:
    """Of a user that there is."""
    row = tx.sql.execute(select(users).where(users.c.id == user_id)).one()
    return Guarded(row.password_hash, row.failures, row.failed_at)


def set_password(
    tx: Transaction, user_id: str, password_hash: str | None, ends_at: datetime | None, *, must_change: bool = False
) -> None:
    """This is its password from now on; None: it has none."""
    values = {"password_hash": password_hash, "password_changed_at": tx.now, "password_ends_at": ends_at}
    tx.sql.execute(update(users).where(users.c.id == user_id).values(values | {"must_change": must_change}))
    tx.touch(Changed.USER, user_id)


def rehash(tx: Transaction, user_id: str, password_hash: str) -> None:
    """The same password, with the cost of today."""
    tx.sql.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def failed(tx: Transaction, user_id: str, count: int) -> None:
    """What was shown was wrong so often in a row; 0: it was right."""
    values = {"failures": count, "failed_at": tx.now if count else None}
    tx.sql.execute(update(users).where(users.c.id == user_id).values(values))


def drop_factors(tx: Transaction, user_id: str) -> int:
    """It has no second factor any more, nor recovery codes. How many factors it had."""
    tx.sql.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    tx.touch(Changed.USER, user_id)
    return tx.sql.execute(delete(factors).where(factors.c.user_id == user_id)).rowcount


# -- tokens of persons


def end_tokens(tx: Transaction, user_id: str, *, but: str = "", sessions_only: bool = False) -> int:
    """Its sessions, and tokens of its own unless only sessions are meant, are of no use from now on. How many."""
    mine = tokens.c.user_id == user_id
    query = select(tokens.c.id).where(mine, tokens.c.id != but)
    if sessions_only:
        query = query.where(tokens.c.label == "")
    ids = list(tx.sql.execute(query).scalars())
    if ids:
        tx.sql.execute(delete(tokens).where(tokens.c.id.in_(ids)))
        tx.touch(Changed.TOKEN, *ids)
    return len(ids)
