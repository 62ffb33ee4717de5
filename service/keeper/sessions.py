"""Sessions: people who are signed in. All ways in end here, in `opened`.

    opened ──► used ──► used …            its idle end moves on with use, never behind its absolute end
       │         │
       │         ├─ replaced              by one of another id and text, where it comes to mean more: what somebody
       │         │                        may have seen or set of the old one is of no use then (session fixation)
       │         └─ ended                 signed out; by its user from elsewhere; by an owner of people; or its user
       └─ expired: swept                  was disabled, or chose a new password

A session is a token (`core/token.py`): wherever tokens are accepted, so is its text.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from service.core.access import PEOPLE, Caller, CurrentUser, Level, require
from service.core.errors import Absent, Forbidden, KeywrightError, Unauthenticated
from service.core.event import Detail, Event, Outcome
from service.core.person import Session, User
from service.core.secret import Secret
from service.core.token import Token, make
from service.keeper.delays import Delays
from service.keeper.door import Deed, Door
from service.keeper.snapshot import Snapshot
from service.ledger import sessions, settings, tokens, users
from service.ledger.ledger import Transaction

LONGEST_AGENT = 200
MOST = 100
"""Of one person; one more, and that which was not used for the longest time ends."""
OPEN = "session.open"
PASSWORD = "password"  # noqa: S105 - a word
"""The method of who signed in with a password kept here."""


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


class PasswordEnded(Forbidden):
    """The password was right, but has ended, or was set by somebody else: it has to be changed first."""


def password_ended(user: User, now: datetime) -> bool:
    """Must its password be changed before anything else?"""
    return user.must_change or (user.password_ends_at is not None and user.password_ends_at <= now)


class Sessions:
    """Operations on sessions."""

    def __init__(self, door: Door, snapshot: Snapshot) -> None:
        self._door = door
        self._snapshot = snapshot

    def opened(self, tx: Transaction, user: User, way: Way) -> tuple[Token, Secret]:
        """A new session, within the transaction in which it was proven who it is; its text is shown only now.

        Raises PasswordEnded: whatever else somebody showed, a password that has ended opens nothing.
        """
        if way.method == PASSWORD and password_ended(user, tx.now):
            raise PasswordEnded("your password has ended: choose a new one, or ask for an invitation")
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
        self._make_room(tx, user, way)
        tokens.add(tx, token, {"method": way.method})
        users.seen(tx, user.id, login=True)
        if way.method == PASSWORD:  # and not before: a right password alone, without its factor, ends no wait
            Delays.right(tx, user.email, way.address)
        return token, text

    @staticmethod
    def _make_room(tx: Transaction, user: User, way: Way) -> None:
        """Nobody fills the ledger, and the memory of every replica, by signing in."""
        by = Caller(user.id, user.email, "person", (), way.address, user=CurrentUser(user.id, user.email, user.name))
        for token_id in sessions.beyond(tx, user.id, MOST - 1):
            tokens.remove(tx, token_id)
            detail: dict[str, Detail] = {"user": user.id, "reason": f"{MOST} are the most"}
            tx.events.append(Event(tx.now, by, "session.end", Outcome.ALLOWED, resource=token_id, detail=detail))

    def replaced(self, tx: Transaction, token_id: str, *, factor_at: datetime | None = None) -> tuple[Token, Secret]:
        """The same session under another id and text, with a factor that was shown just now, if one was.

        The old one is of no use any more. Raises Unauthenticated if it was ended meanwhile.
        """
        former = tokens.find(tx, token_id)
        if former is None or former.session is None:
            raise Unauthenticated("the session was ended meanwhile: sign in again")
        new_id, text, hashed = make(self._door.randomness)
        session = replace(former.session, token_id=new_id, factor_at=factor_at or former.session.factor_at)
        token = replace(former, id=new_id, hash=hashed, session=replace(session, last_seen_at=tx.now))
        tokens.remove(tx, token_id)
        tokens.add(tx, token, {"method": session.method})
        return token, text

    # -- use

    def due(self, caller: Caller) -> bool:
        """Is it time to note that this caller's session is in use? Looked up in memory."""
        if caller.user is None:
            return False
        token = self._snapshot.tokens.get(caller.id)
        if token is None or token.session is None:
            return False
        return self._door.ledger.now() - token.session.last_seen_at >= self._snapshot.settings.idle / 10

    def used(self, caller: Caller) -> None:
        """Note that the caller's session is in use: its idle end moves on. A change of its own, without an event."""

        def act(tx: Transaction) -> None:
            token = tokens.find(tx, caller.id)
            if token is None or token.session is None or token.renewable_until is None:
                return
            idle = settings.read(tx).idle
            if (
                token.expires_at is None
                or token.expires_at <= tx.now
                or tx.now - token.session.last_seen_at < idle / 10
            ):
                return  # over, or somebody was quicker
            sessions.seen(tx, token.id, min(tx.now + idle, token.renewable_until))
            users.seen(tx, token.user_id)

        self._door.change(caller, (), act)

    # -- looking and ending

    def own(self, caller: Caller) -> Token:
        """The caller's session. Raises Absent for who has none."""

        def evaluate(tx: Transaction) -> Token:
            return _session(tx, caller)

        return self._door.fetch(caller, Deed("session.get", resource=caller.id), evaluate)

    def listed(self, caller: Caller, user_id: str, after: str, limit: int) -> list[Token]:
        """A user's sessions, by id; one's own, or for *use* on people. Raises Absent."""

        def evaluate(tx: Transaction) -> list[Token]:
            wanted = user_id or (caller.user.id if caller.user else "")
            if not caller.user or wanted != caller.user.id:
                require(caller, Level.USE, PEOPLE, f"user {wanted[:64]}")
                if wanted and users.get(tx, wanted) is None:
                    raise Absent(f"user {wanted[:64]} does not exist")
            return sessions.of(tx, wanted, after, limit) if wanted else []

        return self._door.fetch(caller, Deed("session.list", resource=user_id), evaluate)

    def end(self, caller: Caller, token_id: str) -> None:
        """A session is of no use from now on; one's own, or for *own* on people. Raises Absent, Forbidden."""

        def act(tx: Transaction) -> None:
            token = tokens.find(tx, token_id)
            mine = token is not None and caller.user is not None and token.user_id == caller.user.id
            if not mine:
                require(caller, Level.OWN, PEOPLE, f"session {token_id[:64]}")
            if token is None or token.session is None:
                raise Absent(f"session {token_id[:64]} does not exist")
            deed.detail["user"] = token.user_id
            tokens.remove(tx, token_id)

        deed = Deed("session.end", resource=token_id)
        self._door.change(caller, deed, act)

    def sign_out(self, caller: Caller) -> None:
        """The caller's own session is over. Raises Absent for who has none."""

        def act(tx: Transaction) -> None:
            token = _session(tx, caller)
            deed.detail["user"] = token.user_id
            tokens.remove(tx, token.id)

        deed = Deed("session.end", resource=caller.id)
        self._door.change(caller, deed, act)

    def forged(self, caller: Caller, refusal: KeywrightError, method: str) -> None:
        """Record that a page of somebody else made the caller's browser ask. Raises Unrecorded."""
        self._door.refuse(caller, Deed("session.use", resource=caller.id, detail={"method": method}), refusal)


def _session(tx: Transaction, caller: Caller) -> Token:
    token = tokens.find(tx, caller.id)
    if token is None or token.session is None:
        raise Absent("this is a token, and no session: nobody is signed in by it")
    return token


def opened_event(tx: Transaction, user: User, token: Token, way: Way, request_id: str) -> Event:
    """That somebody signed in."""
    who = CurrentUser(user.id, user.email, user.name, method=way.method)
    person = Caller(token.id, user.email, "person", (), way.address, request_id, user=who)
    detail: dict[str, Detail] = {"method": way.method, "factor": way.factor_at is not None, "user": user.id}
    return Event(tx.now, person, OPEN, Outcome.ALLOWED, resource=token.id, detail=detail)


def as_data(way: Way) -> dict[str, object]:
    """A way in, for a pending."""
    return vars(way) | {"factor_at": way.factor_at.isoformat() if way.factor_at else None}


def from_data(data: dict[str, object]) -> Way:
    """The same again."""
    at = data.get("factor_at")
    texts = {name: str(data[name]) for name in ("method", "address", "agent", "provider_id", "provider_session")}
    return Way(**texts, factor_at=datetime.fromisoformat(str(at)) if at else None)
