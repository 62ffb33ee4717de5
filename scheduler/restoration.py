"""Restoration: notices that the ledger's past was lost, and logs in everywhere to see what is in force.

Nothing in a target is changed here. One connection is probed at a time on each database server, and what a
server rejected is noted before anything else is tried, so that no login fails more often than it must.

    a look says    accepted        fine; adopted, if it is not the one that the ledger has as live
                   rejected        try the next one that the ledger has; none left: a person must look
                   unreachable     later, with growing delays; for too long: a person must look
                   not permitted   a person must look
"""

import threading
from collections.abc import Mapping
from datetime import timedelta

import structlog

from scheduler.writeback import WriteBack
from service.core.connection import Accepted, Access, Account, Engine, NotPermitted, Probe, Rejected, Unreachable
from service.core.database import Database, Fencing
from service.core.errors import ChangeError, ChangeUnreachable, KeywrightError, StoreError, StoreUnreachable
from service.core.restoration import REPLICATES, UNREACHABLE_AT_MOST, Replication, rest
from service.keeper.budget import Budget, Withheld
from service.keeper.definitions import KeptIn
from service.keeper.past import Past
from service.keeper.probes import Known, Probes, Subject
from service.keeper.tokens import SYSTEM
from service.ledger.findings import ProbeLost, Probing

log = structlog.get_logger("restoration")

SERVERS_AT_ONCE = 16
WITHHELD = timedelta(minutes=1)
"""Between two looks whether an account has had its rest from rejected logins."""
PUT_AGAIN = "put the connection again with the login that works; see `keywright restoration`"


class Silent(Exception):
    """The target, or the password's store, does not answer: nothing is known. `waits`: it was not even asked."""

    def __init__(self, sentence: str, *, waits: bool = False) -> None:
        super().__init__(sentence)
        self.waits = waits


class Restoration:
    """Looks, and probes. `databases` has one implementation per engine; `holder` names this process in leases."""

    def __init__(
        self,
        past: Past,
        probes: Probes,
        databases: Mapping[Engine, Database],
        budget: Budget,
        write_back: WriteBack,
        *,
        holder: str,
        lease: timedelta,
    ) -> None:
        self._past = past
        self._probes = probes
        self._databases = databases
        self._budget = budget
        self._write_back = write_back
        self._holder = holder
        self._lease = lease
        self._servers: set[str] = set()
        self._stopped = False
        self._fewer = threading.Condition()
        self._told: tuple[bool, Replication, str] = (False, Replication.NONE, "")

    def look(self) -> bool:
        """Notice what was lost. True while every rotation is held. Raises Unavailable, Unrecorded."""
        held = self._past.look()
        told = (held, self._past.replication, self._past.trouble)
        if told != self._told:
            if held and not self._told[0]:
                log.error("rotations are held: the ledger's past may have been lost, every login is probed")
            elif self._told[0] and not held:
                log.warning("the restoration has ended; see `keywright restoration` for what a person must look at")
            if told[1] is not self._told[1] and REPLICATES[told[1]]:
                log.warning("the ledger may lose events", reason=REPLICATES[told[1]])
            if told[2] and told[2] != self._told[2]:
                log.warning("no witness", reason=told[2])
            self._told = told
        return held

    def take_over(self) -> None:
        """Nobody else works on an embedded ledger: whoever probed before this process is dead."""
        self._probes.take_over()

    def stop(self, seconds: float) -> None:
        """Begin no more, and let the logins that are under way end."""
        with self._fewer:
            self._stopped = True
            if not self._fewer.wait_for(lambda: not self._servers, seconds):
                log.warning("probing was cut off; whoever starts next goes on")
        try:
            self._past.close()
        except KeywrightError as error:
            log.warning("the end of the ledger was not noted", error=error.message)

    def tick(self) -> None:
        """Hand out what is to be probed, a thread for each database server."""
        with self._fewer:
            room = SERVERS_AT_ONCE - len(self._servers)
        for held in self._probes.claim(self._holder, self._lease, room) if room > 0 else ():
            with self._fewer:
                self._servers.add(held.server)
            threading.Thread(target=self._server, args=(held,), name=f"probe {held.server}", daemon=True).start()

    def work(self) -> None:
        """Probe what is due, here and now, until nothing is."""
        while claimed := self._probes.claim(self._holder, self._lease, SERVERS_AT_ONCE):
            for held in claimed:
                self.probe(held)

    def _server(self, first: Probing) -> None:
        """One after the other, until nothing on that server is due."""
        try:
            waiting = [first]
            while waiting and not self._stopped:
                self.probe(waiting[0])
                waiting = self._probes.claim(self._holder, self._lease, 1, first.server)
        except KeywrightError as error:
            log.error("probing was interrupted", server=first.server, error=error.message)
        finally:
            with self._fewer:
                self._servers.discard(first.server)
                self._fewer.notify_all()

    def probe(self, held: Probing) -> None:
        """Probe one connection and record what was found."""
        try:
            subject = self._probes.subject(held)
            try:
                self._judge(held, subject)
            except Silent as silent:
                self._later(held, subject, str(silent), waits=silent.waits)
        except ProbeLost:
            log.info("another worker probes it", connection=held.connection_id)
        except KeywrightError as error:
            # The ledger or the keys: nothing was recorded, the lease runs out, and it is probed again.
            log.error("probing was interrupted", connection=held.connection_id, error=error.message)

    def _judge(self, held: Probing, subject: Subject) -> None:
        if subject.kept_in:
            self._kept(held, subject, subject.kept_in)
            return
        primary = subject.target.primary
        newer, unread = self._newer(held, subject, subject.administration)
        if newer:
            return
        if not subject.expecting:
            self._probes.fine(SYSTEM, held, "it has no password yet")
            return
        match self._first_accepted(held, subject, subject.expecting):
            case Known() as accepted:
                self._expected(held, subject, accepted, unread)
            case NotPermitted(reason):
                sentence = f"{primary} does not let {subject.live_username} in, whatever the password: {reason}"
                again = "put that right, then put the connection again"
                self._stuck(held, subject, f"{sentence}: {again}", known=False)
            case Rejected(reason):
                self._otherwise(held, subject, reason)

    def _expected(self, held: Probing, subject: Subject, accepted: Known, unread: str) -> None:
        """What the ledger has as live logs in. Is the other login of the pair as it should be, too?"""
        if subject.administration is None:
            newer, unread = self._newer(held, subject, Access(subject.target, accepted.account))
            if newer:
                return
        for known in subject.beside:
            before = known.credential_id in subject.found.rejected
            if before or isinstance(self._tried(held, subject, known), Rejected):
                username = known.account.username
                sentence = (
                    f"{accepted.account.username} logs in, but {username}, which should rest with a password that the "
                    f"ledger has, was turned by somebody else: {PUT_AGAIN}"
                )
                self._stuck(held, subject, sentence)
                return
        sentence = f"{accepted.account.username} logged in at {subject.target.primary}"
        self._probes.fine(SYSTEM, held, "; ".join(filter(None, [sentence, unread])))

    def _otherwise(self, held: Probing, subject: Subject, reason: str) -> None:
        """The live password is rejected: is another one in force that the ledger has?"""
        sentence = f"{subject.target.primary} rejected the live password of {subject.live_username} ({reason})"
        accepted = self._first_accepted(held, subject, subject.others)
        if not isinstance(accepted, Known):
            self._stuck(held, subject, f"{sentence}, and no other that the ledger has is accepted: {PUT_AGAIN}")
            return
        other = f"{accepted.account.username} logged in with another one that the ledger has, which is live now"
        self._probes.adopted(SYSTEM, held, accepted, f"{sentence}; {other}")
        log.warning("adopted", connection=subject.found.connection, login=accepted.account.username)

    def _first_accepted(
        self, held: Probing, subject: Subject, candidates: tuple[Known, ...]
    ) -> Known | Rejected | NotPermitted:
        """The first that logs in, else why the last did not. What was rejected already is not tried again."""
        refused: Rejected | NotPermitted = Rejected("it was rejected before")
        for known in candidates:
            if known.credential_id not in subject.found.rejected:
                probe = self._tried(held, subject, known)
                if isinstance(probe, Accepted):
                    return known
                refused = probe
        return refused

    def _tried(self, held: Probing, subject: Subject, known: Known) -> Accepted | Rejected | NotPermitted:
        """Log in at the primary. Raises Silent."""
        probe = self._probed(subject, known.account)
        if isinstance(probe, Unreachable):
            raise Silent(f"{subject.target.primary} cannot be reached: {probe.reason}")
        if isinstance(probe, Rejected):
            self._probes.rejected(held, known.credential_id)
        return probe

    def _probed(self, subject: Subject, account: Account) -> Probe:
        """Log in at the primary. Raises Silent where that has to wait, so that no account is locked by it."""
        probe = self._budget.probe(Access(subject.target, account), subject.target.primary)
        if isinstance(probe, Withheld):
            raise Silent(f"{subject.target.primary}: {probe.reason}", waits=True)
        return probe

    def _newer(self, held: Probing, subject: Subject, way: Access | None) -> tuple[bool, str]:
        """Was somebody there with a newer ledger than this one? Then a person must look.

        Beside it a sentence, if that cannot be told. Raises Silent.
        """
        database, unread = self._databases[subject.target.engine], ""
        if subject.fence:
            unread = "no fence could be read there: a newer ledger may have been at work unseen"
        if way is None or not isinstance(database, Fencing):
            return False, unread
        try:
            number = database.fence_number(way, subject.found.connection_id)
        except ChangeUnreachable as error:
            raise Silent(error.message) from None
        except ChangeError as error:
            return False, f"{unread} ({error.message})" if unread else ""
        if number is None or number <= subject.fence:
            return False, unread if number is None else ""
        sentence = (
            f"{subject.target.primary} was changed by a Keywright with a newer ledger than this one (fence {number}, "
            f"here {subject.fence}): {PUT_AGAIN}"
        )
        self._stuck(held, subject, sentence, fence=number)
        return True, ""

    def _kept(self, held: Probing, subject: Subject, home: KeptIn) -> None:
        """The password lives in a store: what the store has is the truth."""
        primary = subject.target.primary
        try:
            account = self._write_back.kept(home, subject.adopted)
        except StoreUnreachable as error:
            raise Silent(f"the password could not be read: {error.message}") from None
        except StoreError as error:
            self._stuck(held, subject, f"the password could not be read: {error.message}", known=False)
            return
        who = account.username
        match self._probed(subject, account):
            case Unreachable(reason):
                raise Silent(f"{primary} cannot be reached: {reason}")
            case Rejected(reason) | NotPermitted(reason):
                sentence = f"{primary} does not accept what {home.location} has for {who} ({reason})"
                self._stuck(held, subject, f"{sentence}: put there what works, then put the connection again")
            case Accepted() if subject.live_username in (None, who):
                self._probes.fine(SYSTEM, held, f"{who} logged in with what {home.location} has")
            case Accepted():
                sentence = f"{home.location} names {who}, who logged in; {subject.live_username} was live in the ledger"
                self._probes.adopted_from_store(SYSTEM, held, who, sentence)

    def _later(self, held: Probing, subject: Subject, sentence: str, *, waits: bool) -> None:
        attempts = subject.found.attempts
        if waits:
            self._probes.later(held, WITHHELD, sentence, failing=False)
        elif attempts + 1 >= UNREACHABLE_AT_MOST:
            again = "when it answers, put the connection again, or run `keywrightd restored` to have all probed again"
            self._stuck(held, subject, f"{sentence}, {attempts + 1} times: {again}", known=False)
        else:
            self._probes.later(held, rest(attempts), sentence)

    def _stuck(
        self, held: Probing, subject: Subject, sentence: str, *, fence: int | None = None, known: bool = True
    ) -> None:
        self._probes.stuck(SYSTEM, held, sentence, fence=fence, known=known)
        log.error("a person must look", connection=subject.found.connection, reason=sentence)
