"""Deliveries as the scheduler works on them: made of signals, claimed, signed, settled, and dropped when old."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from standardwebhooks import Webhook as Signing

from service.core.errors import Absent
from service.core.keyring import SYSTEM
from service.core.sealed import webhook_context
from service.core.webhook import GONE, Answer, Outcome, State, again_after
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.tokens import SYSTEM as SCHEDULER
from service.keeper.walls import Walls
from service.ledger import deliveries, signals, webhooks
from service.ledger.deliveries import Due, Held, Queue
from service.ledger.ledger import Transaction

__all__ = ["Deliveries", "Due", "Held", "Parcel", "Queue"]

PAGE = 500
SIGNALS_KEPT = timedelta(days=7)
MOST_SIGNALS = 200_000
ENDED_KEPT = timedelta(days=7)
"""Deliveries that ended, dead ones too."""
LEASE = timedelta(seconds=60)
"""Longer than an attempt takes."""


@dataclass(frozen=True)
class Parcel:
    """A delivery, ready to be sent."""

    held: Held
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Deliveries:
    """Work on deliveries."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, holder: str) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._holder = holder
        self._counting = threading.Lock()
        self._attempts: Counter[Outcome] = Counter()

    def take_over(self) -> None:
        """Where this process is the only one: what a former one held is due again."""
        if self._door.ledger.embedded:
            with self._door.ledger.work() as tx:
                deliveries.take_over(tx)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` when this process changed something; it must be quick and not raise."""
        self._door.on_change(listener)

    def make(self) -> None:
        """Make them of every signal that there is."""
        while self._door.look(lambda tx: bool(signals.behind(tx.sql, deliveries.reached(tx), 1))):
            with self._door.ledger.work() as tx:
                self._make(tx)

    def _make(self, tx: Transaction) -> None:
        listening = webhooks.enabled(tx)
        page = signals.behind(tx.sql, deliveries.place(tx), PAGE)
        made = [
            (self._door.new_id(), it.id, signal)
            for signal in page
            for it in listening
            if signal.seq > it.since and it.wanted.fits(signal)
        ]
        deliveries.make(tx, made)
        if page:
            deliveries.reach(tx, page[-1].seq)

    def rests(self) -> bool:
        """Is there nothing to be done before this process changes something? It is the only one, and nothing waits."""
        return self._door.ledger.embedded and not self._door.look(deliveries.any_wait)

    def due(self) -> list[Due]:
        """The webhooks that something is due for, the longest due first."""
        return self._door.look(lambda tx: deliveries.due(tx, self._walls.pinned))

    def claim(self, webhook_id: str, limit: int) -> list[Held]:
        """Hold some of what is due for a webhook. Each claim has a name of its own: a late one settles nothing."""
        holder = f"{self._holder}-{self._door.randomness(4).hex()}"
        with self._door.ledger.work() as tx:
            return deliveries.claim(tx, webhook_id, holder, LEASE, limit)

    def parcel(self, held: Held) -> Parcel:
        """Signed, with the former secret too while that overlaps. Raises Absent, SealBroken, the key errors."""

        def look(tx: Transaction) -> Parcel:
            it, secrets = webhooks.find(tx, held.webhook_id), webhooks.secrets(tx, held.webhook_id)
            if it is None or secrets is None:
                raise Absent("the webhook is gone")
            mine = [(secrets.number, secrets.sealed)]
            if secrets.former and secrets.former_until and tx.now < secrets.former_until:
                mine.append((secrets.number - 1, secrets.former))
            message, signatures = f"msg_{held.id}", []
            for number, sealed in mine:
                ring = self._keyrings.opener(tx, SYSTEM, sealed)
                secret = ring.unseal(sealed, webhook_context(SYSTEM, it.id, number))
                signatures.append(Signing(secret.reveal()).sign(message, tx.now, held.body))
            headers = {
                "content-type": "application/json",
                "user-agent": "keywright",
                "webhook-id": message,
                "webhook-timestamp": str(int(tx.now.timestamp())),
                "webhook-signature": " ".join(signatures),
            }
            return Parcel(held, it.url, headers, held.body.encode())

        return self._door.look(look)

    def settle(self, parcel: Parcel, answer: Answer) -> None:
        """What came of an attempt: delivered, again later, or dead. 410 (Gone) disables the webhook."""
        with self._counting:
            self._attempts[answer.outcome] += 1
        if answer.status == GONE and self._gone(parcel, answer):
            return
        with self._door.ledger.work() as tx:
            self._settle(tx, parcel.held, answer)

    def _settle(self, tx: Transaction, held: Held, answer: Answer) -> bool:
        share = int.from_bytes(self._door.randomness(2), "big") / 2**16
        next_at = tx.now + again_after(held.attempts + 1, share)
        state = State.WAITING
        if answer.outcome is Outcome.ACCEPTED:
            state = State.DELIVERED
        elif answer.status == GONE or next_at > held.dead_at:
            state = State.DEAD
        return deliveries.settle(tx, held, answer, state, next_at)

    def _gone(self, parcel: Parcel, answer: Answer) -> bool:
        """False: it was said by an address that the webhook does not have any more, or by nobody who is asked."""
        deed = Deed("webhook.disable", detail={"status": GONE})
        deeds = [deed]

        def act(tx: Transaction) -> bool:
            it = webhooks.find(tx, parcel.held.webhook_id)
            if it is None or it.url != parcel.url or not self._settle(tx, parcel.held, answer):
                deeds.clear()
                return False
            deed.environment, deed.resource = it.environment, it.name
            deed.detail["webhook"] = it.id
            webhooks.disable(tx, it.id, "its target answered 410: Gone")
            return True

        return self._door.change(SCHEDULER, deeds, act)

    def counted(self) -> dict[str, int]:
        """The attempts of this process by their outcome."""
        with self._counting:
            return {outcome.value: self._attempts[outcome] for outcome in Outcome if self._attempts[outcome]}

    def tidy(self) -> None:
        """Let go of what is old."""
        with self._door.ledger.work() as tx:
            signals.drop(tx.sql, tx.now - SIGNALS_KEPT, MOST_SIGNALS)
            deliveries.drop(tx, tx.now - ENDED_KEPT)

    def queue(self) -> tuple[Queue, float]:
        """How things stand, and how old the oldest is that waits, in seconds."""

        def look(tx: Transaction) -> tuple[Queue, float]:
            queue = deliveries.queue(tx)
            return queue, (tx.now - queue.oldest).total_seconds() if queue.oldest else 0.0

        return self._door.look(look)
