"""Rejected logins in a row, for each account on each server: how many lie behind us, and how many are under way.

a login begins     one more, if fewer than the most; counted before it is tried, so that nobody tries at once;
                   and those behind it that were not counted yet
it was accepted    the row is gone, as the server's own count is
it was rejected    the row stays
neither            one less: the server did not judge the password
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, text, update

from service.ledger.columns import Moment
from service.ledger.ledger import Transaction
from service.ledger.tables import rejections

_ADD = text(
    "INSERT INTO rejections (endpoint, username, run, at) VALUES (:endpoint, :username, :run, :at)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("at", type_=Moment))


_RUN = select(rejections.c.run).where(
    rejections.c.endpoint == bindparam("where"), rejections.c.username == bindparam("who")
)


def run(tx: Transaction, endpoint: str, username: str) -> int:
    """How many are counted."""
    return tx.sql.execute(_RUN, {"where": endpoint, "who": username}).scalar_one_or_none() or 0


def begin(
    tx: Transaction, endpoint: str, username: str, most: int, after: timedelta | None, *, behind: int = 0
) -> bool:
    """Count one more, and `behind` that were not counted yet, if fewer than `most` were, or the last one is
    `after` ago. False: it must not be tried."""
    room = rejections.c.run + behind < most
    if after is not None:
        room = or_(room, rejections.c.at <= tx.now - after)
    one_more = (
        update(rejections).where(*_of(endpoint, username), room).values(run=rejections.c.run + 1 + behind, at=tx.now)
    )
    if tx.sql.execute(one_more).rowcount == 1:
        return True
    if behind >= most:
        return False
    new = {"endpoint": endpoint, "username": username, "run": 1 + behind, "at": tx.now}
    if tx.sql.execute(_ADD, new).rowcount == 1:
        return True
    return tx.sql.execute(one_more).rowcount == 1  # another replica was the first, between the two


def add(tx: Transaction, endpoint: str, username: str, number: int) -> None:
    """Count so many that were rejected already, whatever the limit."""
    more = update(rejections).where(*_of(endpoint, username)).values(run=rejections.c.run + number, at=tx.now)
    if tx.sql.execute(more).rowcount != 1:
        new = {"endpoint": endpoint, "username": username, "run": number, "at": tx.now}
        if tx.sql.execute(_ADD, new).rowcount != 1:
            tx.sql.execute(more)  # another replica was the first, between the two


def end(tx: Transaction, endpoint: str, username: str) -> None:
    """The run has ended: a login was accepted."""
    tx.sql.execute(delete(rejections).where(*_of(endpoint, username)))


def give_back(tx: Transaction, endpoint: str, username: str) -> None:
    """What was counted was not a rejection."""
    tx.sql.execute(update(rejections).where(*_of(endpoint, username)).values(run=rejections.c.run - 1))
    tx.sql.execute(delete(rejections).where(*_of(endpoint, username), rejections.c.run <= 0))


def forgive(tx: Transaction, endpoint: str, usernames: list[str]) -> None:
    """A person says that these logins are right by now."""
    tx.sql.execute(delete(rejections).where(rejections.c.endpoint == endpoint, rejections.c.username.in_(usernames)))


def _of(endpoint: str, username: str) -> tuple[Any, ...]:
    return (rejections.c.endpoint == endpoint, rejections.c.username == username)
