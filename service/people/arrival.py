"""Where somebody who is not signed in yet comes from, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.core.access import Caller, Stranger
from service.core.person import User
from service.core.secret import Secret
from service.core.token import Token
from service.keeper.asked import Asked
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View


@dataclass(frozen=True)
class Place:
    """Where a request comes from. `agent` is what the browser or command says it is."""

    address: str
    request_id: str
    agent: str = ""

    def caller(self, user: User) -> Caller:
        """Who signs in from there, for the log: it may do nothing yet."""
        return Caller(user.id, user.email, "person", (), self.address, self.request_id)


@dataclass(frozen=True)
class SignedIn:
    """A session that was opened just now. Its text, and recovery codes if there are new ones, are told only now."""

    user: User
    token: Token
    text: Secret = field(repr=False)
    codes: Sequence[Secret] = ()


def unknown(recorder: Recorder, place: Place, message: str) -> Stranger:
    """The refusal of somebody of whom nothing is known, to be raised.

    Recorded like a token that nobody knows: so many a second, and the rest is counted.
    """

    def refused(_view: View, _asked: Asked) -> None:
        raise Stranger(message, place.address, place.request_id, deed=("session.open", "", {}))

    try:
        recorder.fetch(Asked(refused, "session.open", "", ""))
    except Stranger as stranger:
        return stranger
    raise AssertionError("it is refused always")
