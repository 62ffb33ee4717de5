"""How often databases may refuse a process before it stops asking them.

Servers count refusals for each login, until one works, and lock it after a few (MySQL manual, 8.2.15,
FAILED_LOGIN_ATTEMPTS; PostgreSQL by extensions). So a process counts as they do:

    a password that was refused              is not tried again for `AGAIN` seconds
    `limit` refusals of a login in a row     it is tried once in `REST` seconds, until it works; only a password
                                             that was never refused has its one turn
    logins under way                         count as refused until it is known, for `UNDECIDED` seconds at most (who
                                             refuses is quicker): the others wait for a moment
    asking Keywright for the set anew        once in `ASKS` seconds for each login; else it is what others were answered
"""

import copy
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from keywright.credential import Credential, Entry

LIMIT = 3
AGAIN = 5.0
REST = 60.0
UNDECIDED = 5.0
ASKS = 1.0
_LOGINS = 1000
_PASSWORDS = 8


class Leave(Enum):
    """May this entry be tried?"""

    YES = "yes"
    LATER = "later"
    NO = "no"


@dataclass
class _Login:
    refusals: int = 0
    rest_until: float = 0.0
    refused: dict[bytes, float] = field(default_factory=dict)
    underway: dict[int, float] = field(default_factory=dict)
    error: Exception | None = None
    asked: float | None = None


class Budget:
    """How often databases have refused, and what may still be tried. Safe to share between threads."""

    def __init__(self, limit: int = LIMIT, now: Callable[[], float] = time.monotonic) -> None:
        """`limit` refusals in a row for each login; below what the database locks at. `now` in seconds."""
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._logins: dict[tuple[str, int, str], _Login] = {}
        self._number = 0

    def begin(self, credential: Credential, entry: Entry) -> tuple[Leave, int]:
        """Ask to try an entry. With YES comes a number to `end` the attempt with."""
        with self._lock:
            login, now = self._login(credential, entry), self._now()
            tried = login.refused.get(fingerprint(entry))
            if tried is not None and now < tried + AGAIN:
                return Leave.NO, 0
            if login.refusals >= self._limit and tried is not None and now < login.rest_until:
                return Leave.NO, 0
            pending = sum(now < begun + UNDECIDED for begun in login.underway.values())
            # One less than the limit: when all of these are refused, the next entry still has its turn.
            if pending and login.refusals + pending >= self._limit - 1:
                return Leave.LATER, 0
            self._number += 1
            login.underway[self._number] = now
            return Leave.YES, self._number

    def end(
        self, credential: Credential, entry: Entry, number: int, error: Exception | None = None, *, worked: bool = False
    ) -> None:
        """What became of an attempt: it worked, was refused with `error`, or neither."""
        with self._lock:
            login, now = self._login(credential, entry), self._now()
            login.underway.pop(number, None)
            if worked:
                login.refusals, login.error = 0, None
                login.refused.pop(fingerprint(entry), None)
            elif error is not None:
                login.refusals += 1
                login.error = copy.copy(error)  # without its traceback, which would keep what the frames hold
                login.rest_until = now + REST
                login.refused.pop(fingerprint(entry), None)
                login.refused[fingerprint(entry)] = now
                while len(login.refused) > _PASSWORDS:
                    del login.refused[next(iter(login.refused))]

    def asks(self, credential: Credential) -> bool:
        """May the set be asked for anew, rather than be what others were answered a moment ago?"""
        with self._lock:
            login, now = self._login(credential, credential.best), self._now()
            if login.asked is not None and now < login.asked + ASKS:
                return False
            login.asked = now
            return True

    def last_error(self, credential: Credential) -> Exception | None:
        """What the database said the last time it refused a login of this set."""
        with self._lock:
            errors = [self._login(credential, entry).error for entry in credential.entries]
        return next((error for error in errors if error is not None), None)

    def _login(self, credential: Credential, entry: Entry) -> _Login:
        place = credential.primary
        key = place.host, place.port, entry.username
        if (login := self._logins.get(key)) is None:
            if len(self._logins) >= _LOGINS:
                del self._logins[next(iter(self._logins))]
            login = self._logins[key] = _Login()
        return login


def fingerprint(entry: Entry) -> bytes:
    """What an entry's password is remembered by."""
    return hashlib.sha256(entry.password.encode("utf-8", "surrogatepass")).digest()
