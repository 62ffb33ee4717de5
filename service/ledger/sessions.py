"""Sessions: what a token has that a sign-in made. They go with their tokens."""

from datetime import datetime

from sqlalchemy import select, update

from service.core.token import Token
from service.ledger.changes import Kind as Changed
from service.ledger.identities import tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import sessions
from service.ledger.tokens import find


def of(tx: Transaction, user_id: str, after: str, limit: int) -> list[Token]:
    """A user's that have not ended, by id, behind `after`."""
    query = (
        select(tokens.c.id)
        .join(sessions, sessions.c.token_id == tokens.c.id)
        .where(sessions.c.user_id == user_id, tokens.c.id > after, tokens.c.expires_at > tx.now)
        .order_by(tokens.c.id)
        .limit(limit)
    )
    found = (find(tx, each) for each in list(tx.sql.execute(query).scalars()))
    return [token for token in found if token is not None]


def beyond(tx: Transaction, user_id: str, most: int) -> list[str]:
    """The ids of a user's, but for so many that were used last."""
    mine = select(sessions.c.token_id).where(sessions.c.user_id == user_id)
    query = mine.order_by(sessions.c.last_seen_at.desc(), sessions.c.signed_in_at.desc()).offset(most).limit(1000)
    return list(tx.sql.execute(query).scalars())


def seen(tx: Transaction, token_id: str, expires_at: datetime) -> None:
    """It was used just now, and lasts until then."""
    tx.sql.execute(update(sessions).where(sessions.c.token_id == token_id).values(last_seen_at=tx.now))
    tx.sql.execute(update(tokens).where(tokens.c.id == token_id).values(expires_at=expires_at))
    tx.touch(Changed.TOKEN, token_id)
