"""Entering: what is asked of somebody who has proven who it is, until there is a session. In this order:

    proven ──► a second factor is needed ──► waits as `factor` ──► shown ─┐       (`SecondFactor`, whoever that is)
       │ ◄────────────────────────────────────────────────────────────────┘
       ├──► its password has ended ────────► waits as `password` ──► chosen anew ──► proven anew
       │                                                       (`new_passwords.py`)
       └──► a session

The factor comes first: who only found an old password out cannot choose the next one.
What waits, waits for a text that whoever goes on shows; a browser keeps it in a cookie.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from hmac import compare_digest
from typing import Protocol

from service.core.errors import Unauthenticated
from service.core.person import User
from service.core.secret import Secret
from service.core.token import Token, hashed, split
from service.keeper.pendings import Pendings
from service.keeper.sessions import PASSWORD, Sessions, Way, as_data, opened_event, password_ended
from service.ledger import tokens
from service.ledger.ledger import Transaction

FACTOR = "factor"
LASTS = timedelta(minutes=10)
"""From the proof to the new password."""


class SecondFactor(Protocol):
    """Asks for a second factor where one is needed."""

    def begins(self, tx: Transaction, user: User, way: Way) -> str | None:
        """A text with which the sign-in goes on once it was shown; None: none is needed."""
        ...


@dataclass(frozen=True)
class Visitor:
    """The browser, or the program, that somebody comes with."""

    address: str
    agent: str
    request_id: str
    former: str = field(default="", repr=False)
    """The text of the session that it has already, if it has one: that ends when another one begins."""


@dataclass(frozen=True)
class Entered:
    """Somebody who is in, with a session; or who has to show something first: `waits` says what, for which text."""

    user: User
    token: Token | None = None
    text: Secret | None = field(default=None, repr=False)
    waits: str = ""


class Entering:
    """See above."""

    def __init__(self, sessions: Sessions, pendings: Pendings, second_factor: SecondFactor) -> None:
        self._sessions = sessions
        self._pendings = pendings
        self._second_factor = second_factor

    def enter(self, tx: Transaction, user: User, way: Way, visitor: Visitor) -> Entered:
        """Within the transaction in which it was proven. With the event of the session, if there is one. Raises Often.

        `way.factor_at` tells that a factor was shown. Of a user that is disabled, Unauthenticated.
        """
        if not user.enabled:
            raise Unauthenticated("this account is disabled")
        if way.factor_at is None and (text := self._second_factor.begins(tx, user, way)) is not None:
            return Entered(user, text=Secret(text), waits=FACTOR)
        if way.method == PASSWORD and password_ended(user, tx.now):
            data = as_data(way) | {"user": user.id}
            text = self._pendings.put(tx, PASSWORD, data, LASTS, user_id=user.id)
            return Entered(user, text=Secret(text), waits=PASSWORD)
        token, secret = self._sessions.opened(tx, user, way)
        former_id, former_secret = split(visitor.former) or ("", "")
        former = tokens.find(tx, former_id) if former_id else None
        if former and former.session and compare_digest(former.hash, hashed(former_secret)):
            tokens.remove(tx, former.id)
        tx.events.append(opened_event(tx, user, token, way, visitor.request_id))
        return Entered(user, token, secret)
