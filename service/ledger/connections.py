"""Connections, their logins and their credentials."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, insert, or_, select, update

from service.core.rotation import STANDING, Credential, CredentialState, Rotation
from service.ledger import restorations
from service.ledger.changes import Kind as Changed
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, credentials, environments, logins


@dataclass(frozen=True)
class StoredConnection:
    """A connection's row. `definition` and `policy` are the JSON that `service.keeper.definitions` reads.

    What workers keep there (fence, check_at, known) is not among it, and not written by `replace`.
    """

    id: str
    environment_id: str
    name: str
    definition: dict[str, Any]
    administered_by: str | None
    server: str
    host: str
    siblings: str | None
    spacing: int | None
    policy: dict[str, Any] | None
    health: dict[str, Any]
    generation: int
    revision: int
    next_due_at: datetime | None
    waits_since: datetime | None
    promised_until: datetime | None
    updated_at: datetime
    environment: str = field(default="", compare=False)


_KEPT_APART = {"fence", "check_at", "known"}
_QUERY: Select[Any] = select(
    *(column for column in connections.c if column.name not in _KEPT_APART), environments.c.name.label("environment")
).join(environments, environments.c.id == connections.c.environment_id)


def _connection(row: Row[Any]) -> StoredConnection:
    return StoredConnection(**row._mapping)


def _row(connection: StoredConnection) -> dict[str, Any]:
    return {name: value for name, value in vars(connection).items() if name != "environment"}


# What every fetch and every step of a rotation asks is made once: building a statement costs as much as running it.
_BY_ID = _QUERY.where(connections.c.id == bindparam("wanted"))
_BY_NAME = _QUERY.where(connections.c.environment_id == bindparam("wall"), connections.c.name == bindparam("wanted"))
_REPLACE = update(connections).where(connections.c.id == bindparam("wanted"))


def find(tx: Transaction, environment_id: str, name: str) -> StoredConnection | None:
    """By name."""
    row = tx.sql.execute(_BY_NAME, {"wall": environment_id, "wanted": name}).one_or_none()
    return _connection(row) if row else None


def get(tx: Transaction, connection_id: str) -> StoredConnection | None:
    """By id."""
    row = tx.sql.execute(_BY_ID, {"wanted": connection_id}).one_or_none()
    return _connection(row) if row else None


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[StoredConnection]:
    """All of them, or those that are still there."""
    query = _QUERY if ids is None else _QUERY.where(connections.c.id.in_(ids))
    return [_connection(row) for row in tx.sql.execute(query)]


def listed(tx: Transaction, environment_id: str, folder: str, after: str, limit: int) -> list[StoredConnection]:
    """Those of a folder at any depth, by name behind `after`."""
    query = (
        _QUERY.where(connections.c.environment_id == environment_id, connections.c.name > after)
        .order_by(connections.c.name)
        .limit(limit)
    )
    if folder:
        query = query.where(connections.c.name > folder + "/", connections.c.name < folder + "0")
    return [_connection(row) for row in tx.sql.execute(query)]


def due(tx: Transaction, limit: int, within: frozenset[str] | None) -> list[StoredConnection]:
    """Those whose next rotation is due and that are not held, the longest waiting first; in the environments named,
    if any are."""
    query = (
        _QUERY.where(connections.c.next_due_at <= tx.now, *restorations.free(connections.c.id))
        .order_by(connections.c.next_due_at)
        .limit(limit)
    )
    if within is not None:
        query = query.where(environments.c.name.in_(within))
    return [_connection(row) for row in tx.sql.execute(query)]


def on_server(tx: Transaction, server: str) -> list[StoredConnection]:
    """All connections, of every environment, whose primary endpoint is this one."""
    return [_connection(row) for row in tx.sql.execute(_QUERY.where(connections.c.server == server))]


def administered(tx: Transaction, connection_id: str) -> list[str]:
    """Names of the connections that this one administers."""
    query = select(connections.c.name).where(connections.c.administered_by == connection_id)
    return [row.name for row in tx.sql.execute(query.order_by(connections.c.name))]


def administered_by(tx: Transaction, connection_id: str) -> list[StoredConnection]:
    """All connections that this one administers."""
    return [_connection(row) for row in tx.sql.execute(_QUERY.where(connections.c.administered_by == connection_id))]


def self_administered(tx: Transaction, within: frozenset[str] | None) -> list[StoredConnection]:
    """Those that administer themselves; in the environments named, if any are."""
    query = _QUERY.where(connections.c.administered_by == connections.c.id).order_by(connections.c.id)
    if within is not None:
        query = query.where(environments.c.name.in_(within))
    return [_connection(row) for row in tx.sql.execute(query)]


def add(tx: Transaction, connection: StoredConnection) -> None:
    """A new one."""
    tx.sql.execute(insert(connections).values(_row(connection) | {"fence": 0, "known": {}}))
    tx.touch(Changed.CONNECTION, connection.id)


def replace(tx: Transaction, connection: StoredConnection) -> None:
    """Everything but the id: were it written too, SQLite would look for all that refers to it."""
    values = {name: value for name, value in _row(connection).items() if name != "id"}
    tx.sql.execute(_REPLACE, values | {"wanted": connection.id})
    tx.touch(Changed.CONNECTION, connection.id)


def remove(tx: Transaction, connection_id: str) -> None:
    """With its logins, credentials and rotations."""
    tx.sql.execute(delete(connections).where(connections.c.id == connection_id))
    tx.touch(Changed.CONNECTION, connection_id)


def login(tx: Transaction, connection_id: str, username: str, new_id: str) -> str:
    """The id of a login of the connection, which is added as `new_id` when it is new."""
    query = select(logins.c.id).where(logins.c.connection_id == connection_id, logins.c.username == username)
    found = tx.sql.execute(query).scalar_one_or_none()
    if found is None:
        tx.sql.execute(insert(logins).values(id=new_id, connection_id=connection_id, username=username))
        return new_id
    return str(found)


def usernames(tx: Transaction, connection_id: str) -> list[str]:
    """Of all logins that the connection has or had."""
    query = select(logins.c.username).where(logins.c.connection_id == connection_id).order_by(logins.c.username)
    return list(tx.sql.execute(query).scalars())


_CREDENTIALS = select(credentials, logins.c.username).join(logins, logins.c.id == credentials.c.login_id)


_CREDENTIAL = _CREDENTIALS.where(credentials.c.id == bindparam("wanted"))
_STANDS = credentials.c.state.in_(STANDING)
_OF_CONNECTION = _CREDENTIALS.where(credentials.c.connection_id == bindparam("wanted")).order_by(
    credentials.c.created_at.desc(), credentials.c.id
)
_STANDING = _OF_CONNECTION.where(_STANDS)
_WORKED_WITH = credentials.c.id.in_([bindparam("former"), bindparam("candidate"), bindparam("parking")])
_CONCERNED = _OF_CONNECTION.where(or_(_STANDS, _WORKED_WITH))
_MARK = update(credentials).where(credentials.c.id == bindparam("wanted"))


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        row.id,
        row.connection_id,
        row.login_id,
        row.username,
        CredentialState(row.state),
        row.sealed,
        row.valid_from,
        row.good_until,
        row.created_at,
    )


def credential(tx: Transaction, credential_id: str) -> Credential | None:
    """By id."""
    row = tx.sql.execute(_CREDENTIAL, {"wanted": credential_id}).one_or_none()
    return _credential(row) if row else None


def standing(tx: Transaction, connection_id: str) -> list[Credential]:
    """Those of a connection that an answer can depend on: candidate, live, draining; the youngest first."""
    return [_credential(row) for row in tx.sql.execute(_STANDING, {"wanted": connection_id})]


def all_standing(tx: Transaction, ids: Collection[str] | None = None) -> list[Credential]:
    """As `standing`, of all connections or of those."""
    query = _CREDENTIALS.where(_STANDS).order_by(credentials.c.created_at.desc(), credentials.c.id)
    query = query if ids is None else query.where(credentials.c.connection_id.in_(ids))
    return [_credential(row) for row in tx.sql.execute(query)]


def concerned(tx: Transaction, rotation: Rotation) -> dict[str, Credential]:
    """Those of a rotation's connection that stand, and those that it works with, by id; the youngest first."""
    named = {"former": rotation.former_id, "candidate": rotation.candidate_id, "parking": rotation.parking_id}
    rows = tx.sql.execute(_CONCERNED, {"wanted": rotation.connection_id} | named)
    return {row.id: _credential(row) for row in rows}


def remembered(tx: Transaction, login_id: str) -> list[Credential]:
    """All of a login whose sealed copy is still there, the youngest first."""
    query = _CREDENTIALS.where(credentials.c.login_id == login_id, credentials.c.sealed.is_not(None)).order_by(
        credentials.c.created_at.desc(), credentials.c.id
    )
    return [_credential(row) for row in tx.sql.execute(query)]


def add_credential(tx: Transaction, new: Credential) -> None:
    """One more password of a login."""
    row = {name: value for name, value in vars(new).items() if name != "username"}
    tx.sql.execute(insert(credentials).values(row))
    tx.touch(Changed.CONNECTION, new.connection_id)


def mark(tx: Transaction, credential_id: str, state: CredentialState, **values: Any) -> None:
    """What has become of a credential; `values` are further columns (`good_until`, `valid_from`, `sealed`)."""
    tx.sql.execute(_MARK, {"state": state.value} | values | {"wanted": credential_id})
    tx.touch(Changed.CREDENTIAL, credential_id)


def sealed_behind(tx: Transaction, environment_id: str, after: str, limit: int) -> list[Credential]:
    """Sealed credentials of an environment by id behind `after`."""
    query = (
        _CREDENTIALS.join(connections, connections.c.id == credentials.c.connection_id)
        .where(
            connections.c.environment_id == environment_id, credentials.c.sealed.is_not(None), credentials.c.id > after
        )
        .order_by(credentials.c.id)
        .limit(limit)
    )
    return [_credential(row) for row in tx.sql.execute(query)]


def secrets_of(tx: Transaction, connection_id: str) -> list[Credential]:
    """Every password of a connection that is live, or whose sealed copy is still there; the youngest first."""
    there = or_(credentials.c.sealed.is_not(None), credentials.c.state == CredentialState.LIVE.value)
    query = _CREDENTIALS.where(credentials.c.connection_id == connection_id, there).order_by(
        credentials.c.created_at.desc(), credentials.c.id
    )
    return [_credential(row) for row in tx.sql.execute(query)]


def fence(tx: Transaction, connection_id: str) -> int:
    """The highest fencing number that a worker was given for this connection."""
    return int(tx.sql.execute(select(connections.c.fence).where(connections.c.id == connection_id)).scalar_one())


def raise_fence(tx: Transaction, connection_id: str, number: int) -> None:
    """Numbers up to this one were given out, by whichever ledger."""
    lower = (connections.c.id == connection_id, connections.c.fence < number)
    tx.sql.execute(update(connections).where(*lower).values(fence=number))


def count(tx: Transaction) -> int:
    """How many connections there are."""
    return int(tx.sql.execute(select(func.count()).select_from(connections)).scalar_one())


def overdue(tx: Transaction) -> int:
    """How many were due a minute ago or longer, and are not planned."""
    late = connections.c.next_due_at < tx.now - timedelta(minutes=1)
    return int(tx.sql.execute(select(func.count()).select_from(connections).where(late)).scalar_one())
