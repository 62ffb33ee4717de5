"""The rotator: moves one rotation on, one durable step at a time.

Every step has three parts: *look* (log in, to learn what is in force), *act* in the target only where
the look says that it is needed, *record* in the ledger. The process may die between any two of them; whoever
comes next begins with the look, and so finishes what was begun. What to do next is decided by the pure
`service.core.rotation.next_step`; this module only carries it out.

    a look says        accepted     it is in force, whoever made it so: record it and go on
                       rejected     it is not in force: act
                       unreachable  nothing is known: later, with growing delays
                       not permitted  a person must look: abandon if nothing was changed, else stuck
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from scheduler.writeback import WriteBack
from service.core.connection import (
    Accepted,
    Access,
    Account,
    Database,
    DrainView,
    Endpoint,
    Engine,
    NotPermitted,
    Overlap,
    Pairing,
    Probe,
    Rejected,
    Unreachable,
)
from service.core.errors import ChangeError, ChangeNotPermitted, ChangeRefused, KeywrightError, StoreError
from service.core.password import profile
from service.core.rotation import GRACE, Step, Strategy, backoff, next_step, resting_login
from service.core.sealed import Randomness
from service.keeper.rotations import Rotations
from service.keeper.steps import Brief, Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim, LeaseLost

log = structlog.get_logger("rotator")

LEASE = timedelta(seconds=60)
REPLICA_TRIES = 8
"""Looks at a replica that does not know the new password yet, before the rotation is undone."""


class Rotator:
    """Moves rotations on. `databases` has one implementation per engine."""

    def __init__(
        self,
        steps: Steps,
        rotations: Rotations,
        databases: Mapping[Engine, Database],
        write_back: WriteBack,
        randomness: Randomness,
    ) -> None:
        self._steps = steps
        self._rotations = rotations
        self._databases = databases
        self._write_back = write_back
        self._randomness = randomness
        self._take: dict[Step, Callable[[Claim, Brief], bool]] = {
            Step.STAGE: self._stage,
            Step.ANNOUNCE: self._announce,
            Step.COUNT: self._count,
            Step.APPLY: self._apply,
            Step.VERIFY: self._verify,
            Step.PUBLISH: self._publish,
            Step.DRAIN: self._drain,
            Step.RETIRE: self._retire,
            Step.UNDO: self._undo,
        }

    def advance(self, held: Claim) -> None:
        """Take steps until the rotation waits, has ended, or is another worker's."""
        try:
            while self._rotations.renew(held, LEASE):
                brief = self._steps.brief(SYSTEM, held)
                step = next_step(brief.rotation, brief.now)
                if step in (Step.WAIT, Step.NOTHING) or not self._take[step](held, brief):
                    self._rotations.release(held)
                    return
        except LeaseLost:
            log.info("rotation taken over by another worker", rotation=held.rotation_id)
        except KeywrightError as error:
            # The ledger or the keys: nothing was recorded, the lease runs out, and the next worker looks.
            log.error("rotation interrupted", rotation=held.rotation_id, error=error.message)

    # Steps. Each answers whether to go on at once.

    def _stage(self, held: Claim, brief: Brief) -> bool:
        rotation, former = brief.rotation, brief.former
        if brief.administration is None:
            return self._give_up(held, "there is no administration credential to change the password with")
        if brief.promised_until and brief.promised_until > brief.now:
            delay = brief.promised_until - brief.now + GRACE
            self._steps.postpone(SYSTEM, held, delay, "waits: an earlier credential is still promised", failing=False)
            return False
        if brief.kept_in:
            try:
                former = self._write_back.read(brief.kept_in, brief.adopted)
            except (StoreError, ChangeNotPermitted) as error:
                return self._give_up(held, f"the password could not be read from where it is kept: {error.message}")
        if former:
            match self._probe(brief, former):
                case Unreachable(reason):
                    return self._later(held, brief, f"{brief.target.primary} cannot be reached: {reason}")
                case Rejected(reason) | NotPermitted(reason):
                    return self._give_up(
                        held,
                        f"{brief.target.primary} does not accept the live password of {former.username} ({reason}): it "
                        "was changed outside of Keywright; put the connection again with the password that works",
                    )
                case Accepted():
                    pass
        username = self._username(brief, former)
        if username is None:
            return self._give_up(held, "no login is known: put the connection again with login.username")
        if username == brief.administration.account.username:
            return self._give_up(held, f"{username} is the administration login itself; its rotation is another matter")
        candidate = (brief.policy.password or profile()).generate(self._randomness)
        self._steps.stage(SYSTEM, held, username, candidate, former, f"a candidate for {username} is sealed")
        log.info("staged", rotation=rotation.id, connection=rotation.connection, login=username)
        return True

    def _announce(self, held: Claim, _: Brief) -> bool:
        self._steps.announce(SYSTEM, held, "applications are offered the next password beside the live one")
        return True

    def _count(self, held: Claim, brief: Brief) -> bool:
        self._steps.count(SYSTEM, held, brief.policy.drain_minimum + GRACE)
        return True

    def _apply(self, held: Claim, brief: Brief) -> bool:
        candidate = _known(brief.candidate)
        if brief.administration is None:
            return self._later(held, brief, "there is no administration credential any more")
        look = self._probe(brief, candidate)
        if isinstance(look, Unreachable):
            return self._later(held, brief, f"{brief.target.primary} cannot be reached: {look.reason}")
        if isinstance(look, Accepted):
            self._steps.applied(SYSTEM, held, f"{brief.target.primary} already has the candidate")
            return True
        try:
            self._change(brief, brief.administration, candidate)
        except ChangeRefused as error:
            return self._stricter(held, brief, error)
        except ChangeNotPermitted as error:
            return self._give_up(held, error.message)
        except ChangeError as error:
            # Done or not done: the next look tells.
            return self._later(held, brief, error.message)
        self._steps.applied(SYSTEM, held, f"{brief.target.primary} took the candidate for {candidate.username}")
        return True

    def _change(self, brief: Brief, administration: Access, candidate: Account) -> None:
        database = self._databases[brief.target.engine]
        match brief.rotation.strategy:
            case Strategy.ALTERNATING if isinstance(database, Pairing):
                database.join(administration, self._role(brief), candidate.username, candidate.password)
            case Strategy.OVERLAPPING if isinstance(database, Overlap) and brief.former:
                database.add_password(administration, candidate.username, brief.former.password, candidate.password)
            case _:
                database.set_password(administration, candidate.username, candidate.password)

    def _stricter(self, held: Claim, brief: Brief, error: ChangeRefused) -> bool:
        if brief.policy.password or brief.rotation.attempts:
            return self._give_up(held, f"{error.message}; say under rotation.password what the target wants")
        stricter = profile(strict=True).generate(self._randomness)
        self._steps.restage(SYSTEM, held, stricter, "the target refused the password; a stricter one is sealed")
        return True

    def _verify(self, held: Claim, brief: Brief) -> bool:
        candidate = _known(brief.candidate)
        notes = []
        for endpoint in brief.target.endpoints:
            probe = self._probe(brief, candidate, endpoint)
            match probe:
                case Accepted():
                    if difference := self._difference(brief, probe, endpoint):
                        return self._undo_because(
                            held, brief, f"at {endpoint} the new login is not the same: {difference}"
                        )
                case _ if not endpoint.required:
                    notes.append(f"{endpoint} (optional): {probe.reason}")
                case Unreachable(reason):
                    return self._later(held, brief, f"{endpoint} cannot be reached to verify: {reason}")
                case Rejected() if endpoint != brief.target.primary and brief.rotation.attempts < REPLICA_TRIES:
                    return self._later(held, brief, f"{endpoint} does not know the new password yet")
                case Rejected(reason) | NotPermitted(reason):
                    return self._undo_because(held, brief, f"{endpoint} does not accept the new password: {reason}")
        sentence = f"{candidate.username} logged in with the new password on every required endpoint"
        self._steps.verified(SYSTEM, held, "; ".join([sentence, *notes]))
        return True

    def _difference(self, brief: Brief, new: Accepted, endpoint: Endpoint) -> str:
        """What the new login of a pair would do differently from the former one; empty if nothing."""
        if brief.rotation.strategy is not Strategy.ALTERNATING:
            return ""
        if brief.former is None:
            expected = {"current_user": self._role(brief)}
        else:
            former = self._probe(brief, brief.former, endpoint)
            if not isinstance(former, Accepted):
                return ""  # nothing to compare with; the new one works
            expected = dict(former.identity)
        wrong = [k for k, v in expected.items() if new.identity.get(k) != v]
        return "; ".join(f"{k} is {new.identity.get(k)!r}, was {expected[k]!r}" for k in wrong)

    def _publish(self, held: Claim, brief: Brief) -> bool:
        candidate = _known(brief.candidate)
        if brief.kept_in:
            try:
                self._write_back.write(brief.kept_in, candidate, brief.former)
            except KeywrightError as error:
                return self._later(held, brief, f"the new password could not be written back: {error.message}")
        self._steps.publish(SYSTEM, held, f"{candidate.username} is live")
        log.info("published", rotation=brief.rotation.id, connection=brief.rotation.connection)
        return True

    def _drain(self, held: Claim, brief: Brief) -> bool:
        former = brief.former.username if brief.former else "nobody"
        self._steps.drain(SYSTEM, held, brief.policy.drain_minimum, f"the former credential of {former} drains")
        return True

    def _retire(self, held: Claim, brief: Brief) -> bool:
        if brief.former is None:
            self._steps.retire(SYSTEM, held, "there was no former credential", {"proven": None})
            return False
        if brief.administration is None:
            return self._later(held, brief, "there is no administration credential any more")
        if (busy := self._busy(held, brief, brief.administration)) is not None:
            return busy
        if self._adopted(brief):
            self._steps.retire(
                SYSTEM,
                held,
                f"{brief.former.username} is the shared role now and keeps its password: when nobody uses it any more, "
                "an operator makes it NOLOGIN",
                {"proven": False},
            )
            return False
        ends_on = _known(brief.candidate)
        if brief.rotation.strategy is Strategy.ALTERNATING:
            if brief.parking is None:
                self._steps.park(SYSTEM, held, brief.former.username, profile().generate(self._randomness))
                return True
            ends_on = brief.parking
        return self._prove(held, brief, brief.administration, brief.former, ends_on)

    def _busy(self, held: Claim, brief: Brief, administration: Access) -> bool | None:
        """Is somebody still on the old login of a pair, within the limit? Then wait. None: go on."""
        database, rotation = self._databases[brief.target.engine], brief.rotation
        if rotation.strategy is not Strategy.ALTERNATING or rotation.emergency or brief.former is None:
            return None
        if not isinstance(database, DrainView) or rotation.not_before is None or brief.parking:
            return None
        left = rotation.not_before + (brief.policy.drain_limit - brief.policy.drain_minimum) - brief.now
        if left <= timedelta(0):
            return None
        sessions = database.sessions(administration, brief.former.username)
        if isinstance(sessions, NotPermitted | Unreachable) or not sessions:
            return None
        seen = ", ".join(sorted({f"{s.application or '?'} at {s.address or '?'}" for s in sessions})[:5])
        sentence = f"waits: still connected as {brief.former.username}: {seen}"
        self._steps.postpone(SYSTEM, held, min(left, timedelta(seconds=30)), sentence, failing=False)
        return False

    def _prove(self, held: Claim, brief: Brief, administration: Access, former: Account, ends_on: Account) -> bool:
        """Make the old password invalid where it is not yet, and show it on every required endpoint."""
        if not isinstance(self._probe(brief, former), Rejected) or not isinstance(
            self._probe(brief, ends_on), Accepted
        ):
            try:
                self._databases[brief.target.engine].set_password(administration, ends_on.username, ends_on.password)
            except ChangeNotPermitted as error:
                return self._stick(held, f"the old password could not be taken away: {error.message}")
            except ChangeError as error:
                return self._later(held, brief, error.message)
        endpoints = [e for e in brief.target.endpoints if e.required]
        for endpoint in endpoints:
            # In this order: a rejection alone proves nothing, a blocked account answers the same.
            new = self._probe(brief, ends_on, endpoint)
            old = self._probe(brief, former, endpoint)
            if isinstance(new, Unreachable) or isinstance(old, Unreachable):
                return self._later(held, brief, f"{endpoint} cannot be reached to prove that the old password is dead")
            if not isinstance(new, Accepted) or not isinstance(old, Rejected):
                if endpoint != brief.target.primary and brief.rotation.attempts < REPLICA_TRIES:
                    return self._later(held, brief, f"{endpoint} does not know yet that the old password is gone")
                what = "still accepts the old password" if isinstance(new, Accepted) else "does not accept the new one"
                return self._stick(held, f"{endpoint} {what} of {former.username}; does the server trust everybody?")
        where = ", ".join(map(str, endpoints))
        self._steps.retire(
            SYSTEM,
            held,
            f"at {where} the new password was accepted and then the old one of {former.username} rejected",
            {"proven": True, "login": former.username, "endpoints": where},
        )
        log.info("retired", rotation=brief.rotation.id, connection=brief.rotation.connection)
        return False

    def _undo(self, held: Claim, brief: Brief) -> bool:
        return self._undo_because(held, brief, "an operator asked for it")

    def _undo_because(self, held: Claim, brief: Brief, reason: str) -> bool:
        """Bring the former password back where the candidate may have replaced it, then abandon."""
        former = brief.former
        if former is None or brief.candidate is None or brief.rotation.strategy is Strategy.ALTERNATING:
            # The login that got the candidate is one that nobody was offered.
            return self._give_up(held, reason)
        if brief.administration is None:
            return self._stick(held, f"{reason}; and there is no administration credential to undo it with")
        look = self._probe(brief, former)
        if isinstance(look, Unreachable):
            return self._later(held, brief, f"to be undone ({reason}), but {brief.target.primary} cannot be reached")
        if not isinstance(look, Accepted) or brief.rotation.strategy is Strategy.OVERLAPPING:
            try:
                self._databases[brief.target.engine].set_password(
                    brief.administration, former.username, former.password
                )
            except ChangeNotPermitted as error:
                return self._stick(held, f"{reason}; it could not be undone: {error.message}")
            except ChangeError as error:
                return self._later(held, brief, f"to be undone ({reason}): {error.message}")
            look = self._probe(brief, former)
        if isinstance(look, Accepted):
            return self._give_up(held, f"{reason}; the former password is in force again")
        return self._stick(held, f"{reason}; the former password was put back but does not log in: {look.reason}")

    # Ends and delays.

    def _give_up(self, held: Claim, reason: str) -> bool:
        self._steps.abandon(SYSTEM, held, reason)
        log.warning("abandoned", rotation=held.rotation_id, reason=reason)
        return False

    def _stick(self, held: Claim, reason: str) -> bool:
        self._steps.stick(SYSTEM, held, reason)
        log.error("stuck", rotation=held.rotation_id, reason=reason)
        return False

    def _later(self, held: Claim, brief: Brief, sentence: str) -> bool:
        delay = backoff(brief.rotation.attempts, self._randomness)
        self._steps.postpone(SYSTEM, held, delay, sentence)
        log.warning("postponed", rotation=held.rotation_id, reason=sentence, seconds=round(delay.total_seconds(), 1))
        return False

    # Looks.

    def _probe(self, brief: Brief, account: Account, endpoint: Endpoint | None = None) -> Probe:
        database = self._databases[brief.target.engine]
        return database.probe(Access(brief.target, account), endpoint or brief.target.primary)

    def _role(self, brief: Brief) -> str:
        return brief.policy.pair(brief.adopted or "")[0]

    def _adopted(self, brief: Brief) -> bool:
        """Is the former login the one that was imported and became the shared role?"""
        pair = brief.policy.pair(brief.adopted or "")[1]
        alternating = brief.rotation.strategy is Strategy.ALTERNATING
        return alternating and brief.former is not None and brief.former.username not in pair

    def _username(self, brief: Brief, former: Account | None) -> str | None:
        if brief.rotation.strategy is Strategy.ALTERNATING:
            role, pair = brief.policy.pair(brief.adopted or "")
            return resting_login(pair, former.username if former else None) if role else None
        return former.username if former else brief.adopted


def _known(account: Account | None) -> Account:
    if account is None:
        raise KeywrightError("the candidate's sealed copy is gone")
    return account
