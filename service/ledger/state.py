"""What fetches depend on, read to be kept in memory: everything, or what was changed. Sealed values stay sealed."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from service.core.environment import Environment
from service.core.person import Group, Settings, User
from service.core.rotation import Credential, Rotation
from service.core.token import Token
from service.core.variable import ValueKind
from service.ledger import changes, connections, environments, groups, identities, rotations, settings, tokens, users
from service.ledger.changes import Kind, Touched
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.tables import credentials, variables, versions
from service.ledger.tables import rotations as turning

_PAGE = 500
"""Ids in one question."""


@dataclass(frozen=True, slots=True)
class LiveVariable:
    """A variable with its live version, if it has one: its number, kind, and what is sealed for it."""

    id: str
    environment_id: str
    name: str
    secret: bool
    number: int | None
    kind: ValueKind | None
    sealed: bytes | None
    created_at: datetime | None = None
    """Of its live version."""
    notes: str | None = None


@dataclass(frozen=True)
class Offering:
    """A connection with its credentials that stand, and its rotation that has not ended, if there is one."""

    connection: StoredConnection
    credentials: tuple[Credential, ...]
    rotation: Rotation | None


@dataclass
class News:
    """What is to be taken over. Ids in `gone` were removed. `whole`: whatever is not here is gone."""

    epoch: int
    whole: bool = False
    environments: list[Environment] = field(default_factory=list)
    variables: list[LiveVariable] = field(default_factory=list)
    offerings: list[Offering] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    settings: Settings | None = None
    """None: they were not changed."""
    gone: set[Touched] = field(default_factory=set)
    touched: set[Touched] = field(default_factory=set)


def read(tx: Transaction, known: int | None) -> News:
    """What was changed since the epoch `known`; everything, if that is None or nobody knows any more."""
    touched = changes.since(tx.sql, known, tx.epoch) if known is not None else None
    if touched is None:
        found = News(tx.epoch, whole=True)
        found.environments = environments.read(tx)
        found.variables = list(_variables(tx, _LIVE))
        found.offerings = _offerings(tx, None)
        found.tokens = tokens.read(tx)
        found.users, found.groups, found.settings = users.read(tx), groups.read(tx), settings.read(tx)
        return found
    touched = _with_wholes(tx, touched)
    found = News(tx.epoch, touched=touched)
    ids = {kind: sorted(each for its, each in touched if its is kind) for kind in Kind}
    for page in _pages(ids[Kind.ENVIRONMENT]):
        found.environments += environments.read(tx, page)
    for page in _pages(ids[Kind.VARIABLE]):
        found.variables += _variables(tx, _LIVE.where(variables.c.id.in_(page)))
    for page in _pages(ids[Kind.CONNECTION]):
        found.offerings += _offerings(tx, page)
    for page in _pages(ids[Kind.TOKEN]):
        found.tokens += tokens.read(tx, page)
    for page in _pages(ids[Kind.USER]):
        found.users += users.read(tx, page)
    for page in _pages(ids[Kind.GROUP]):
        found.groups += groups.read(tx, page)
    if ids[Kind.SETTINGS]:
        found.settings = settings.read(tx)
    there = {(Kind.ENVIRONMENT, it.id) for it in found.environments} | {(Kind.TOKEN, it.id) for it in found.tokens}
    there |= {(Kind.VARIABLE, it.id) for it in found.variables}
    there |= {(Kind.USER, it.id) for it in found.users} | {(Kind.GROUP, it.id) for it in found.groups}
    there |= {(Kind.CONNECTION, it.connection.id) for it in found.offerings}
    found.gone = touched - there
    return found


_LIVE: Select[Any] = select(
    variables.c.id,
    variables.c.environment_id,
    variables.c.name,
    variables.c.secret,
    variables.c.live,
    versions.c.kind,
    versions.c.sealed,
    versions.c.created_at,
    variables.c.notes,
).select_from(
    variables.outerjoin(versions, and_(versions.c.variable_id == variables.c.id, versions.c.number == variables.c.live))
)


def _variables(tx: Transaction, query: Select[Any]) -> Iterator[LiveVariable]:
    walls: dict[str, str] = {}  # one text for each environment, not one for each variable
    kinds = {kind.value: kind for kind in ValueKind}
    for id_, environment_id, name, secret, live, kind, sealed, created_at, notes in tx.sql.execute(query):
        wall = walls.setdefault(environment_id, environment_id)
        yield LiveVariable(id_, wall, name, secret, live, kinds.get(kind), sealed, created_at, notes)


def _offerings(tx: Transaction, ids: Collection[str] | None) -> list[Offering]:
    standing: dict[str, list[Credential]] = {}
    for held in connections.all_standing(tx, ids):
        standing.setdefault(held.connection_id, []).append(held)
    open_ones = {rotation.connection_id: rotation for rotation in rotations.all_open(tx, ids)}
    return [
        Offering(stored, tuple(standing.get(stored.id, ())), open_ones.get(stored.id))
        for stored in connections.read(tx, ids)
    ]


_PARTS = {
    Kind.CREDENTIAL: select(credentials.c.connection_id).where(credentials.c.id == bindparam("wanted")),
    Kind.ROTATION: select(turning.c.connection_id).where(turning.c.id == bindparam("wanted")),
}
_TOKENS = {
    Kind.MACHINE: select(identities.tokens.c.id).where(identities.tokens.c.machine_id == bindparam("wanted")),
    Kind.USER: select(identities.tokens.c.id).where(identities.tokens.c.user_id == bindparam("wanted")),
}


def _with_wholes(tx: Transaction, touched: Iterable[Touched]) -> set[Touched]:
    """And the connections of credentials and rotations among them, and the tokens of machines and users.

    Of those that are gone, it was touched as well.
    """
    found: set[Touched] = set()
    for kind, each in touched:
        found.add((kind, each))
        if kind in _PARTS:
            of = tx.sql.execute(_PARTS[kind], {"wanted": each}).scalar_one_or_none()
            found |= {(Kind.CONNECTION, of)} if of else set()
        elif kind in _TOKENS:
            theirs = tx.sql.execute(_TOKENS[kind], {"wanted": each}).scalars()
            found |= {(Kind.TOKEN, token_id) for token_id in theirs}
    return found


def _pages(ids: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(ids), _PAGE):
        yield ids[begin : begin + _PAGE]
