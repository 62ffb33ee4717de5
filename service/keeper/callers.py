"""Callers: who a request comes from, made out on the snapshot at the moment it is evaluated.

    a token                      that is known, right, not expired, and, where it is bound to certificates, came over
                                 a connection that showed one of them
    no token, but a certificate  that stands alone for a caller

Whatever else is a stranger, in the same words and after the same work.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime

from service.core.access import Caller, CurrentUser, Grants, OutOfPlace, Stranger, admitted
from service.core.token import Shown, Token, hashed, split, usable_over
from service.keeper.asked import Who
from service.keeper.rules import Context
from service.keeper.snapshot import Person, View

_NOTHING = bytes(32)
"""Compared with when there is no such token, so that unknown ids take the same time as wrong secrets."""
_UNKNOWN = "the token is unknown, expired or revoked: ask whoever gave it for a new one"


@dataclass(slots=True)
class Presented:
    """What a request shows of who makes it. `secret` is the hash of what was presented."""

    token_id: str
    secret: bytes
    address: str
    request_id: str
    shown: Shown | None = None

    def right(self, token: Token | None, now: datetime) -> bool:
        """Is that this token's secret, and is it in force? An unknown token takes the same time."""
        known = hmac.compare_digest(token.hash if token and token.bearer else _NOTHING, self.secret)
        return token is not None and known and not _expired(token, now)

    def usable(self, token: Token, now: datetime) -> bool:
        """Did the connection show a certificate that the token is bound to, if it is bound?"""
        return usable_over(token.certificates, self.shown, now)

    def __call__(self, view: View) -> Caller:
        """See `Who`."""
        token = view.snapshot.tokens.get(self.token_id)
        right = self.right(token, view.now)
        if token is None or not right:
            raise Stranger(_UNKNOWN, self.address, self.request_id)
        caller = _caller(token, self.address, self.request_id, view)
        if not self.usable(token, view.now):
            raise Stranger(_UNKNOWN, self.address, self.request_id, caller)
        return _in_place(token, caller)


def who(text: str, address: str, request_id: str, shown: Shown | None = None) -> Who:
    """Who presents this text from there, over a connection that showed this certificate, to be made out on a view."""
    token_id, secret = split(text) or ("", "")
    return Presented(token_id, hashed(secret), address, request_id, shown)


def signed_in(text: str, address: str, request_id: str, shown: Shown | None = None) -> Who:
    """The same for what a browser keeps: sessions, and no other token."""
    presented = who(text, address, request_id, shown)

    def made_out(view: View) -> Caller:
        caller = presented(view)
        if caller.user is None or not caller.user.session:
            raise Stranger(_UNKNOWN, address, request_id)
        return caller

    return made_out


def machine(shown: Shown, message: str, address: str, request_id: str) -> Who:
    """Whom this certificate alone stands for; `message` is said if that is nobody."""

    def made_out(view: View) -> Caller:
        token = view.snapshot.machine(shown.sha256)
        if token is None or not usable_over(token.certificates, shown, view.now) or _expired(token, view.now):
            raise Stranger(message, address, request_id)
        return _in_place(token, _caller(token, address, request_id, view))

    return made_out


def nobody(message: str, address: str, request_id: str) -> Who:
    """Somebody from there who presents no token that could be looked up."""

    def made_out(_: View) -> Caller:
        raise Stranger(message, address, request_id)

    return made_out


def _caller(token: Token, address: str, request_id: str, view: View) -> Caller:
    """Rules are judged by this very view, when somebody asks whether they hold."""
    user = None
    kind, name, grants = "machine", token.name, token.grants
    if token.user_id:
        person = view.snapshot.person(token.user_id)
        if person is None:
            raise Stranger(_UNKNOWN, address, request_id)
        user = _user(person, token)
        kind, name, grants = "person", person.user.email, person.grants
    held = Grants(grants) if type(grants) is not Grants else grants
    if not held.ruled:
        return Caller(token.id, name, kind, held, address, request_id, token.machine_id, user)
    known_as = kind if user or token.machine_id else "token"
    asks = Context(user, name, known_as, address, view.now)
    return Caller(token.id, name, kind, held, address, request_id, token.machine_id, user, asks.holds)


def _user(person: Person, token: Token) -> CurrentUser:
    session = token.session
    return CurrentUser(
        person.user.id,
        person.user.email,
        person.user.name,
        tuple(group.name for group in person.groups),
        person.user.attributes,
        session.method if session else "token",
        session.signed_in_at if session else None,
        session.factor_at if session else None,
        session is not None,
        person.user.factors,
    )


def _expired(token: Token, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def _in_place(token: Token, caller: Caller) -> Caller:
    """Raises OutOfPlace."""
    if not admitted(caller.address, token.allowlist):
        raise OutOfPlace(caller)
    return caller
