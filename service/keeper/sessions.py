"""Sessions: people who are signed in. All ways in end here, in `opened`."""

from dataclasses import dataclass
from datetime import datetime

from service.core.person import Session, User
from service.core.secret import Secret
from service.core.token import Token, make
from service.keeper.door import Door
from service.ledger import settings, tokens, users
from service.ledger.ledger import Transaction

LONGEST_AGENT = 200


@dataclass(frozen=True)
class Way:
    """How somebody came in."""

    method: str
    """See `CurrentUser.method`."""
    address: str
    agent: str
    provider_id: str = ""
    provider_session: str = ""
    factor_at: datetime | None = None
    """When a second factor was shown, if it was."""


class Sessions:
    """Operations on sessions."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def opened(self, tx: Transaction, user: User, way: Way) -> tuple[Token, Secret]:
        """A new session, within the transaction in which it was proven who it is; its text is shown only now."""
        kept = settings.read(tx)
        token_id, text, hashed = make(self._door.randomness)
        until = tx.now + kept.life
        session = Session(
            token_id,
            user.id,
            way.method,
            way.provider_id,
            way.provider_session,
            way.factor_at,
            tx.now,
            way.address,
            way.agent[:LONGEST_AGENT],
            tx.now,
        )
        token = Token(
            token_id,
            user.email,
            hashed,
            (),
            (),
            tx.now,
            user.email,
            min(tx.now + kept.idle, until),
            renewable_until=until,
            user_id=user.id,
            session=session,
        )
        tokens.add(tx, token, {"method": way.method})
        users.seen(tx, user.id, login=True)
        return token, text
