"""Webhooks as their owners see them: made, changed, tried, replayed. Sending is `deliveries.py`.

All of it needs *own* on what a webhook listens to: its URL may lead anywhere, and whoever has its secret can speak in
Keywright's name to its target. Whoever does not own that sees nothing of it.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from service.core import names
from service.core.access import EVERYTHING, Caller, Kind, Level, Thing, require
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.core.keyring import SYSTEM
from service.core.sealed import webhook_context
from service.core.secret import Secret
from service.core.signal import Signal, stamp
from service.core.webhook import OVERLAPS, TEST, Delivery, State, Webhook, new_secret, target
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls
from service.ledger import deliveries, log, signals, webhooks
from service.ledger.ledger import Transaction
from service.ledger.webhooks import Secrets

MOST = 50
"""Webhooks of one environment, or of none."""
MOST_REPLAYED = 2000
"""Signals in one replay."""
_PAGE = 500


@dataclass(frozen=True)
class NewWebhook:
    """A webhook as it is asked for. No `environment` stands for the whole installation."""

    name: str
    url: str
    environment: str
    folder: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Replayed:
    """What a replay came to. `complete`: there was no more of it; otherwise go on behind `until`."""

    queued: int
    complete: bool
    until: datetime | None


class Webhooks:
    """Operations on webhooks. `plain`: http addresses are accepted as well."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, *, plain: bool) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._plain = plain

    def add(self, caller: Caller, wanted: NewWebhook) -> tuple[Webhook, Secret]:
        """Make one; its signing secret is told only now. Raises Invalid, Absent, Forbidden, Conflict."""
        names.segment(wanted.name)
        if wanted.folder:
            names.path(wanted.folder, "folder")
        if wanted.folder and not wanted.environment:
            raise Invalid("a folder lies in an environment: name it", field="environment")
        url = target(wanted.url, plain=self._plain)
        webhook_id, secret = self._door.new_id(), new_secret(self._door.randomness)

        def act(tx: Transaction) -> Webhook:
            environment_id = ""
            if wanted.environment:
                environment_id = self._walls.enter(tx, caller, wanted.environment).id
            elif self._walls.pinned is not None:
                raise Forbidden(
                    "a webhook for everything is not made through an instance that serves some environments"
                )
            require(caller, Level.OWN, _thing(environment_id, wanted.folder), "what this webhook would listen to")
            if webhooks.named(tx, environment_id, wanted.name):
                raise Conflict(f"a webhook named {wanted.name} exists already")
            if webhooks.count(tx, environment_id) >= MOST:
                raise Conflict(f"{MOST} webhooks of one environment are the most")
            new = Webhook(
                webhook_id,
                wanted.name,
                url,
                environment_id,
                wanted.environment,
                wanted.folder,
                wanted.kinds,
                True,
                "",
                log.last(tx),
                1,
                tx.now,
                caller.name,
                tx.now,
                None,
            )
            webhooks.add(tx, new, Secrets(1, self._sealed(tx, webhook_id, 1, secret), None, None))
            return new

        deed = Deed("webhook.add", wanted.environment, wanted.name, _where(url))
        return self._door.change(caller, deed, act), secret

    def listed(self, caller: Caller, after: str, limit: int) -> list[Webhook]:
        """By name."""

        def evaluate(tx: Transaction) -> list[Webhook]:
            seen: list[Webhook] = []
            position = after
            while len(seen) < limit:
                page = webhooks.listed(tx, position, limit)
                seen += [it for it in page if self._owns(tx, caller, it)]
                if len(page) < limit:
                    break
                position = page[-1].id
            return seen[:limit]

        return self._door.fetch(caller, Deed("webhook.list"), evaluate)

    def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """One. Raises Absent."""
        deed = Deed("webhook.get", resource=webhook_id)
        return self._door.fetch(caller, deed, lambda tx: self._found(tx, caller, webhook_id, deed))

    def change(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        url: str | None,
        kinds: tuple[str, ...] | None,
        enabled: bool | None,
        if_match: int | None,
    ) -> Webhook:
        """What is given becomes so. Enabled again, it is sent what comes from then on.

        Raises Invalid, Absent, Outdated.
        """
        changes: dict[str, Any] = {} if url is None else {"url": target(url, plain=self._plain)}
        changes |= {} if kinds is None else {"kinds": kinds}

        def act(tx: Transaction) -> Webhook:
            it = self._found(tx, caller, webhook_id, deed)
            check_revision(if_match, it.revision)
            if enabled is not None and enabled != it.enabled:
                said = "" if enabled else f"{caller.name} disabled it"
                changes.update(enabled=enabled, disabled_because=said, since=log.last(tx) if enabled else it.since)
            new: Webhook = replace(it, **changes, revision=it.revision + 1, updated_at=tx.now)
            webhooks.replace(tx, new)
            deed.detail.update(_where(new.url), changed=" ".join(changes))
            return new

        deed = Deed("webhook.change", resource=webhook_id)
        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, webhook_id: str, *, if_match: int | None) -> None:
        """With its deliveries. Raises Absent, Outdated."""

        def act(tx: Transaction) -> None:
            check_revision(if_match, self._found(tx, caller, webhook_id, deed).revision)
            webhooks.remove(tx, webhook_id)

        deed = Deed("webhook.delete", resource=webhook_id)
        self._door.change(caller, deed, act)

    def renew(self, caller: Caller, webhook_id: str) -> tuple[Webhook, Secret]:
        """Another signing secret, told only now; for a day the former one signs beside it. Raises Absent."""
        secret = new_secret(self._door.randomness)

        def act(tx: Transaction) -> Webhook:
            it = self._found(tx, caller, webhook_id, deed)
            held = webhooks.secrets(tx, it.id)
            if held is None:
                raise Absent(f"webhook {webhook_id[:64]} does not exist")
            number, until = held.number + 1, tx.now + OVERLAPS
            webhooks.sign_with(tx, it.id, Secrets(number, self._sealed(tx, it.id, number, secret), held.sealed, until))
            deed.detail["secret"] = number
            return replace(it, former_until=until)

        deed = Deed("webhook.renew", resource=webhook_id)
        return self._door.change(caller, deed, act), secret

    def deliveries(
        self, caller: Caller, webhook_id: str, state: State | None, after: str, limit: int
    ) -> list[Delivery]:
        """The youngest first. Raises Absent."""

        def evaluate(tx: Transaction) -> list[Delivery]:
            it = self._found(tx, caller, webhook_id, deed)
            return deliveries.listed(tx, it.id, state.value if state else "", after, limit)

        deed = Deed("webhook.deliveries", resource=webhook_id)
        return self._door.fetch(caller, deed, evaluate)

    def test(self, caller: Caller, webhook_id: str) -> Delivery:
        """Send it something that says it is a test. Raises Absent, Conflict."""
        delivery_id = self._door.new_id()

        def act(tx: Transaction) -> Delivery:
            it = self._ready(tx, caller, webhook_id, deed)
            body = {"id": None, "at": stamp(tx.now), "kind": TEST, "webhook": it.id}
            return deliveries.add(tx, delivery_id, it.id, TEST, json.dumps(body, separators=(",", ":")))

        deed = Deed("webhook.test", resource=webhook_id)
        return self._door.change(caller, deed, act)

    def replay(self, caller: Caller, webhook_id: str, *, delivery_id: str | None, since: datetime | None) -> Replayed:
        """Send one delivery again, or everything that was signalled from a time on. Raises Invalid, Absent, Conflict.

        What was sent before keeps its id and its body.
        """
        if (delivery_id is None) == (since is None):
            raise Invalid("either delivery or since is needed", field="since")

        def act(tx: Transaction) -> Replayed:
            it = self._ready(tx, caller, webhook_id, deed)
            if delivery_id is not None:
                if deliveries.find(tx, it.id, delivery_id) is None:
                    raise Absent(f"delivery {delivery_id[:64]} does not exist")
                deliveries.again(tx, it.id, ids=(delivery_id,))
                deed.detail["delivery"] = delivery_id
                return Replayed(1, True, None)
            found, complete = self._since(tx, it, since or tx.now)
            known: set[int] = set()
            for begin in range(0, len(found), _PAGE):
                seqs = [signal.seq for signal in found[begin : begin + _PAGE]]
                known |= deliveries.again(tx, it.id, seqs=seqs)
            deliveries.make(tx, [(self._door.new_id(), it.id, each) for each in found if each.seq not in known])
            deed.detail.update(since=str(since), queued=len(found))
            return Replayed(len(found), complete, found[-1].at if found and not complete else None)

        deed = Deed("webhook.replay", resource=webhook_id)
        return self._door.change(caller, deed, act)

    @staticmethod
    def _since(tx: Transaction, it: Webhook, since: datetime) -> tuple[list[Signal], bool]:
        """What it listens to, from that time up to where deliveries are made by themselves."""
        found: list[Signal] = []
        behind, end = signals.before(tx.sql, since), deliveries.place(tx)
        while len(found) < MOST_REPLAYED:
            page = signals.behind(tx.sql, behind, _PAGE)
            found += [signal for signal in page if signal.seq <= end and it.wanted.fits(signal)]
            if len(page) < _PAGE or page[-1].seq > end:
                return found[:MOST_REPLAYED], len(found) <= MOST_REPLAYED
            behind = page[-1].seq
        return found[:MOST_REPLAYED], False

    def _sealed(self, tx: Transaction, webhook_id: str, number: int, secret: Secret) -> bytes:
        context = webhook_context(SYSTEM, webhook_id, number)
        return self._keyrings.sealer(tx, SYSTEM).seal(secret, context, self._door.randomness)

    def _ready(self, tx: Transaction, caller: Caller, webhook_id: str, deed: Deed) -> Webhook:
        it = self._found(tx, caller, webhook_id, deed)
        if not it.enabled:
            raise Conflict(f"webhook {it.name} is disabled ({it.disabled_because}); enable it first")
        if deliveries.waiting(tx, it.id) >= deliveries.MOST_WAITING:
            raise Conflict(f"webhook {it.name}: as many deliveries wait for it as may")
        return it

    def _found(self, tx: Transaction, caller: Caller, webhook_id: str, deed: Deed) -> Webhook:
        it = webhooks.find(tx, webhook_id)
        if it is None or not self._owns(tx, caller, it):
            raise Absent(f"webhook {webhook_id[:64]} does not exist")
        deed.environment, deed.resource = it.environment, it.name
        deed.detail["webhook"] = it.id
        return it

    def _owns(self, tx: Transaction, caller: Caller, it: Webhook) -> bool:
        if caller.level(_thing(it.environment_id, it.folder)) is not Level.OWN:
            return False
        if not it.environment_id:
            return self._walls.pinned is None
        try:
            self._walls.enter(tx, caller, it.environment)
        except (Absent, Forbidden):
            return False
        return True


def _thing(environment_id: str, folder: str) -> Thing:
    if not environment_id:
        return EVERYTHING
    return Thing(Kind.FOLDER, environment_id, folder) if folder else Thing(Kind.ENVIRONMENT, environment_id)


def _where(url: str) -> dict[str, Detail]:
    """For the event: the host alone, since more of a URL may be somebody's secret."""
    return {"host": urlsplit(url).hostname or ""}
