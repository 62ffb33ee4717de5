"""Second factors and recovery codes. Whatever is good once is used up by one conditional statement."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from service.core.factor import Factor, FactorKind
from service.ledger.changes import Kind as Changed
from service.ledger.ledger import Transaction
from service.ledger.persons import factors, recovery_codes, sessions


def _made(row: Row[Any]) -> Factor:
    return Factor(
        row.id,
        row.user_id,
        FactorKind(row.kind),
        row.name,
        row.sealed,
        row.credential_id,
        row.used,
        row.created_at,
        row.last_used_at,
    )


def of(tx: Transaction, user_id: str) -> list[Factor]:
    """A user's, the oldest first."""
    query = select(factors).where(factors.c.user_id == user_id).order_by(factors.c.created_at, factors.c.id)
    return [_made(row) for row in tx.sql.execute(query)]


def find(tx: Transaction, factor_id: str) -> Factor | None:
    """By id."""
    row = tx.sql.execute(select(factors).where(factors.c.id == factor_id)).one_or_none()
    return _made(row) if row else None


def credential(tx: Transaction, credential_id: str) -> Factor | None:
    """A passkey, by what its authenticator calls it."""
    row = tx.sql.execute(select(factors).where(factors.c.credential_id == credential_id)).one_or_none()
    return _made(row) if row else None


def add(tx: Transaction, factor: Factor) -> None:
    """It counts from now on."""
    tx.sql.execute(insert(factors).values(vars(factor) | {"kind": factor.kind.value}))
    tx.touch(Changed.USER, factor.user_id)


def remove(tx: Transaction, factor: Factor) -> None:
    """It counts no more. With the last one go the recovery codes."""
    tx.sql.execute(delete(factors).where(factors.c.id == factor.id))
    if not tx.sql.execute(select(factors.c.id).where(factors.c.user_id == factor.user_id).limit(1)).first():
        tx.sql.execute(delete(recovery_codes).where(recovery_codes.c.user_id == factor.user_id))
    tx.touch(Changed.USER, factor.user_id)


def use(tx: Transaction, factor_id: str, number: int) -> bool:
    """It was shown, with this time step or signature count. False: that one, or a later one, was shown before.

    Compared and moved by one statement: of two replicas that are shown the same at once, one hears False.
    """
    mine = (factors.c.id == factor_id) & (factors.c.used < number)
    return bool(tx.sql.execute(update(factors).where(mine).values(used=number, last_used_at=tx.now)).rowcount)


def seen(tx: Transaction, factor_id: str) -> bool:
    """A passkey whose authenticator does not count was shown. False: it has counted before."""
    mine = (factors.c.id == factor_id) & (factors.c.used == 0)
    return bool(tx.sql.execute(update(factors).where(mine).values(last_used_at=tx.now)).rowcount)


# -- recovery codes


def codes(tx: Transaction, user_id: str) -> list[tuple[str, bytes]]:
    """Those of a user that were not used yet: id and hash."""
    query = select(recovery_codes).where(recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None))
    return [(row.id, row.hash) for row in tx.sql.execute(query)]


def codes_left(tx: Transaction, user_id: str) -> int:
    """How many were not used yet."""
    query = select(func.count()).where(recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None))
    return int(tx.sql.execute(query).scalar_one())


def replace_codes(tx: Transaction, user_id: str, made: Iterable[tuple[str, bytes]]) -> None:
    """These are a user's from now on: id and hash. The former ones are of no use any more."""
    tx.sql.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    rows = [{"id": each, "user_id": user_id, "hash": hashed, "used_at": None} for each, hashed in made]
    tx.sql.execute(insert(recovery_codes), rows)


def use_code(tx: Transaction, code_id: str) -> bool:
    """It was shown. False: somebody was quicker."""
    mine = (recovery_codes.c.id == code_id) & recovery_codes.c.used_at.is_(None)
    return bool(tx.sql.execute(update(recovery_codes).where(mine).values(used_at=tx.now)).rowcount)


# -- sessions


def freshen(tx: Transaction, token_id: str) -> None:
    """A second factor was shown in this session just now."""
    tx.sql.execute(update(sessions).where(sessions.c.token_id == token_id).values(factor_at=tx.now))
    tx.touch(Changed.TOKEN, token_id)


def stale(tx: Transaction, user_id: str) -> None:
    """What was shown in this user's sessions counts no more."""
    mine = (sessions.c.user_id == user_id) & sessions.c.factor_at.is_not(None)
    ids = list(tx.sql.execute(select(sessions.c.token_id).where(mine)).scalars())
    if ids:
        tx.sql.execute(update(sessions).where(sessions.c.token_id.in_(ids)).values(factor_at=None))
        tx.touch(Changed.TOKEN, *ids)
