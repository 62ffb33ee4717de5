"""The durable steps of a rotation, as the rotator takes them: each is one transaction with its event.

Every step is conditional on the fencing number of the worker's claim (`passing.py`). A step changes the
ledger only; what has to happen in the target happened before it, and is looked at again if the step was
never recorded.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.connection import Account
from service.core.drain import Seen
from service.core.errors import Conflict
from service.core.rotation import (
    GRACE,
    Credential,
    CredentialState,
    Rotation,
    Stage,
    Strategy,
    drains_at_once,
)
from service.core.sealed import credential_context
from service.core.secret import Secret
from service.keeper.briefs import stored_of
from service.keeper.door import Door
from service.keeper.drift import Sighting
from service.keeper.keys import Keyrings
from service.keeper.passing import Passage, Passing
from service.ledger import checks, connections, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.rotations import Claim


class Steps:
    """Operations of the rotator. The caller is Keywright's own scheduler."""

    def __init__(self, door: Door, keyrings: Keyrings) -> None:
        self._door = door
        self._passing = Passing(door)
        self._keyrings = keyrings

    def stage(
        self, caller: Caller, held: Claim, username: str, candidate: Secret, former: Account | None, sentence: str
    ) -> None:
        """Seal the candidate, before the target hears of it; and a copy of a former that lives in a store."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = stored_of(tx, rotation)
            live = next((c for c in connections.standing(tx, stored.id) if c.state is CredentialState.LIVE), None)
            if live and live.sealed is None and former:
                connections.mark(tx, live.id, live.state, sealed=self._sealed(tx, stored, live, former.password))
            new = self._candidate(tx, stored, username, candidate)
            return {"candidate_id": new.id, "former_id": live.id if live else None, "not_before": None}

        self._passing.move(caller, held, Stage.STAGED, sentence, act)

    def restage(self, caller: Caller, held: Claim, candidate: Secret, sentence: str) -> None:
        """Another candidate in place of one that the target refused and that was never in force there."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = stored_of(tx, rotation)
            refused = connections.credential(tx, rotation.candidate_id or "")
            if refused is None:
                raise Conflict("there is no candidate to replace")
            connections.mark(tx, refused.id, CredentialState.ABANDONED)
            new = self._candidate(tx, stored, refused.username, candidate)
            # What was announced is not what will be: the announcement begins again.
            return {"candidate_id": new.id, "not_before": None, "attempts": rotation.attempts + 1}

        self._passing.stay(caller, held, "rotation.restage", sentence, act)

    def announce(self, caller: Caller, held: Claim, sentence: str) -> None:
        """From now on applications are offered [live, next]."""
        self._passing.move(caller, held, Stage.ANNOUNCED, sentence, lambda _tx, _rotation: {"not_before": None})

    def count(self, caller: Caller, held: Claim, lasts: timedelta) -> None:
        """The announcement is committed: its time is counted from now, and covers every promise given before."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            promised = stored_of(tx, rotation).promised_until
            until = max(tx.latest + lasts, promised + GRACE) if promised else tx.latest + lasts
            return {"not_before": until, "wake_at": until}

        self._passing.stay(
            caller,
            held,
            "rotation.count",
            "",
            act,
        )

    def applied(self, caller: Caller, held: Claim, sentence: str) -> None:
        """The target took the candidate."""
        self._passing.move(caller, held, Stage.APPLIED, sentence, lambda _tx, _rotation: {})

    def fenced(self, caller: Caller, held: Claim, sentence: str) -> None:
        """The fence is raised: nothing of an earlier worker takes effect any more."""
        self._passing.stay(caller, held, "rotation.fence", sentence, lambda _tx, _rotation: {"in_doubt": False})

    def unfenced(self, caller: Caller, held: Claim, sentences: tuple[str, ...]) -> None:
        """What of the fence had to be left out, for the connection's health; nothing to say: it is whole."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = stored_of(tx, rotation)
            connections.replace(tx, replace(stored, health=stored.health | {"fence": list(sentences)}))
            return {}

        self._passing.stay(caller, held, "rotation.unfenced", "; ".join(sentences), act)

    def verified(
        self,
        caller: Caller,
        held: Claim,
        sentence: str,
        published: str = "",
        drained: str = "",
        sighting: Sighting = Sighting(),  # noqa: B008  # frozen
    ) -> None:
        """A real login with the candidate worked wherever it must. What it showed, drift is judged by from now on.

        With `published` said, nothing else is to be done before the pointer moves: it moves in the same transaction.
        """

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            checks.saw(tx, rotation.connection_id, sighting.seen, sighting.moved)
            return {}

        passages = [Passage(Stage.VERIFIED, sentence, act)]
        if published:
            passages += self._published(published, drained)
        self._passing.through(caller, held, *passages)

    def publish(self, caller: Caller, held: Claim, sentence: str, drained: str = "") -> None:
        """Move the pointer: the candidate is live, the former one drains, generation + 1.

        With `drained` said there is no time to be counted (`over`), and draining begins and ends at once.
        """
        self._passing.through(caller, held, *self._published(sentence, drained))

    def _published(self, sentence: str, drained: str) -> list[Passage]:
        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = stored_of(tx, rotation)
            generation = stored.generation + 1
            # Under `single` the former password died when the new one was applied: it is offered no more.
            ended = tx.now if rotation.strategy is Strategy.SINGLE else None
            if rotation.former_id:
                connections.mark(tx, rotation.former_id, CredentialState.DRAINING, good_until=ended)
            connections.mark(tx, rotation.candidate_id or "", CredentialState.LIVE, valid_from=tx.now)
            health = stored.health | {"rotation": None, "check": [], "away": []}
            connections.replace(tx, replace(stored, generation=generation, health=health))
            return {"generation": generation, "not_before": None}

        return [Passage(Stage.PUBLISHED, sentence, act), *([self._drained(timedelta(0), drained)] if drained else [])]

    def drain(self, caller: Caller, held: Claim, minimum: timedelta, sentence: str) -> None:
        """The publication is committed: the drain minimum is counted from now."""
        self._passing.through(caller, held, self._drained(minimum, sentence))

    @staticmethod
    def _drained(minimum: timedelta, sentence: str) -> Passage:
        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            over = drains_at_once(rotation)
            promised = stored_of(tx, rotation).promised_until or tx.now
            good_until = tx.now if over else max(tx.latest + minimum, promised)
            if rotation.former_id:
                connections.mark(tx, rotation.former_id, CredentialState.DRAINING, good_until=good_until)
            return {"not_before": good_until if over else good_until + GRACE}

        return Passage(Stage.DRAINING, sentence, act)

    def watch(self, caller: Caller, held: Claim, seen: Seen, delay: timedelta, sentence: str) -> None:
        """Keep what was seen on the former credential, and look again after `delay`.

        The story tells a sentence once; every further look is bookkeeping, since looks are many and no answer
        depends on them.
        """
        require(caller, Level.OWN, EVERYTHING, "the rotation")
        told = self._door.look(lambda tx: sentence in {line.sentence for line in rotations.story(tx, held.rotation_id)})

        def values(tx: Transaction) -> dict[str, Any]:
            return {"seen": seen.stored(), "wake_at": tx.now + delay}

        if sentence and not told:
            self._passing.stay(caller, held, "rotation.watch", sentence, lambda tx, _rotation: values(tx))
            return
        with self._door.ledger.work() as tx:
            rotations.note(tx, held, **values(tx))

    def overstayed(self, caller: Caller, held: Claim, seen: Seen, delay: timedelta, sentence: str) -> None:
        """The drain limit is over and somebody is still there: the log, the story and the health say so."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            _note_trouble(tx, rotation, sentence)
            return {"seen": replace(seen, told_at=tx.now).stored(), "wake_at": tx.now + delay}

        self._passing.stay(caller, held, "rotation.overstayed", sentence, act)

    def sessions_ended(self, caller: Caller, held: Claim, number: int, sentence: str) -> None:
        """So many sessions of the former credential were ended."""
        self._passing.stay(
            caller, held, "rotation.end_sessions", sentence, lambda _tx, _rotation: {}, {"ended": number}
        )

    def begin_to_retire(self, caller: Caller, held: Claim) -> None:
        """From here on the former password may be gone: no revert any more."""
        self._passing.stay(caller, held, "rotation.retiring", "", lambda _tx, _rotation: {"retiring": True})

    def park(self, caller: Caller, held: Claim, username: str, password: Secret) -> None:
        """Seal the password that the old login of a pair is reset to, before it is reset."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            return {"parking_id": self._candidate(tx, stored_of(tx, rotation), username, password).id}

        self._passing.stay(caller, held, "rotation.park", "", act)

    def retire(self, caller: Caller, held: Claim, sentence: str, receipt: Mapping[str, str | bool | None]) -> None:
        """The former password is proven dead: its sealed copy goes, and the rotation ends."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = stored_of(tx, rotation)
            former = connections.credential(tx, rotation.former_id) if rotation.former_id else None
            candidate = connections.credential(tx, rotation.candidate_id or "")
            keep_former = receipt.get("proven") is False
            if former:
                state = CredentialState.ABANDONED if keep_former else CredentialState.RETIRED
                connections.mark(tx, former.id, state, sealed=former.sealed if keep_former else None, good_until=None)
            if rotation.parking_id:
                connections.mark(tx, rotation.parking_id, CredentialState.RESTING)
            kept = {rotation.parking_id, rotation.candidate_id} | ({former.id} if former and keep_former else set())
            # A login with another password than these was just shown to work: older copies are of no use.
            for login_id in {c.login_id for c in (former, candidate) if c and not (c is former and keep_former)}:
                for old in connections.remembered(tx, login_id):
                    if old.id not in kept:
                        connections.mark(tx, old.id, CredentialState.RETIRED, sealed=None)
            if candidate and stored.definition.get("kept_in"):
                connections.mark(tx, candidate.id, candidate.state, sealed=None)
            _note_trouble(tx, rotation, None)
            return {}

        self._passing.move(caller, held, Stage.RETIRED, sentence, act, dict(receipt))

    def abandon(self, caller: Caller, held: Claim, reason: str) -> None:
        """It is undone: the former credential is still live. The candidate's sealed copy is kept."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            if rotation.candidate_id:
                connections.mark(tx, rotation.candidate_id, CredentialState.ABANDONED)
            _note_trouble(tx, rotation, f"the last rotation was abandoned: {reason}")
            return {"reason": reason}

        self._passing.move(caller, held, Stage.ABANDONED, reason, act, {"reason": reason})

    def stick(self, caller: Caller, held: Claim, reason: str) -> None:
        """A person must look; nothing is discarded."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            _note_trouble(tx, rotation, f"a rotation is stuck: {reason}")
            return {"reason": reason, "stuck_in": rotation.stage.value, "attempts": rotation.attempts}

        self._passing.move(caller, held, Stage.STUCK, reason, act, {"reason": reason})

    def postpone(
        self,
        caller: Caller,
        held: Claim,
        delay: timedelta,
        sentence: str,
        *,
        failing: bool = True,
        in_doubt: bool = False,
    ) -> None:
        """Try again later. `failing`: something is wrong, which the connection's health shows. `in_doubt`: a
        statement was sent and may still take effect."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            if failing:
                _note_trouble(tx, rotation, sentence)
            doubt = {"in_doubt": True} if in_doubt else {}
            return {"wake_at": tx.now + delay, "attempts": rotation.attempts + failing} | doubt

        self._passing.stay(caller, held, "rotation.postpone", sentence, act)

    def _candidate(self, tx: Transaction, stored: StoredConnection, username: str, password: Secret) -> Credential:
        login_id = connections.login(tx, stored.id, username, self._door.new_id())
        new = Credential(
            self._door.new_id(), stored.id, login_id, username, CredentialState.CANDIDATE, None, None, None, tx.now
        )
        new = replace(new, sealed=self._sealed(tx, stored, new, password))
        connections.add_credential(tx, new)
        return new

    def _sealed(self, tx: Transaction, stored: StoredConnection, of: Credential, password: Secret) -> bytes:
        context = credential_context(stored.environment_id, of.login_id, of.id)
        return self._keyrings.sealer(tx, stored.environment_id).seal(password, context, self._door.randomness)


def _note_trouble(tx: Transaction, rotation: Rotation, sentence: str | None) -> None:
    """What is wrong with the connection's rotations, for its health; None: nothing any more."""
    stored = stored_of(tx, rotation)
    connections.replace(tx, replace(stored, health=stored.health | {"rotation": sentence}))
