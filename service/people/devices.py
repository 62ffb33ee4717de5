"""`keywright login --device`: a computer without a browser is let in from one that has one (RFC 8628).

    computer: begins ──► shows a short code ──► asks every few seconds ────────────────► a session
                               │ typed by the person                      ▲
    browser:             "Let this computer in?" ──► allowed, refused ────┘          over after ten minutes

The short code is typed in, and never part of an address: whoever sends somebody a link can at least not send the code
along with it. What is asked then says where the computer is, and that nobody who was *sent* a code must go on.

20 letters, 8 of them: 2.6e10 codes, of which some wait. Who is wrong waits, twice as long each time, so that a person
who is signed in and guesses tries a hundred or so a day. The computer that asks too
often waits longer, too (`slow_down`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from service.core.access import Caller
from service.core.errors import Absent, Invalid, Often, Unauthenticated
from service.core.event import Detail
from service.keeper.door import Deed, Door
from service.keeper.pendings import Data, Pendings
from service.ledger.ledger import Transaction
from service.people.authorization import ALLOW, CLIENT, REFUSE, Authorization, Granted, NotGranted, host_name

LASTS = timedelta(minutes=10)
INTERVAL = timedelta(seconds=5)
"""Between two times that a computer asks; so much longer each time that it asks too soon (RFC 8628, 3.5)."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""None makes a word, none looks like another (RFC 8628, 6.1)."""
LENGTH = 8
FREE = 3
"""So many wrong codes cost no time."""
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN = timedelta(hours=1)
DEVICE, TYPED, DECIDED, PACE, WRONG = "device", "device-typed", "device-decided", "device-pace", "device-wrong"
_OVER = "nobody let this computer in within ten minutes: run `keywright login --device` again"


@dataclass(frozen=True)
class Begun:
    """What a computer goes on with. `secret` is its own, `code` is to be typed by the person."""

    secret: str
    code: str
    lasts: timedelta
    interval: timedelta


@dataclass(frozen=True)
class Waiting:
    """A computer that waits to be let in."""

    code: str
    host: str
    address: str
    began_at: datetime


class Devices:
    """Computers that wait, and what became of them."""

    def __init__(self, door: Door, pendings: Pendings, authorization: Authorization) -> None:
        self._door = door
        self._pendings = pendings
        self._authorization = authorization

    def begin(self, client: str, host: str, address: str) -> Begun:
        """A computer wants to be let in. Raises Invalid, Often."""
        if client != CLIENT:
            raise Invalid(f"client_id must be {CLIENT}", field="client_id")
        with self._door.ledger.work() as tx:
            code = self._code(tx)
            at = {
                "host": host_name(host),
                "address": address,
                "began_at": tx.now.isoformat(),
                "id": self._door.new_id(),
            }
            secret = self._pendings.put(tx, DEVICE, at, LASTS, address=address)
            self._pendings.put(tx, TYPED, at, LASTS, text=code)
        return Begun(secret, code, LASTS, INTERVAL)

    def typed(self, caller: Caller, text: str) -> Waiting:
        """What waits for the code that a person typed. Raises Absent; Often where it was wrong too often."""
        code = normal(text)
        user = _signed_in(caller)

        def look(tx: Transaction) -> tuple[timedelta, Data | None]:
            count, left = _wrong(self._pendings.peek(tx, WRONG, user) or {}, tx.now)
            found = None if left else self._pendings.peek(tx, TYPED, code)
            if not left and found is None:
                self._pendings.take(tx, WRONG, user)
                again: Data = {"count": count + 1, "at": tx.now.isoformat()}
                self._pendings.put(tx, WRONG, again, FORGOTTEN, user_id=user, text=user)
            return left, found

        # `head` is held: many guesses at once are many guesses.
        left, found = self._door.change(caller, (), look, aside=True)
        if left:
            seconds = int(left.total_seconds()) + 1
            raise Often(f"too many wrong codes, one after another: wait {seconds} seconds", after=seconds)
        if found is None:
            refusal = Absent("no computer waits with this code: look at its screen, and type what stands there now")
            self._door.refuse(caller, Deed(ALLOW, detail={"reason": "code"}), refusal)
            raise refusal
        began = datetime.fromisoformat(str(found["began_at"]))
        return Waiting(shown(code), str(found["host"]), str(found["address"]), began)

    def decide(self, caller: Caller, text: str, *, allowed: bool) -> Waiting:
        """Let the computer that waits with this code in, or do not. Raises as `typed`."""
        code, user = normal(text), _signed_in(caller)
        waiting = self.typed(caller, text)

        def act(tx: Transaction) -> None:
            found = self._pendings.take(tx, TYPED, code)
            if found is None:
                raise Absent("no computer waits with this code any more")
            data: Data = {"allowed": False}
            if allowed:
                data = {"allowed": True, **self._authorization.consent(tx, caller, waiting.host)}
            self._pendings.take(tx, WRONG, user)
            self._pendings.put(tx, DECIDED, data, LASTS, user_id=user, text=str(found["id"]))

        detail: dict[str, Detail] = {"host": waiting.host, "at": waiting.address}
        deed = Deed(ALLOW if allowed else REFUSE, resource=caller.id, detail=detail)
        self._door.change(caller, deed, act, aside=True)
        return waiting

    def ask(self, secret: str, address: str, request_id: str) -> Granted:
        """The computer asks whether it was let in. Raises NotGranted: not yet, not so often, no, or too late."""
        somebody = Caller("stranger", "", "stranger", (), address, request_id)
        device = self._door.look(lambda tx: self._pendings.peek(tx, DEVICE, secret))
        if device is None:
            self._late(address, request_id)
        device_id = str(device["id"])
        if self._door.look(lambda tx: self._pendings.peek(tx, DECIDED, device_id)) is None:
            if self._door.change(somebody, (), lambda tx: self._soon(tx, device_id), aside=True):
                raise NotGranted("slow_down", "this is asked too often: wait five seconds longer each time")
            raise NotGranted("authorization_pending", "nobody has said yet whether this computer may come in")

        def act(tx: Transaction) -> Granted | None:
            found = self._pendings.take(tx, DEVICE, secret)
            data = self._pendings.take(tx, DECIDED, device_id)
            if found is None or data is None or not data["allowed"]:
                return None
            return self._authorization.open(tx, data, address, request_id)

        granted = self._door.change(somebody, (), act)
        if granted is None:
            raise NotGranted("access_denied", "this computer was not let in")
        return granted

    def _late(self, address: str, request_id: str) -> NoReturn:
        try:
            self._authorization.stranger("device", address, request_id)
        except NotGranted:
            raise NotGranted("expired_token", _OVER) from None

    def _soon(self, tx: Transaction, device_id: str) -> bool:
        """Does it ask sooner than it was told to? Then it is told to wait longer."""
        known = self._pendings.take(tx, PACE, device_id)
        interval, soon = INTERVAL, False
        if known:
            interval = timedelta(seconds=int(str(known["seconds"])))
            # A second is the way: a computer that waits as it was told is never too early.
            soon = tx.now - datetime.fromisoformat(str(known["at"])) < interval - timedelta(seconds=1)
        if soon:
            interval += INTERVAL
        pace: Data = {"at": tx.now.isoformat(), "seconds": int(interval.total_seconds())}
        self._pendings.put(tx, PACE, pace, LASTS, text=device_id)
        return soon

    def _code(self, tx: Transaction) -> str:
        while True:
            # Bytes above the last whole run of letters would make the first ones likelier.
            drawn = [byte for byte in self._door.randomness(4 * LENGTH) if byte < 256 - 256 % len(LETTERS)]
            code = "".join(LETTERS[byte % len(LETTERS)] for byte in drawn[:LENGTH])
            if len(code) == LENGTH and self._pendings.peek(tx, TYPED, code) is None:
                return code


def normal(text: str) -> str:
    """A code as somebody typed it: without what it is written with, in capitals."""
    return "".join(mark for mark in text.upper() if mark in LETTERS) if len(text) <= 40 else ""


def shown(code: str) -> str:
    """`BCDF-GHJK`"""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def _wrong(data: Data, now: datetime) -> tuple[int, timedelta]:
    """How often it was wrong, and how long it has to wait."""
    if not data:
        return 0, timedelta()
    count = int(str(data["count"]))
    if count <= FREE:
        return count, timedelta()
    whole = min(timedelta(seconds=5) * 2 ** min(count - FREE - 1, 20), LONGEST_WAIT)
    return count, max(datetime.fromisoformat(str(data["at"])) + whole - now, timedelta())


def _signed_in(caller: Caller) -> str:
    if caller.user is None or not caller.user.session:
        raise Unauthenticated("only who is signed in can let a computer in: sign in first")
    return caller.user.id
