"""`keywright login`: a computer's command line comes to a session of its own, by one that a person has in a browser.

    asked ──► "Let this computer in?" ──► a code, for a minute ──► exchanged ──► a session
                     │                        │                        │
                     └ refused                └ over                   └ again: denied, and that session ends

The server is an authorization server (RFC 6749) for one client only, its own command line, which has no secret. So
what stands for one is asked for without exception: PKCE with S256 (RFC 7636), and a redirect to a port of the very
computer, to one path (RFC 8252, 7.3). A code is bound to both, to the client, and to the session that allowed it: with
that one gone, it is of no use. A code that comes twice was seen by somebody else; what it gave is taken back
(RFC 6749, 4.1.2).

The session that comes of it says how the person signed in, when it showed a second factor, and is ended as others are:
also by its identity provider.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn
from urllib.parse import urlsplit

from service.core.access import Caller, CurrentUser, Stranger
from service.core.errors import Invalid, Unauthenticated
from service.core.event import Detail, Event, Outcome
from service.core.person import User
from service.core.secret import Secret
from service.core.token import Token
from service.keeper.asked import Asked
from service.keeper.door import Deed, Door
from service.keeper.pendings import Data, Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions, Way
from service.keeper.snapshot import View
from service.ledger import tokens, users
from service.ledger.ledger import Transaction

CLIENT = "keywright"
"""The only client there is: public, as RFC 6749, 2.1 calls it."""
CALLBACK = "/callback"
CODE_LASTS = timedelta(seconds=60)
REMEMBERED = timedelta(minutes=10)
"""How long it is known what a code gave."""
CODE, SPENT = "oauth-code", "oauth-spent"
OPEN, ALLOW, REFUSE = "session.open", "session.allow", "session.refuse"
LONGEST_STATE = 200
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_WRONG = "the code is unknown, over, used already, or not for this computer: run `keywright login` again"


class NotGranted(Unauthenticated):
    """No session, and `code` says why, in the words of RFC 6749, 5.2 and RFC 8628, 3.5."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Granted:
    """A session for a command line; its text is shown only now."""

    token: Token
    text: Secret
    lasts: timedelta
    """Without being used."""


@dataclass(frozen=True)
class Wish:
    """What a command line asks for in the browser, looked at: see `wish`."""

    redirect: str
    challenge: str
    state: str
    host: str


def wish(asked: dict[str, str]) -> Wish:
    """What is asked for, by the parameters of RFC 6749, 4.1.1 and RFC 7636, 4.3, and `host`, what it calls itself.

    Raises Invalid. Whoever is refused here is sent nowhere: nobody uses this server to send people elsewhere.
    """
    if asked.get("client_id") != CLIENT:
        raise Invalid(f"client_id must be {CLIENT}: this server signs in its own command line only", field="client_id")
    redirect = loopback(asked.get("redirect_uri", ""))
    if asked.get("response_type") != "code":
        raise Invalid("response_type must be code", field="response_type")
    if asked.get("code_challenge_method") != "S256":
        raise Invalid("code_challenge_method must be S256", field="code_challenge_method")
    challenge = asked.get("code_challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise Invalid("code_challenge must be the SHA-256 of a verifier, in base64url", field="code_challenge")
    state = asked.get("state", "")
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{16,{LONGEST_STATE}}}", state):
        raise Invalid("state must be a text that cannot be guessed: 16 to 200 of A-Z a-z 0-9 - _", field="state")
    return Wish(redirect, challenge, state, host_name(asked.get("host", "")))


def loopback(text: str) -> str:
    """A redirect to this very computer: the literal loopback address, any port, one path. Raises Invalid.

    Compared as a whole with what it must be, so that nothing is left to how others read addresses. No `localhost`,
    which may be somebody else by the time that it is looked up (RFC 8252, 8.3), and no `[::1]`: a page's policy can
    name no such address (CSP 3, 2.3.1, host-part), so a browser would not follow the form's redirect there.
    """
    try:
        port = urlsplit(text).port
    except ValueError:
        port = None
    if not port or text != f"http://127.0.0.1:{port}{CALLBACK}":
        raise Invalid(
            f"redirect_uri must be http://127.0.0.1:PORT{CALLBACK}, on the computer that asks", field="redirect_uri"
        )
    return text


def host_name(text: str) -> str:
    """What a computer calls itself, if that is a name; it may say anything."""
    return text if _HOST.fullmatch(text) else "a computer that tells no name"


def answers(verifier: str, challenge: str) -> bool:
    """Is that the verifier of the challenge (RFC 7636, 4.6)?"""
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return bool(_VERIFIER.fullmatch(verifier)) and hmac.compare_digest(made, challenge)


class Authorization:
    """Codes, and sessions for them."""

    def __init__(self, door: Door, recorder: Recorder, pendings: Pendings, sessions: Sessions) -> None:
        self._door = door
        self._recorder = recorder
        self._pendings = pendings
        self._sessions = sessions

    def allow(self, caller: Caller, wanted: Wish) -> str:
        """The caller lets this computer in; the code for it. Raises Unauthenticated for who is not signed in."""

        def act(tx: Transaction) -> str:
            data = self.consent(tx, caller, wanted.host)
            bound = {"redirect": wanted.redirect, "challenge": wanted.challenge}
            return self._pendings.put(tx, CODE, {**data, **bound}, CODE_LASTS, user_id=str(data["user"]))

        return self._door.change(caller, Deed(ALLOW, resource=caller.id, detail={"host": wanted.host}), act, aside=True)

    def refuse(self, caller: Caller, host: str) -> None:
        """The caller does not."""
        self._door.change(caller, Deed(REFUSE, resource=caller.id, detail={"host": host}), lambda _: None, aside=True)

    def exchange(self, code: str, redirect: str, verifier: str, address: str, request_id: str) -> Granted:
        """A session for a code, once. Raises NotGranted: one sentence for all that may be wrong."""
        known = self._door.look(lambda tx: self._pendings.peek(tx, CODE, code) or self._pendings.peek(tx, SPENT, code))
        if known is None:
            self.stranger("code", address, request_id)
        somebody = _somebody(known, address, request_id)

        def act(tx: Transaction) -> Granted | str:
            data = self._pendings.take(tx, CODE, code)
            if data is None:
                return self._replayed(tx, code)
            if data["redirect"] != redirect:
                return "redirect"
            if not answers(verifier, str(data["challenge"])):
                return "verifier"
            granted = self.open(tx, data, address, request_id)
            if granted is None:
                return "session or user"
            spent = {"user": data["user"], "email": data["email"], "method": data["method"], "token": granted.token.id}
            self._pendings.put(tx, SPENT, spent, REMEMBERED, user_id=granted.token.user_id, text=code)
            return granted

        def done(tx: Transaction) -> Granted | str:
            found = act(tx)
            if isinstance(found, str):  # what was taken stays taken, so nothing is raised in here
                detail: dict[str, Detail] = {"reason": found, "error": NotGranted.__name__}
                tx.events.append(Event(tx.now, somebody, OPEN, Outcome.REFUSED, detail=detail))
            return found

        granted = self._door.change(somebody, (), done)
        if isinstance(granted, str):
            raise NotGranted("invalid_grant", _WRONG)
        return granted

    def _replayed(self, tx: Transaction, code: str) -> str:
        spent = self._pendings.take(tx, SPENT, code)
        if spent and (token := tokens.find(tx, str(spent["token"]))):
            tokens.remove(tx, token.id)
            return "replay: the session was ended"
        return "replay"

    # -- for both flows

    def consent(self, tx: Transaction, caller: Caller, host: str) -> Data:
        """What the caller lets a computer have: as much as its own session is. Raises Unauthenticated."""
        token = tokens.find(tx, caller.id)
        if token is None or token.session is None:
            raise Unauthenticated("only who is signed in can let a computer in: sign in first")
        session = token.session
        return {
            "user": session.user_id,
            "email": token.name,
            "by": token.id,
            "method": session.method,
            "provider_id": session.provider_id,
            "provider_session": session.provider_session,
            "factor_at": session.factor_at.isoformat() if session.factor_at else "",
            "host": host,
        }

    def open(self, tx: Transaction, data: Data, address: str, request_id: str) -> Granted | None:
        """The session, with its event; None where the one that allowed it, or the user, is not in force any more."""
        allowed_by = tokens.find(tx, str(data["by"]))
        user = users.get(tx, str(data["user"]))
        over = allowed_by is None or (allowed_by.expires_at is not None and allowed_by.expires_at <= tx.now)
        if over or allowed_by is None or allowed_by.session is None or user is None or not user.enabled:
            return None
        way = Way(
            str(data["method"]),
            address,
            f"keywright on {data['host']}",
            str(data["provider_id"]),
            str(data["provider_session"]),
            allowed_by.session.factor_at,
        )
        token, text = self._sessions.opened(tx, user, way)
        caller = _person(user, token, way, address, request_id)
        factor = way.factor_at is not None
        detail: dict[str, Detail] = {"method": way.method, "factor": factor, "user": user.id, "host": str(data["host"])}
        tx.events.append(Event(tx.now, caller, OPEN, Outcome.ALLOWED, resource=token.id, detail=detail))
        assert token.expires_at is not None  # sessions end  # noqa: S101
        return Granted(token, text, token.expires_at - tx.now)

    def stranger(self, reason: str, address: str, request_id: str) -> NoReturn:
        """Somebody shows what nothing waits for: a few events each second, and a count beyond. Raises NotGranted."""
        refusal = Stranger(_WRONG, address, request_id, deed=(OPEN, "", {"reason": reason}))

        def evaluate(_: View, __: Asked) -> None:
            raise refusal

        try:
            self._recorder.fetch(Asked(evaluate, OPEN, "", ""))
        except Stranger:
            raise NotGranted("invalid_grant", _WRONG) from None
        raise AssertionError("a stranger was let in")


def _somebody(data: Data, address: str, request_id: str) -> Caller:
    """Whose code is shown, for the log: whoever shows it has not proved to be that person."""
    user = CurrentUser(str(data["user"]), str(data["email"]), "", method=str(data["method"]))
    return Caller("", user.email, "person", (), address, request_id, user=user)


def _person(user: User, token: Token, way: Way, address: str, request_id: str) -> Caller:
    who = CurrentUser(user.id, user.email, user.name, method=way.method)
    return Caller(token.id, user.email, "person", (), address, request_id, user=who)
