"""Wrapped answers: kept sealed under a token of their own, which opens them once.

    room ──→ made ─┬→ opened    in one transaction with its end: of two who open it at once, one is refused
                   ├→ expired   and gone with the next ones that are made or opened
                   └→ lost      with what it came from: a version that is destroyed, a variable, connection or
                                environment that is deleted, in the same transaction

Whether there is room is judged before that is done whose answer is to be wrapped, or what is good once would be used
up for nothing. What is under way at once may therefore go beyond the bounds, each by one answer.

Whoever carries the token can be held to have read nothing: if somebody else opened it first, its receiver is refused,
and the log tells who it was. The token is of the shape of every other, and its secret is kept as a hash only.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core.access import Caller, Stranger
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import fit
from service.core.keyring import SYSTEM
from service.core.sealed import wrapping_context
from service.core.secret import Secret
from service.core.token import hashed, make, split
from service.core.variable import ValueKind
from service.keeper.asked import Asked
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.keys import Keyrings
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View
from service.keeper.walls import Walls
from service.ledger import connections, environments, tokens, variables, wrappings
from service.ledger.ledger import Transaction
from service.ledger.wrappings import Wrapping

LONGEST = timedelta(hours=768)
MOST, BYTES = 1000, 8 * 2**20
"""Of one machine at once, or of one token that is no machine's; sealed."""
MOST_IN_ALL, BYTES_IN_ALL = 20_000, 128 * 2**20
LONGEST_PATH = 500
_NOTHING = bytes(32)
_UNKNOWN = "wrapping token is not valid or does not exist"


@dataclass(frozen=True)
class Wrapped:
    """What is told of a wrapping. `id` is no secret; `lasts` is for how long it was made."""

    id: str
    path: str
    created_at: datetime
    lasts: timedelta


@dataclass(frozen=True)
class Source:
    """Which variable, or connection, an answer came from; without a name, the environment as a whole."""

    environment: str
    name: str
    connection: bool = False


class Wrappings:
    """Makes and opens them."""

    def __init__(self, door: Door, keyrings: Keyrings, recorder: Recorder, walls: Walls) -> None:
        self._door = door
        self._keyrings = keyrings
        self._recorder = recorder
        self._served = ",".join(sorted(walls.pinned or ()))
        """The environments that this instance serves; empty for all."""

    def room(self, caller: Caller | None = None, *, login: bool = False) -> None:
        """May there be one more, of this caller's? Before a `login` is looked at, it is nobody's yet.

        Raises Forbidden for a caller who has no grant, Conflict.
        """

        def evaluate(tx: Transaction) -> None:
            if caller is not None and not (caller.grants or login):
                raise Forbidden("a token without a grant has nothing to wrap")
            if not wrappings.kept(tx).below(MOST_IN_ALL, BYTES_IN_ALL):
                raise Conflict("too many wrapped answers wait to be opened here: open some, or wait until some expire")
            if caller is not None and not wrappings.kept(tx, _owner(tx, caller)).below(MOST, BYTES):
                raise Conflict(
                    f"{MOST:,} wrapped answers, or {BYTES // 2**20} MiB of them, wait to be opened, which is the most "
                    "of one machine, or of one token that is no machine's"
                )

        if caller is None:
            self._door.look(evaluate)
        else:
            self._door.poll(caller, Deed("wrapping.make"), evaluate)

    def wrap(
        self, caller: Caller, answer: Secret, path: str, lasts: timedelta, source: Source | None = None
    ) -> tuple[Wrapped, Secret]:
        """Keep an answer that was given to this caller, and the text of the token for it.

        Raises Invalid; Absent, if what it came from is gone meanwhile.
        """
        checked(lasts)
        wrapping_id, text, secret = make(self._door.randomness)
        where = fit(path)[:LONGEST_PATH]

        def act(tx: Transaction) -> Wrapped:
            ring = self._keyrings.sealer(tx, SYSTEM)
            sealed = ring.seal(answer, wrapping_context(SYSTEM, wrapping_id), self._door.randomness)
            ends = tx.now + lasts
            new = Wrapping(
                wrapping_id,
                secret,
                _owner(tx, caller),
                self._served,
                *_came_from(tx, source),
                where,
                len(sealed),
                sealed,
                tx.now,
                ends,
            )
            wrappings.add(tx, new)
            return _told(new)

        deed = Deed("wrapping.make", resource=wrapping_id, detail={"path": where})
        return self._door.change(caller, deed, act), text

    def look(self, presented: str, address: str, request_id: str) -> Wrapped:
        """What is told of it to whoever has its token; it stays. Raises Stranger."""
        found = self._door.look(lambda tx: self._found(tx, presented))
        if found is None:
            raise self._unknown(address, request_id)
        caller = Caller(found.id, "wrapping", "machine", (), address, request_id)
        return self._door.fetch(caller, Deed("wrapping.look", resource=found.id), lambda _: _told(found))

    def unwrap(self, presented: str, address: str, request_id: str, caller: Caller | None) -> Secret:
        """The answer, for the only time. Without a caller of its own the token stands for itself. Raises Stranger."""
        known = self._door.look(lambda tx: self._found(tx, presented))
        if known is None:
            raise self._unknown(address, request_id)
        caller = caller or Caller(known.id, "wrapping", "machine", (), address, request_id)

        def act(tx: Transaction) -> Secret:
            found = self._found(tx, presented)
            if found is None:  # somebody was quicker
                raise Stranger(_UNKNOWN, address, request_id)
            require_fresh(tx, caller, "showing a wrapped answer")
            wrappings.remove(tx, found.id)
            ring = self._keyrings.opener(tx, SYSTEM, found.sealed)
            return ring.unseal(found.sealed, wrapping_context(SYSTEM, found.id))

        deed = Deed("wrapping.open", resource=known.id, detail={"path": known.path})
        return self._door.change(caller, deed, act)

    def _found(self, tx: Transaction, presented: str) -> Wrapping | None:
        """What an instance that serves some environments opens was made by one that serves the same."""
        wrapping_id, secret = split(presented) or ("", "")
        found = wrappings.find(tx, wrapping_id)
        right = hmac.compare_digest(found.hash if found else _NOTHING, hashed(secret))
        return found if found and right and self._served in ("", found.served) else None

    def _unknown(self, address: str, request_id: str) -> Stranger:
        """Recorded like every token that nobody knows: so many a second, and the rest is counted."""

        def refused(_view: View, _asked: Asked) -> None:
            raise Stranger(_UNKNOWN, address, request_id, deed=("wrapping.open", "", {}))

        try:
            self._recorder.fetch(Asked(refused, "wrapping.open", "", ""))
        except Stranger as stranger:
            return stranger
        raise AssertionError("it is refused always")


def _owner(tx: Transaction, caller: Caller) -> str:
    """Whom the bounds are for: however many tokens a machine has, it is one."""
    token = tokens.find(tx, caller.id)
    return (token.machine_id if token else "") or caller.id


def _came_from(tx: Transaction, source: Source | None) -> tuple[str | None, str, bool]:
    """Ids of the environment and of what is in it; and whether what that tells is composed of others."""
    if source is None:
        return None, "", False
    wall = environments.find(tx, source.environment)
    if wall is None:
        raise Absent(f"environment {source.environment} does not exist")
    if not source.name:
        return wall.id, "", False
    if source.connection:
        found = connections.find(tx, wall.id, source.name)
        if found is None:
            raise Absent(f"connection {source.name} does not exist in {source.environment}")
        return wall.id, found.id, False
    variable = variables.find(tx, wall.id, source.name)
    if variable is None:
        raise Absent(f"variable {source.name} does not exist in {source.environment}")
    composed = any(version.kind is ValueKind.TEMPLATE for version in variables.history(tx, variable.id))
    return wall.id, variable.id, composed


def checked(lasts: timedelta) -> timedelta:
    """For how long an answer is to be kept. Raises Invalid."""
    if not timedelta(0) < lasts <= LONGEST:
        raise Invalid(f"a wrapped answer is kept for {LONGEST // timedelta(hours=1)}h at most", field="ttl")
    return lasts


def _told(it: Wrapping) -> Wrapped:
    return Wrapped(it.id, it.path, it.created_at, it.expires_at - it.created_at)
