"""The fence of a connection: the highest number shown so far, kept in the server where late workers fail at it.

    role      keywright_fence_<key>     NOLOGIN, owns nothing, is a member of nothing; one for each `Fence.key`
    comment   keywright fence <number>  in pg_shdescription, the same from every database of the server

A change is one transaction, and may take effect only behind all of these, in this order:

    advisory lock on the key, then on the username   one at a time, among those connected to the same database
    the number is read: higher than ours?            ChangeFenced; read after the lock, in a statement of its own
    ALTER ROLE keywright_fence_… NOLOGIN             changes nothing, and holds the row in every database until the end
    the number is read again: higher than ours?      ChangeFenced; only somebody in another database can have written
    COMMENT ON ROLE keywright_fence_… IS …           where the number is lower than ours
    ALTER ROLE <username> PASSWORD …                 the change

Raising a fence is the same without the last. Since whoever was behind the lock before has then committed or been
rolled back, and whoever gets it afterwards reads the new number, nothing with a lower number takes effect later.

Commenting needs CREATEROLE, and ADMIN OPTION on the fence's role from 16 on, which its creator has. Where it may
not be done, the number is left out and the locks are kept; a comment of anybody else's is never touched.
"""

import hashlib
import re

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from providers.databases import postgresql_roles as roles
from providers.databases.postgresql_failures import is_busy
from providers.databases.postgresql_login import Bounded
from service.core.database import FENCE, Fence
from service.core.errors import ChangeFenced, ChangeUnreachable

_COMMENT = re.compile("keywright fence ([0-9]{1,19})")
_KEY = re.compile("[0-9a-z_-]{1,47}")  # with what stands before it, at most the 63 bytes of a name
_SAVEPOINT = SQL("keywright_fence")


def role_name(key: str) -> str:
    """The role that keeps the number of this key."""
    plain = key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:32]
    return FENCE + plain


def locks(fence: Fence, username: str) -> tuple[str, str]:
    """What a change has for itself, always in this order, so that nobody waits in a circle."""
    return role_name(fence.key), username


def number_in(comment: str | None) -> int | None:
    """The number that a comment keeps, if it is a fence's."""
    found = _COMMENT.fullmatch(comment or "")
    return int(found[1]) if found else None


def reading(name: str) -> Composed:
    """The query for the comment of a fence's role."""
    return SQL(
        "SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE rolname = {}"
    ).format(Literal(name))


def passing(name: str, kept: int | None, number: int, *, exists: bool) -> list[Composed]:
    """The statements that show the fence a number; the third one answers with the comment that was there."""
    role = Identifier(name)
    statements = [
        SQL("SAVEPOINT {}").format(_SAVEPOINT),
        SQL("ALTER ROLE {} NOLOGIN" if exists else "CREATE ROLE {} NOLOGIN").format(role),
        reading(name),
    ]
    if kept is None or kept < number:
        statements.append(SQL("COMMENT ON ROLE {} IS {}").format(role, Literal(f"keywright fence {number}")))
    return [*statements, SQL("RELEASE SAVEPOINT {}").format(_SAVEPOINT)]


def show(connection: Bounded, look: roles.Look, fence: Fence, *change: Composed) -> tuple[str, ...]:
    """Pass the fence and make the change, in one message; sentences say why no number could be kept.

    Raises ChangeFenced, ChangeUnreachable, and psycopg's errors; the transaction is then to be given up.
    """
    name = role_name(fence.key)
    role = look.roles.get(name)
    kept = number_in(role.comment) if role else None
    _require(fence, kept)
    if left_out := _obstacles(look.who, role, name):
        _send(connection, change)
        return left_out
    statements = passing(name, kept, fence.number, exists=role is not None)
    try:
        answers = _send(connection, [*statements, *change])
    except psycopg.Error as error:
        if connection.broken or not _undone(connection):
            raise  # the change itself failed
        if isinstance(error, psycopg.errors.DuplicateObject | psycopg.errors.UniqueViolation):
            raise ChangeUnreachable(f"somebody else has just made the role {name}; nothing was changed") from None
        if is_busy(error):
            raise
        _send(connection, change)
        return (f"{look.who.name} may not keep a fencing number in the role {name} (SQLSTATE {error.sqlstate}).",)
    _require(fence, number_in(answers[0]))
    return ()


def _send(connection: Bounded, statements: list[Composed] | tuple[Composed, ...]) -> list[str | None]:
    """Send them as one message; the first column of every row that came back."""
    answers: list[str | None] = []
    if statements:
        cursor = connection.execute(SQL("; ").join(statements))
        while True:
            answers += [row[0] for row in cursor] if cursor.description else []
            if not cursor.nextset():
                break
    return answers


def _undone(connection: Bounded) -> bool:
    """Undo what was sent for the fence; False if that had succeeded, and its savepoint is gone."""
    try:
        connection.execute(SQL("ROLLBACK TO SAVEPOINT {}").format(_SAVEPOINT))
    except psycopg.errors.InvalidSavepointSpecification:
        return False
    return True


def _require(fence: Fence, kept: int | None) -> None:
    if kept is not None and kept > fence.number:
        raise ChangeFenced(
            f"the fence {role_name(fence.key)} was raised to {kept} by a later worker, and this one has"
            f" {fence.number}: nothing was changed"
        )


def _obstacles(who: roles.Administrator, role: roles.Role | None, name: str) -> tuple[str, ...]:
    """Why no number can be kept, as far as the look tells, each with what a DBA can do about it."""
    if role is None:
        return () if who.may_create else (f"No fencing number is kept: {roles.needs_createrole(who)}",)
    mine = number_in(role.comment) is not None or (role.comment is None and not role.login)
    if not mine:
        drop = SQL("DROP ROLE {}").format(Identifier(name)).as_string()
        foreign = f"there is a role {name} that Keywright did not make; if nobody needs it, run: {drop};"
        return (f"No fencing number is kept: {foreign}",)
    return tuple(f"No fencing number is kept: {sentence}" for sentence in roles.missing(who, role, name))
