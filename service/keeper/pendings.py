"""Pendings, sealed and opened: what waits for its other half, for minutes. See `service/ledger/pendings.py`.

All of it is done within somebody's transaction: what is taken, and what is done because of it, is one.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from math import ceil

from service.core.errors import Often
from service.core.keyring import SYSTEM
from service.core.sealed import pending_context
from service.core.secret import Secret
from service.keeper.delays import network
from service.keeper.door import Door
from service.keeper.keys import Keyrings
from service.ledger import pendings
from service.ledger.ledger import Transaction
from service.ledger.pendings import Pending

MOST = 10_000
"""Of one kind, at once: nobody fills the ledger by beginning what is never gone on with."""
MOST_BEGUN = 100
"""Of one kind, begun in one network: nobody keeps everybody else from beginning. Behind it may be an office."""
MOST_OF_ONE = 100
"""Of one kind, of one user: what ends soonest gives way. Nor does anybody who signed in keep everybody else out."""
Data = Mapping[str, object]


class Pendings:
    """What waits, for whoever is within a transaction."""

    def __init__(self, door: Door, keyrings: Keyrings) -> None:
        self._door = door
        self._keyrings = keyrings

    def put(
        self,
        tx: Transaction,
        kind: str,
        data: Data,
        lasts: timedelta,
        *,
        user_id: str = "",
        text: str = "",
        address: str = "",
    ) -> str:
        """Let this wait; the text that is to be shown for it, which is a secret. Raises Often, with the seconds.

        `address` is where a stranger begins it; nothing is counted by it for who proved something already.
        """
        begun_in = self._counted(tx, kind, address) if address else b""
        if user_id:
            pendings.make_room(tx, kind, user_id, MOST_OF_ONE)
        if pendings.waiting(tx, kind) >= MOST:
            raise Often("as many sign-ins are under way as there may be: try again in some minutes")
        pendings.sweep(tx, 50)
        text = text or base64.urlsafe_b64encode(self._door.randomness(32)).rstrip(b"=").decode()
        context = pending_context(SYSTEM, kind, pendings.digest(kind, text))
        ring = self._keyrings.sealer(tx, SYSTEM)
        sealed = ring.seal(Secret(json.dumps(dict(data))), context, self._door.randomness)
        pendings.put(tx, text, Pending(kind, sealed, user_id, tx.now + lasts, begun_in))
        return text

    def _counted(self, tx: Transaction, kind: str, address: str) -> bytes:
        """The digest of the network. Keyed, or whoever has the ledger would try all addresses that there are."""
        told = f"pending\0{network(address)}".encode()
        begun_in = hmac.digest(self._keyrings.tag_key(), told, "sha256")
        waiting, ends = pendings.begun_in(tx, kind, begun_in)
        if waiting >= MOST_BEGUN and ends is not None:
            seconds = ceil((ends - tx.now).total_seconds())
            raise Often(
                f"{waiting} sign-ins from your address wait to be gone on with, and more may not: "
                f"go on with one, or try again in {seconds} seconds",
                after=seconds,
            )
        return begun_in

    def peek(self, tx: Transaction, kind: str, text: str) -> dict[str, object] | None:
        """What waits for this text; it goes on waiting. None: nothing, or not any more."""
        return self._opened(tx, kind, text, pendings.peek(tx, kind, text))

    def take(self, tx: Transaction, kind: str, text: str) -> dict[str, object] | None:
        """The same, and it waits no more."""
        return self._opened(tx, kind, text, pendings.take(tx, kind, text))

    def _opened(self, tx: Transaction, kind: str, text: str, found: Pending | None) -> dict[str, object] | None:
        if found is None:
            return None
        context = pending_context(SYSTEM, kind, pendings.digest(kind, text))
        data: dict[str, object] = json.loads(
            self._keyrings.opener(tx, SYSTEM, found.sealed).unseal(found.sealed, context).reveal()
        )
        return data
