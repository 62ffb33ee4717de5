"""Repeated requests: an answer is kept under its Idempotency-Key for a day, sealed, and given again.

Where the operation asks a person for a fresh second factor, so does its answer, which may show a token once more: a
session that somebody else got hold of is no way to it.

The key belongs to one caller. The same key with another request is a Conflict, as the IETF draft
"The Idempotency-Key HTTP Header Field" (section 2.7) asks. Two requests with one key at the same moment
are the caller's race: the first one recorded is the one that is kept.
"""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

from service.core.access import Caller
from service.core.errors import Conflict
from service.core.keyring import SYSTEM
from service.core.sealed import reply_context
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.keys import Keyrings
from service.ledger import tokens
from service.ledger.ledger import Transaction
from service.ledger.tokens import Reply

KEPT = timedelta(days=1)


class Replies:
    """Keeps answers, and gives them again."""

    def __init__(self, door: Door, keyrings: Keyrings) -> None:
        self._door = door
        self._keyrings = keyrings

    def known(self, caller: Caller, key: str, request: bytes, *, fresh: bool) -> tuple[int, Any] | None:
        """Status and body of an answer that was given to this request already; `fresh` as the operation asks for it.

        Raises Conflict, FactorNeeded.
        """

        def look(tx: Transaction) -> tuple[int, Any] | None:
            kept = tokens.reply(tx, caller.id, key)
            if kept is None:
                return None
            if not hmac.compare_digest(kept.request, hashlib.sha256(request).digest()):
                raise Conflict("this Idempotency-Key came with another request before; use a new one")
            if fresh:
                require_fresh(tx, caller, "being answered once more")
            ring = self._keyrings.opener(tx, SYSTEM, kept.sealed)
            text = ring.unseal(kept.sealed, reply_context(SYSTEM, caller.id, key))
            return kept.status, json.loads(text.reveal())

        if self._door.look(lambda tx: tokens.reply(tx, caller.id, key)) is None:
            return None
        # Given again, it is an answer like any other: no answer without a record.
        return self._door.fetch(caller, Deed("reply.repeat", resource=key), look)

    def keep(self, caller: Caller, key: str, request: bytes, status: int, body: Any) -> None:
        """Keep an answer."""
        with self._door.ledger.holding() as tx:  # two requests with one key may come here at the same moment
            if tokens.reply(tx, caller.id, key):
                return
            ring = self._keyrings.sealer(tx, SYSTEM)
            sealed = ring.seal(Secret(json.dumps(body)), reply_context(SYSTEM, caller.id, key), self._door.randomness)
            digest = hashlib.sha256(request).digest()
            tokens.keep_reply(tx, Reply(caller.id, key, digest, status, sealed, tx.now + KEPT))
