"""Variables and their versions."""

from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, update

from service.core.variable import ValueKind, Variable, Version, VersionState
from service.ledger.changes import Kind as Changed
from service.ledger.columns import Moment
from service.ledger.ledger import Transaction
from service.ledger.tables import variables, versions


def _variable(row: Row[Any]) -> Variable:
    return Variable(
        row.id,
        row.environment_id,
        row.name,
        row.secret,
        row.live,
        row.newest,
        row.revision,
        row.updated_at,
        row.notes,
    )


def _version(row: Row[Any]) -> Version:
    return Version(
        row.variable_id,
        row.number,
        ValueKind(row.kind),
        VersionState(row.state),
        row.sealed,
        row.created_at,
        row.created_by,
        row.deleted_at,
    )


def find(tx: Transaction, environment_id: str, name: str) -> Variable | None:
    """By name."""
    query = select(variables).where(variables.c.environment_id == environment_id, variables.c.name == name)
    row = tx.sql.execute(query).one_or_none()
    return _variable(row) if row else None


def listed(tx: Transaction, environment_id: str, folder: str, after: str, limit: int) -> list[tuple[Variable, str]]:
    """Those of a folder at any depth, by name behind `after`, each with the kind of its live version."""
    live = and_(versions.c.variable_id == variables.c.id, versions.c.number == variables.c.live)
    query = (
        select(variables, versions.c.kind)
        .select_from(variables.outerjoin(versions, live))
        .where(variables.c.environment_id == environment_id, variables.c.name > after)
        .order_by(variables.c.name)
        .limit(limit)
    )
    if folder:
        # `0` is the character after `/`: this range is exactly what begins with `folder/`, and uses the index.
        query = query.where(variables.c.name > folder + "/", variables.c.name < folder + "0")
    return [(_variable(row), row.kind or "") for row in tx.sql.execute(query)]


def add(tx: Transaction, variable: Variable) -> None:
    """A new one."""
    tx.sql.execute(insert(variables), vars(variable))
    tx.touch(Changed.VARIABLE, variable.id)


def replace(tx: Transaction, variable: Variable) -> None:
    """Everything but the id."""
    tx.sql.execute(update(variables).where(variables.c.id == variable.id).values(vars(variable)))
    tx.touch(Changed.VARIABLE, variable.id)


def remove(tx: Transaction, variable_id: str) -> None:
    """With all its versions."""
    tx.sql.execute(delete(variables).where(variables.c.id == variable_id))
    tx.touch(Changed.VARIABLE, variable_id)


def version(tx: Transaction, variable_id: str, number: int) -> Version | None:
    """One version."""
    query = select(versions).where(versions.c.variable_id == variable_id, versions.c.number == number)
    row = tx.sql.execute(query).one_or_none()
    return _version(row) if row else None


def history(tx: Transaction, variable_id: str) -> list[Version]:
    """All versions, newest first."""
    query = select(versions).where(versions.c.variable_id == variable_id).order_by(versions.c.number.desc())
    return [_version(row) for row in tx.sql.execute(query)]


def add_version(tx: Transaction, new: Version) -> None:
    """One more."""
    tx.sql.execute(insert(versions), vars(new))
    tx.touch(Changed.VARIABLE, new.variable_id)


def set_state(tx: Transaction, variable_id: str, number: int, state: VersionState) -> None:
    """What has become of a version; a destroyed one loses its sealed value."""
    values: dict[str, Any] = {"state": state.value, "deleted_at": None}
    if state is VersionState.DELETED:
        values["deleted_at"] = tx.now
    elif state is VersionState.DESTROYED:
        values["deleted_at"] = func.coalesce(versions.c.deleted_at, bindparam("now", tx.now, Moment))
        values["sealed"] = None
    which = (versions.c.variable_id == variable_id) & (versions.c.number == number)
    tx.sql.execute(update(versions).where(which).values(values))
    tx.touch(Changed.VARIABLE, variable_id)


def sealed_behind(
    tx: Transaction, environment_id: str, after: tuple[str, int], limit: int
) -> list[tuple[str, int, bytes]]:
    """Sealed values of an environment in a fixed order behind `after`: (variable id, version, sealed)."""
    later = or_(
        versions.c.variable_id > after[0],
        and_(versions.c.variable_id == after[0], versions.c.number > after[1]),
    )
    query = (
        select(versions.c.variable_id, versions.c.number, versions.c.sealed)
        .join(variables, variables.c.id == versions.c.variable_id)
        .where(variables.c.environment_id == environment_id, versions.c.sealed.is_not(None), later)
        .order_by(versions.c.variable_id, versions.c.number)
        .limit(limit)
    )
    return [(r.variable_id, r.number, r.sealed) for r in tx.sql.execute(query)]


def reseal(tx: Transaction, variable_id: str, number: int, sealed: bytes) -> None:
    """The same value under another data key."""
    which = (versions.c.variable_id == variable_id) & (versions.c.number == number)
    tx.sql.execute(update(versions).where(which).values(sealed=sealed))
    tx.touch(Changed.VARIABLE, variable_id)
