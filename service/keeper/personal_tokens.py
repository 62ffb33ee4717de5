"""Tokens of people's own, for scripts: by name, with a person's rights and never more.

What its person may do, the token may do, at every moment, but for what needs a fresh second factor: it shows none.
It ends with its person's account, and makes no further tokens.
"""

from datetime import timedelta

from service.core import names
from service.core.access import Caller, CurrentUser, networks
from service.core.errors import Conflict, Forbidden, Invalid
from service.core.secret import Secret
from service.core.token import Token, make
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.tokens import LONGEST_LIFE
from service.ledger import tokens
from service.ledger.ledger import Transaction

MOST = 100
"""Of one person."""


class PersonalTokens:
    """Operations of people on their own tokens."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def listed(self, caller: Caller, after: str, limit: int) -> list[Token]:
        """The caller's, by name; never their secrets. Raises Forbidden for who is no person."""

        def evaluate(tx: Transaction) -> list[Token]:
            return tokens.labelled(tx, _person(caller).id, after, limit)

        return self._door.fetch(caller, Deed("personal_token.list"), evaluate)

    def add(
        self, caller: Caller, label: str, expires_in: timedelta | None = None, allowlist: tuple[str, ...] = ()
    ) -> tuple[Token, Secret]:
        """A new one with its text, which is shown only now. Only who is signed in makes one.

        Raises Invalid, Forbidden, Conflict.
        """
        names.segment(label)
        allowed = networks(allowlist)
        if expires_in is not None and not timedelta() < expires_in <= LONGEST_LIFE:
            raise Invalid("expires_in must be from one second to ten years", field="expires_in")
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> Token:
            user = _person(caller)
            if not user.session:
                raise Forbidden("a person's token makes no tokens, which would outlive it; sign in instead")
            require_fresh(tx, caller, "making a token")
            there = tokens.labelled(tx, user.id, "", MOST)
            if any(each.label == label for each in there):
                raise Conflict(f"you have a token named {label} already")
            if len(there) >= MOST:
                raise Conflict(f"you have {MOST} tokens, and those are the most: revoke one first")
            expires_at = tx.now + expires_in if expires_in else None
            token = Token(
                token_id, user.email, hashed, (), allowed, tx.now, user.email, expires_at, user_id=user.id, label=label
            )
            tokens.add(tx, token)
            return token

        deed = Deed("personal_token.add", resource=token_id, detail={"name": label})
        return self._door.change(caller, deed, act), text


def _person(caller: Caller) -> CurrentUser:
    if caller.user is None:
        raise Forbidden("only people have tokens of their own here: POST /tokens makes one for a machine")
    return caller.user
