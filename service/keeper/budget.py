"""Logins that may be rejected, within a budget, so that no lock-out policy of a server is ever tripped by us.

Servers that lock accounts count rejected logins in a row, and an accepted one ends the run: MariaDB's
max_password_errors, credcheck's max_auth_failure, pam_faillock's deny. So do we, for each account at each
endpoint. The first rejection of a run is nothing unusual (a candidate is tried before it is set, a former
password to see that it is dead) and is remembered by the process alone; the second one is written into the
ledger with it, and from the third one on a login is counted before it is tried. So replicas share one count, to
which each may have added one that the others do not know, and a crash forgets one at most: the budget leaves
room for that below a server's limit.

    fewer than the budget in a row      the login is tried
    as many, another password works     that one logs in first, which ends the run
    as many, this password must work    it was just set, or the others were rejected: at most one above the budget
    as many, and none is known to work  it is not tried: Withheld, until 15 minutes after the last one; or, for a
                                        password that time does not make right, until a login was accepted, or a
                                        person asked to try again

Administration logins are many connections', and log in for every change: one that was let in is believed for a
few seconds without another look, and no more changes than the budget are under way with it at once, so that no
more than these can be rejected when its password was changed behind our back.

An account is its user name at one address. Where one server has several addresses, each is counted apart.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from service.core.connection import Accepted, Access, Account, Endpoint, Engine, Probe, Rejected, Target, Unreachable
from service.core.database import Database
from service.keeper import definitions
from service.ledger import rejections
from service.ledger.ledger import Ledger

FAILED_LOGINS = 3
"""Rejected logins in a row that are risked; MariaDB's advice and credcheck's examples lock at 5 or more."""
UNMARKED = 2.0
"""Seconds for which the ledger is not asked again whether another process counted rejections of an account."""
BELIEVED = 5.0
"""Seconds for which an administration login that was let in is not looked at again."""
FORGIVES = timedelta(minutes=15)
"""After the last rejected one, one more may be tried: pam_faillock's fail_interval."""


@dataclass(frozen=True)
class Withheld(Unreachable):
    """The login was not tried, because its rejection could lock the account."""


class Budget:
    """Logs in. `databases` has one implementation per engine, `most` is how many rejections in a row are risked."""

    def __init__(self, ledger: Ledger, databases: Mapping[Engine, Database], most: int = FAILED_LOGINS) -> None:
        self._ledger = ledger
        self._databases = databases
        self._most = most
        self._turns: dict[tuple[str, str], _Turn] = {}
        self._rejected: dict[tuple[str, str], list[Account]] = {}
        """Which passwords were rejected in the present run, as far as this process knows."""
        self._first: dict[tuple[str, str], float] = {}
        """Accounts of which one rejection is remembered here and not in the ledger, and since when."""
        self._unmarked: dict[tuple[str, str], float] = {}
        """Accounts of which the ledger counts none, and until when that is believed."""
        self._let_in: dict[tuple[str, str], tuple[Account, float]] = {}
        """Administration logins that were let in, and until when that is believed."""
        self._changes: dict[tuple[str, str], threading.Semaphore] = {}
        self._lock = threading.Lock()

    def probe(
        self,
        access: Access,
        endpoint: Endpoint,
        works: Account | None = None,
        *,
        lasting: bool = False,
        on_purpose: bool = False,
    ) -> Probe:
        """`Database.probe`, or Withheld. `works` is the same login with the password that is believed to be right.

        `lasting`: once rejected, the password will not become right by itself, so time gives nothing back.
        `on_purpose`: the password is meant to be wrong, so no budget is spent on it: it must be the first.
        Raises Unavailable, before anything is tried.
        """
        most = 1 if on_purpose else self._most
        lasting = lasting or works not in (None, access.account)
        target, username = access.target, access.account.username
        key = (definitions.address(target, endpoint), username)
        with self._turn(key):
            if counted := self._begins(key, most, lasting=lasting):
                return self._tried(key, access, endpoint, counted)
            guess = self._guess(key, access.account, works)
            if guess and (counted := self._begins(key, self._most + 1, lasting=True, above=True)):
                probe = self._tried(key, Access(target, guess), endpoint, counted)
                if guess == access.account:
                    return probe
                if counted := self._begins(key, most, lasting=True):
                    return self._tried(key, access, endpoint, counted)
        again = "until one that is known to be right was accepted" if lasting else "for 15 minutes"
        return Withheld(
            f"not tried {again}: {self._most} logins in a row as {username} were rejected, and more could lock it"
        )

    def way(self, way: Access, ways: Sequence[Access], *, believing: bool = True) -> Probe:
        """Log in as an administration login does, by one of its ways in; or believe that it still gets in.

        Others may have spent the budget by guessing at it: one login above it shows that its password is right.
        """
        key, who = _key(way), way.account
        let_in, until = self._let_in.get(key, (None, 0.0))
        if believing and len(ways) == 1 and let_in == who and until > time.monotonic():
            return Accepted({})
        others = [w.account for w in ways if w.account.username == who.username and w.account != who]
        probe = self.probe(way, way.target.primary, next(iter(others), who), lasting=True)
        if isinstance(probe, Accepted):
            self._let_in[key] = (who, time.monotonic() + BELIEVED)
        return probe

    @contextmanager
    def changing(self, way: Access) -> Iterator[None]:
        """A change logs in as this administration login: not more at once than may be rejected.

        Whatever fails meanwhile ends the belief that it gets in; where nothing does, it got in once more.
        """
        key = _key(way)
        with self._lock:
            under_way = self._changes.setdefault(key, threading.Semaphore(self._most))
        with under_way:
            try:
                yield
            except BaseException:
                self._let_in.pop(key, None)
                raise
        self._end(key)

    def password_set(self, target: Target, username: str) -> None:
        """A password was set just now, so the next login with it ends whatever run there was."""
        self._end((definitions.address(target, target.primary), username))

    def _end(self, key: tuple[str, str]) -> None:
        self._rejected.pop(key, None)
        self._first.pop(key, None)
        if self._unmarked.get(key, 0.0) <= time.monotonic() and self._marked(key):
            with self._ledger.work() as tx:
                rejections.end(tx, *key)

    def _begins(self, key: tuple[str, str], most: int, *, lasting: bool, above: bool = False) -> "_Counted | None":
        """How the login is counted; None: it must not be tried.

        `above`: it is the one above the budget, which is due whatever this process remembers besides the ledger.
        """
        since = self._first.get(key)
        unmarked = since is None and self._unmarked.get(key, 0.0) > time.monotonic()
        behind = 0 if unmarked else self._marked(key)
        first = since is not None and (lasting or time.monotonic() - since < FORGIVES.total_seconds())
        if not behind and int(first) < min(most, 2):
            return _Counted.NOT_YET
        with self._ledger.work() as tx:
            begun = rejections.begin(tx, *key, most, None if lasting else FORGIVES, behind=int(first and not above))
        if begun:
            self._first.pop(key, None)
            self._unmarked.pop(key, None)
        return _Counted.IN_LEDGER if begun else None

    def _marked(self, key: tuple[str, str]) -> int:
        with self._ledger.read() as tx:
            run = rejections.run(tx, *key)
        if not run:
            self._unmarked[key] = time.monotonic() + UNMARKED
        return run

    def _tried(self, key: tuple[str, str], access: Access, endpoint: Endpoint, counted: "_Counted") -> Probe:
        probe = self._databases[access.target.engine].probe(access, endpoint)
        in_ledger = counted is _Counted.IN_LEDGER
        if isinstance(probe, Rejected):
            self._rejected.setdefault(key, []).append(access.account)
            if not in_ledger:
                self._count(key)
            return probe
        if isinstance(probe, Accepted):
            self._rejected.pop(key, None)
            self._first.pop(key, None)
        if in_ledger:
            with self._ledger.work() as tx:
                (rejections.end if isinstance(probe, Accepted) else rejections.give_back)(tx, *key)
        return probe

    def _count(self, key: tuple[str, str]) -> None:
        """One that was not counted before it was tried: the first here, the second in the ledger with the first."""
        if key not in self._first:
            self._first[key] = time.monotonic()
            return
        del self._first[key]
        self._unmarked.pop(key, None)
        with self._ledger.work() as tx:
            rejections.add(tx, *key, 2)

    def _guess(self, key: tuple[str, str], account: Account, works: Account | None) -> Account | None:
        """The password that most likely ends the run, for the one login above the budget."""
        if works is None or works == account:
            return works
        rejected = self._rejected.get(key, ())
        return next((one for one in (works, account) if one not in rejected), None)

    @contextmanager
    def _turn(self, key: tuple[str, str]) -> Iterator[None]:
        """One login of an account at a time in this process, or those under way would seem to be rejected."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.wanted += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.wanted -= 1
                if not turn.wanted:
                    del self._turns[key]


class _Counted(Enum):
    """Where a login is counted, should it be rejected."""

    NOT_YET = auto()  # by this process, afterwards: it would be the first
    IN_LEDGER = auto()  # already


def _key(way: Access) -> tuple[str, str]:
    return definitions.address(way.target, way.target.primary), way.account.username


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.wanted = 0
