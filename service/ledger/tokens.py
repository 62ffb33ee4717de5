"""Tokens, their grants, and answers kept for repeated Idempotency-Keys."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from service.core.access import Grant, Kind, Level
from service.core.token import NO_SECRET, Token
from service.ledger.changes import Kind as Changed
from service.ledger.ledger import Transaction
from service.ledger.tables import grants, replies, tokens


def _grant(row: Row[Any]) -> Grant:
    return Grant(Level.of(row.level), Kind(row.kind), row.environment_id or "", row.path)


def _token(tx: Transaction, row: Row[Any]) -> Token:
    return _made(row, tx.sql.execute(select(grants).where(grants.c.token_id == row.id).order_by(grants.c.id)))


def _made(row: Row[Any], held: Iterable[Row[Any]]) -> Token:
    return Token(
        row.id,
        row.name,
        row.hash,
        tuple(map(_grant, held)),
        tuple(row.allowlist),
        row.created_at,
        row.created_by,
        row.expires_at,
        tuple(row.certificates),
    )


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[Token]:
    """All of them, or those that are still there, with their grants."""
    held: dict[str, list[Row[Any]]] = {}
    query = select(grants).order_by(grants.c.id)
    for row in tx.sql.execute(query if ids is None else query.where(grants.c.token_id.in_(ids))):
        held.setdefault(row.token_id, []).append(row)
    found = tx.sql.execute(select(tokens) if ids is None else select(tokens).where(tokens.c.id.in_(ids)))
    return [_made(row, held.get(row.id, ())) for row in found]


def find(tx: Transaction, token_id: str) -> Token | None:
    """By id."""
    row = tx.sql.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    return _token(tx, row) if row else None


def named(tx: Transaction, name: str) -> Token | None:
    """By name."""
    row = tx.sql.execute(select(tokens).where(tokens.c.name == name)).one_or_none()
    return _token(tx, row) if row else None


def every(tx: Transaction, after: str, limit: int) -> list[Token]:
    """By name, behind `after`."""
    query = select(tokens).where(tokens.c.name > after).order_by(tokens.c.name).limit(limit)
    return [_token(tx, row) for row in tx.sql.execute(query).all()]


def add(tx: Transaction, token: Token) -> None:
    """A new one, without its grants."""
    row = {name: value for name, value in vars(token).items() if name != "grants"}
    lists = {"allowlist": list(token.allowlist), "certificates": list(token.certificates)}
    tx.sql.execute(insert(tokens).values(row | lists))
    tx.touch(Changed.TOKEN, token.id)


def bind(tx: Transaction, token_id: str, certificates: Collection[str]) -> None:
    """To these, and no others."""
    tx.sql.execute(update(tokens).where(tokens.c.id == token_id).values(certificates=list(certificates)))
    tx.touch(Changed.TOKEN, token_id)


def alone(tx: Transaction, certificates: Collection[str]) -> list[Token]:
    """Those without a secret that one of these certificates stands for."""
    rows = tx.sql.execute(select(tokens).where(tokens.c.hash == NO_SECRET)).all()
    return [_token(tx, row) for row in rows if not set(certificates).isdisjoint(row.certificates)]


def remove(tx: Transaction, token_id: str) -> None:
    """With its grants."""
    tx.sql.execute(delete(tokens).where(tokens.c.id == token_id))
    tx.touch(Changed.TOKEN, token_id)


@dataclass(frozen=True)
class HeldGrant:
    """A grant, and who holds it."""

    id: str
    token_id: str
    token: str
    grant: Grant


def add_grant(tx: Transaction, grant_id: str, token_id: str, grant: Grant) -> None:
    """One more grant for a token."""
    tx.sql.execute(
        insert(grants).values(
            id=grant_id,
            token_id=token_id,
            level=grant.level.word,
            kind=grant.kind.value,
            environment_id=grant.environment_id or None,
            path=grant.path,
        )
    )
    tx.touch(Changed.TOKEN, token_id)


def every_grant(tx: Transaction, after: str, limit: int) -> list[HeldGrant]:
    """By id, behind `after`."""
    query = (
        select(grants, tokens.c.name.label("token"))
        .join(tokens, tokens.c.id == grants.c.token_id)
        .where(grants.c.id > after)
        .order_by(grants.c.id)
        .limit(limit)
    )
    return [HeldGrant(row.id, row.token_id, row.token, _grant(row)) for row in tx.sql.execute(query)]


def find_grant(tx: Transaction, grant_id: str) -> HeldGrant | None:
    """By id."""
    query = select(grants, tokens.c.name.label("token")).join(tokens, tokens.c.id == grants.c.token_id)
    row = tx.sql.execute(query.where(grants.c.id == grant_id)).one_or_none()
    return HeldGrant(row.id, row.token_id, row.token, _grant(row)) if row else None


def remove_grant(tx: Transaction, grant_id: str) -> None:
    """One grant."""
    gone = tx.sql.execute(delete(grants).where(grants.c.id == grant_id).returning(grants.c.token_id))
    tx.touch(Changed.TOKEN, *gone.scalars())


@dataclass(frozen=True)
class Reply:
    """An answer that is given again when its Idempotency-Key comes again with the same request."""

    token_id: str
    key: str
    request: bytes
    status: int
    sealed: bytes
    expires_at: datetime


def reply(tx: Transaction, token_id: str, key: str) -> Reply | None:
    """The kept answer, unless it has expired."""
    query = select(replies).where(replies.c.token_id == token_id, replies.c.key == key, replies.c.expires_at > tx.now)
    row = tx.sql.execute(query).one_or_none()
    return Reply(*row) if row else None


def keep_reply(tx: Transaction, kept: Reply) -> None:
    """Keep an answer; expired ones go."""
    tx.sql.execute(delete(replies).where(replies.c.expires_at <= tx.now))
    tx.sql.execute(insert(replies).values(vars(kept)))
