"""Tokens, and answers kept for repeated Idempotency-Keys."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from service.core.access import Grant, Grants, Kind, Level
from service.core.machine import Metadata
from service.core.person import Session
from service.core.token import NO_SECRET, Token
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants, machines, replies, tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import sessions, users


def grant_of(row: Row[Any]) -> Grant:
    """As a row has it."""
    return Grant(Level.of(row.level), Kind(row.kind), row.environment_id or "", row.path, row.rule)


def _made(row: Row[Any], held: Iterable[Row[Any]]) -> Token:
    return Token(
        row.id,
        row.name or row.machine or row.email,
        row.hash,
        Grants(map(grant_of, held)),
        tuple(row.allowlist if row.machine_id is None else row.machine_allowlist),
        row.created_at,
        row.created_by,
        row.expires_at,
        tuple(row.certificates),
        row.machine_id or "",
        row.renewable_until,
        row.user_id or "",
        row.label,
        _session(row) if row.signed_in_at is not None else None,
    )


def _session(row: Row[Any]) -> Session:
    return Session(
        row.id,
        row.user_id,
        row.method,
        row.provider_id,
        row.provider_session,
        row.factor_at,
        row.signed_in_at,
        row.address,
        row.agent,
        row.last_seen_at,
    )


_OF_SESSION = [each for each in sessions.c if each.name not in ("token_id", "user_id")]
_KNOWN = select(
    tokens,
    machines.c.name.label("machine"),
    machines.c.allowlist.label("machine_allowlist"),
    users.c.email,
    *_OF_SESSION,
).select_from(
    tokens.outerjoin(machines, machines.c.id == tokens.c.machine_id)
    .outerjoin(users, users.c.id == tokens.c.user_id)
    .outerjoin(sessions, sessions.c.token_id == tokens.c.id)
)
_IN_FORCE = _KNOWN.where(
    or_(tokens.c.machine_id.is_(None), machines.c.enabled), or_(tokens.c.user_id.is_(None), users.c.enabled)
)
_GRANTS = select(grants).order_by(grants.c.id)


def _token(tx: Transaction, row: Row[Any]) -> Token:
    own = grants.c.machine_id == row.machine_id if row.machine_id else grants.c.token_id == row.id
    return _made(row, tx.sql.execute(_GRANTS.where(own)))


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[Token]:
    """Those that are of use, all of them or among these, with their grants.

    Those of a disabled machine or user are not. A person's grants are read with the person.
    """
    found = tx.sql.execute(_IN_FORCE if ids is None else _IN_FORCE.where(tokens.c.id.in_(ids))).all()
    query = _GRANTS
    if ids is not None:
        owners = {row.machine_id for row in found if row.machine_id}
        query = query.where(or_(grants.c.token_id.in_(ids), grants.c.machine_id.in_(owners)))
    held: dict[str, list[Row[Any]]] = {}
    for row in tx.sql.execute(query):
        if row.token_id or row.machine_id:
            held.setdefault(row.token_id or row.machine_id, []).append(row)
    return [_made(row, held.get(row.machine_id or row.id, ())) for row in found]


def anybody(tx: Transaction) -> bool:
    """Is there any token, any machine, or any user?"""
    return any(tx.sql.execute(select(each.c.id).limit(1)).first() for each in (tokens, machines, users))


def find(tx: Transaction, token_id: str) -> Token | None:
    """By id. Where there is none it takes as many questions, so that whoever may not know of one learns nothing."""
    row = tx.sql.execute(_KNOWN.where(tokens.c.id == token_id)).one_or_none()
    if row is None:
        tx.sql.execute(_GRANTS.where(grants.c.token_id == token_id))
        return None
    return _token(tx, row)


def named(tx: Transaction, name: str) -> Token | None:
    """By name; machines' tokens have none of their own."""
    row = tx.sql.execute(_KNOWN.where(tokens.c.name == name)).one_or_none()
    return _token(tx, row) if row else None


def every(tx: Transaction, after: str, limit: int) -> list[Token]:
    """Those that have a name, by name, behind `after`."""
    query = _KNOWN.where(tokens.c.name > after).order_by(tokens.c.name).limit(limit)
    return [_token(tx, row) for row in tx.sql.execute(query).all()]


def add(tx: Transaction, token: Token, metadata: Metadata | None = None) -> None:
    """A new one, without its grants. One that belongs to a machine or a user has neither a name nor grants of its own;
    a machine's has no allowlist, either. With its session, if it is one."""
    row = {name: value for name, value in vars(token).items() if name not in ("grants", "session")}
    own: dict[str, Any] = {"allowlist": list(token.allowlist), "certificates": list(token.certificates)}
    own |= {"machine_id": token.machine_id or None, "user_id": token.user_id or None}
    if token.machine_id:
        own["allowlist"] = []
    if token.machine_id or token.user_id:
        own["name"] = None
    tx.sql.execute(insert(tokens).values(row | own | {"metadata": dict(metadata or {})}))
    if token.session:
        tx.sql.execute(insert(sessions).values(vars(token.session)))
    tx.touch(Changed.TOKEN, token.id)


def metadata(tx: Transaction, token_id: str) -> Metadata:
    """What its login proved."""
    return dict(tx.sql.execute(select(tokens.c.metadata).where(tokens.c.id == token_id)).scalar_one_or_none() or {})


def prolong(tx: Transaction, token: Token) -> None:
    """It lasts until its new `expires_at`."""
    tx.sql.execute(update(tokens).where(tokens.c.id == token.id).values(expires_at=token.expires_at))
    tx.touch(Changed.TOKEN, token.id)


def of_machine(tx: Transaction, machine_id: str) -> int:
    """How many a machine has that are in force."""
    query = select(func.count()).where(tokens.c.machine_id == machine_id, tokens.c.expires_at > tx.now)
    return int(tx.sql.execute(query).scalar_one())


def of(tx: Transaction, machine_id: str, after: str, limit: int) -> list[tuple[Token, Metadata]]:
    """A machine's that have not expired, by id, each with what its login proved."""
    lasts = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now)
    query = _KNOWN.where(tokens.c.machine_id == machine_id, tokens.c.id > after, lasts).order_by(tokens.c.id)
    return [(_made(row, ()), dict(row.metadata)) for row in tx.sql.execute(query.limit(limit))]


def labelled(tx: Transaction, user_id: str, after: str, limit: int) -> list[Token]:
    """A person's own, without sessions, by what it calls them, behind `after`."""
    query = _KNOWN.where(tokens.c.user_id == user_id, tokens.c.label > after).order_by(tokens.c.label).limit(limit)
    return [_made(row, ()) for row in tx.sql.execute(query)]


def sweep(tx: Transaction, limit: int) -> None:
    """Machines' tokens and sessions that have expired go, so many of them."""
    goes = or_(tokens.c.machine_id.is_not(None), and_(tokens.c.user_id.is_not(None), tokens.c.label == ""))
    over = select(tokens.c.id).where(goes, tokens.c.expires_at <= tx.now).limit(limit)
    ids = list(tx.sql.execute(over).scalars())
    if ids:
        tx.sql.execute(delete(tokens).where(tokens.c.id.in_(ids)))
        tx.touch(Changed.TOKEN, *ids)


def bind(tx: Transaction, token_id: str, certificates: Collection[str]) -> None:
    """To these, and no others."""
    tx.sql.execute(update(tokens).where(tokens.c.id == token_id).values(certificates=list(certificates)))
    tx.touch(Changed.TOKEN, token_id)


def alone(tx: Transaction, certificates: Collection[str]) -> list[Token]:
    """Those without a secret that one of these certificates stands for."""
    rows = tx.sql.execute(_KNOWN.where(tokens.c.hash == NO_SECRET)).all()
    return [_token(tx, row) for row in rows if not set(certificates).isdisjoint(row.certificates)]


def remove(tx: Transaction, token_id: str) -> None:
    """With its grants."""
    tx.sql.execute(delete(tokens).where(tokens.c.id == token_id))
    tx.touch(Changed.TOKEN, token_id)


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
