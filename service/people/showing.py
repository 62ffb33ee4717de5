"""What is shown as a second factor, and what it is worth; used up in the transaction in which it is looked at.

    code              of an authenticator app: right once, within a step of now
    recovery code     right once
    passkey           the answer to a challenge that was made for just this, taken once; its counter grows

Whoever asks for this has begun a try before (`keeper/delays.py`): what is wrong is counted with wrong passwords, and
makes the next try wait.
"""

from dataclasses import dataclass
from typing import Any

from service.core.factor import FactorKind
from service.core.person import User
from service.core.secret import Secret
from service.keeper.factors import Factors
from service.ledger import factors as kept
from service.ledger.ledger import Transaction
from service.people import totp
from service.people.challenges import Challenges
from service.people.passkeys import Answer, NotShown, Passkeys, challenge_in, credential_in

WRONG = "this is not right, or was used before: codes are good once"


@dataclass(frozen=True)
class Code:
    """A code of an authenticator app."""

    code: str


@dataclass(frozen=True)
class RecoveryCode:
    """One of the ten."""

    code: str


@dataclass(frozen=True)
class Passkey:
    """An authenticator's answer to a challenge."""

    answer: Answer


Shown = Code | RecoveryCode | Passkey


@dataclass(frozen=True)
class For:
    """What something is shown for, and, more closely, for which session or sign-in: a challenge is bound to both."""

    purpose: str
    of: str = ""


class Showing:
    """Looks at what is shown."""

    def __init__(self, factors: Factors, challenges: Challenges, passkeys: Passkeys) -> None:
        self._factors = factors
        self._challenges = challenges
        self._passkeys = passkeys

    def require_passkeys(self) -> None:
        """Raises Conflict where passkeys are of no use."""
        self._passkeys.require()

    def challenge(self, tx: Transaction, purpose: For, user: User | None) -> dict[str, Any]:
        """What the browser is to ask an authenticator for: one of the user's passkeys, or any that it has for us."""
        held = kept.of(tx, user.id) if user else ()
        return self._passkeys.request(self._challenges.make(tx.now, purpose.purpose, purpose.of), held)

    def proven(self, tx: Transaction, user: User, shown: Shown, purpose: For) -> str:
        """Which kind of factor it shows, used up by that; empty for what shows nothing. Raises Invalid.

        The transaction has to end well even then: a challenge that was answered wrongly is used up too.
        """
        if isinstance(shown, Code):
            return "totp" if self._of_app(tx, user, shown.code) else ""
        if isinstance(shown, RecoveryCode):
            return "recovery_code" if self._factors.use_code(tx, user, shown.code) else ""
        return "passkey" if self._of_authenticator(tx, user, shown.answer, purpose) else ""

    def _of_app(self, tx: Transaction, user: User, code: str) -> bool:
        right = False
        for factor in kept.of(tx, user.id):  # each of them, whichever it is
            if factor.kind is FactorKind.TOTP:
                secret = Secret(self._factors.opened(tx, factor)["secret"])
                step = totp.step_of(secret, code, tx.now)
                right |= step is not None and kept.use(tx, factor.id, step)
        return right

    def _of_authenticator(self, tx: Transaction, user: User, answer: Answer, purpose: For) -> bool:
        challenge, credential = challenge_in(answer), credential_in(answer)
        if not self._challenges.take(tx, challenge, purpose.purpose, purpose.of):
            return False
        factor = kept.credential(tx, credential)
        if factor is None or factor.user_id != user.id:
            return False
        try:
            count = self._passkeys.count(answer, challenge, self._factors.opened(tx, factor)["public_key"])
        except NotShown:
            return False
        # A counter that does not grow is that of a copy (Web Authentication, level 2, 7.2, step 21).
        return kept.use(tx, factor.id, count) if count else kept.seen(tx, factor.id)
