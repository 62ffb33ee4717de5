"""Where a second factor is asked for, behind whichever first proof.

    every way in ──► begins ──┬──► None: nothing more is asked
                              └──► a text, for which the sign-in waits ten minutes (`second_half.py`)

Asked for are those who have one, and those who need one: by the settings, or by one of their groups. Whom an identity
provider asked for one, and is trusted to, is not asked again.
"""

from service.core.factor import BEGUN
from service.core.person import User
from service.keeper.factors import Factors
from service.keeper.pendings import Pendings
from service.keeper.sessions import Way, as_data, from_data
from service.ledger import users
from service.ledger.ledger import Transaction
from service.people.entering import FACTOR


class SecondFactor:
    """See above."""

    def __init__(self, factors: Factors, pendings: Pendings) -> None:
        self._factors = factors
        self._pendings = pendings

    def begins(self, tx: Transaction, user: User, way: Way) -> str | None:
        """A text for which the sign-in waits; None where it goes on at once.

        Within the transaction in which the first proof was found right. Raises Often.
        """
        if way.factor_at is not None or not (user.factors or self._factors.required(tx, user)):
            return None
        return self._pendings.put(tx, FACTOR, as_data(way) | {"user": user.id}, BEGUN, user_id=user.id)

    def waiting(self, tx: Transaction, text: str) -> tuple[User, Way] | None:
        """Whose sign-in waits for this text, and how it began. It goes on waiting."""
        data = self._pendings.peek(tx, FACTOR, text)
        user = users.get(tx, str(data["user"])) if data else None
        return (user, from_data(data)) if data and user and user.enabled else None

    def over(self, tx: Transaction, text: str) -> None:
        """It waits no more."""
        self._pendings.take(tx, FACTOR, text)
