"""How good a password has to be that somebody chooses: long enough, in no list of known ones, and hard to guess.

Hard to guess is what zxcvbn says of it (Wheeler, USENIX Security 2016): SCORE of 4 at least, about 10^8 guesses and
more, for one who knows the address and the name. Rules about capitals and digits are none: see NIST SP 800-63B,
3.1.1.2.
"""

import hashlib

from service.core.errors import Invalid
from service.core.passphrase import Breaches, normal
from service.core.person import Settings, User
from service.core.secret import Secret

SCORE = 3
LOOKED_AT = 72
"""Characters that are judged: it takes longer with each, and a password is not weaker for what comes behind."""


class Strength:
    """Judges passwords."""

    def __init__(self, breaches: Breaches) -> None:
        self._breaches = breaches

    def require(self, chosen: Secret, user: User, settings: Settings, field: str = "password") -> Secret:
        """In its normal form, if it is good enough. Raises Invalid saying why not; Unavailable."""
        password = normal(chosen, field)
        text = password.reveal()
        if len(text) < settings.password_length:
            raise Invalid(f"{field} must have {settings.password_length} characters at least", field=field)
        if self._breaches.hold(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()):
            raise Invalid(f"{field} stands in a list of passwords that became known: choose another one", field=field)
        # Its lists take 13 MB, and most servers and every command judge no password.
        from zxcvbn import zxcvbn

        about = [word for word in {user.email, *user.email.replace("@", ".").split("."), *user.name.split()} if word]
        judged = zxcvbn(text[:LOOKED_AT], user_inputs=[*about, "keywright"], max_length=LOOKED_AT)
        if judged["score"] < SCORE:
            # What zxcvbn remarks quotes nothing of the password.
            why = judged["feedback"]["warning"] or "several words that do not belong together are better"
            raise Invalid(f"{field} is too easy to guess: {str(why).rstrip('.').lower()}", field=field)
        return password
