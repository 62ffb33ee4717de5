"""Data keys in use: unwrapped once, kept in memory, made anew, wrapped anew.

rotate   a new data key seals what is new; what is old is re-sealed batch by batch, each batch a
         transaction of its own, so that an interruption at any point leaves every value readable;
         a former key goes when nothing is sealed under it any more
rewrap   every data key is wrapped under a new master key, in one transaction
"""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.checkpoint import signing_key
from service.core.errors import Absent, KeyWrong, SealBroken
from service.core.event import chain_key
from service.core.keyring import SYSTEM, Keyring, KeyWrapper, tag_key
from service.core.sealed import KEY_BYTES, credential_context, data_key_context, key_number, version_context
from service.keeper.asked import Unready
from service.keeper.door import Deed, Door
from service.ledger import connections, environments, variables
from service.ledger.chain import Chain
from service.ledger.changes import Kind as Changed
from service.ledger.environments import WrappedKey
from service.ledger.ledger import Transaction

_BATCH = 200


@dataclass(frozen=True)
class Progress:
    """How far re-sealing has come in one environment."""

    environment: str
    resealed: int
    done: bool


class Unopened(Unready):
    """The data key that an evaluation needs is not in memory."""

    def __init__(self, keyrings: "Keyrings", environment_id: str, number: int | None) -> None:
        super().__init__()
        self._missing = (keyrings, environment_id, number)

    def prepare(self) -> None:
        """Unwrap it. Raises Absent, SealBroken, the key errors, Unavailable."""
        keyrings, environment_id, number = self._missing
        keyrings.fill(environment_id, number)


class Keyrings:
    """The keyring of each environment. `wrapper` is where the master key lives."""

    def __init__(self, door: Door, wrapper: KeyWrapper) -> None:
        self._door = door
        self._wrapper = wrapper
        self._rings: dict[str, Keyring] = {}
        self._lock = threading.Lock()
        self._tag_key = b""

    def open(self) -> bool:
        """Unwrap the installation's own key, or make it for a new ledger; True if the ledger was new.

        Raises KeyMissing, KeyWrong or KeyUnreachable; then nothing was written.
        """
        wrapped = self._door.look(lambda tx: environments.keys(tx, SYSTEM))
        new = not wrapped
        if new:
            first = self._made(SYSTEM, 1)
            with self._door.ledger.holding() as tx:
                # Two replicas may open a new ledger at once: the first one's key counts.
                if not environments.keys(tx, SYSTEM):
                    environments.add_key(tx, first, tx.now)
            wrapped = self._door.look(lambda tx: environments.keys(tx, SYSTEM))
        first_key = self._unwrapped(wrapped[0])
        self._door.ledger.use_chain_key(chain_key(first_key))
        self._tag_key = tag_key(first_key)
        return new

    def check(self) -> None:
        """See that the master key wraps and unwraps, before a new ledger is made. Raises the key errors."""
        self._unwrapped(self._made(SYSTEM, 1))

    def tag_key(self) -> bytes:
        """The key of the tags (ETag) of values."""
        return self._tag_key

    def checkpoint_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints of the event chain, and the record of what was pruned from it."""
        return signing_key(self._first())

    def chain(self) -> Chain:
        """The event chain, to be followed."""
        first = self._first()
        return Chain(chain_key(first), signing_key(first))

    def _first(self) -> bytes:
        return self._unwrapped(self._door.look(lambda tx: environments.keys(tx, SYSTEM))[0])

    def _of(self, tx: Transaction, environment_id: str, number: int) -> Keyring:
        with self._lock:
            ring = self._rings.get(environment_id)
        if ring is None or number not in ring.keys:
            keys = {key.number: self._unwrapped(key) for key in environments.keys(tx, environment_id)}
            if not keys:
                raise Absent("the environment's data keys are gone: it was deleted")
            ring = Keyring(environment_id, keys)
            with self._lock:
                self._rings[environment_id] = ring
        return ring

    def opener(self, tx: Transaction, environment_id: str, sealed: bytes) -> Keyring:
        """The keyring that opens `sealed`."""
        return self._of(tx, environment_id, key_number(sealed))

    def kept(self, environment_id: str, sealed: bytes) -> Keyring:
        """As `opener`, from memory alone. Raises Unopened if the data key is not there."""
        ring = self._rings.get(environment_id)
        number = key_number(sealed)
        if ring is None or number not in ring.keys:
            raise Unopened(self, environment_id, number)
        return ring

    def present(self, environment_id: str) -> Keyring:
        """The keyring that is in memory. Raises Unopened if none is."""
        ring = self._rings.get(environment_id)
        if ring is None:
            raise Unopened(self, environment_id, None)
        return ring

    def fill(self, environment_id: str, number: int | None) -> None:
        """Open an environment's data keys, to be kept; no number stands for the newest one.

        Raises Absent, SealBroken, the key errors, Unavailable.
        """
        if number is None:
            self._door.look(lambda tx: self._of(tx, environment_id, environments.newest_key(tx, environment_id)))
            return
        ring = self._door.look(lambda tx: self._of(tx, environment_id, number))
        if number not in ring.keys:
            raise SealBroken(f"a stored value was sealed under data key {number}, which the ledger does not hold")

    def heard(self, changed: Collection[tuple[str, str]] | None) -> None:
        """These were changed in the ledger: keyrings among them are opened anew when they are needed again."""
        with self._lock:
            for environment_id in list(self._rings):
                if changed is None or (Changed.KEYS, environment_id) in changed:
                    del self._rings[environment_id]

    def sealer(self, tx: Transaction, environment_id: str) -> Keyring:
        """The keyring that seals something new: always under the newest key that the *ledger* has.

        `tx` holds `head`. Another process may have made a newer key since this one read its own, and drops
        the former as soon as nothing is sealed under it: what was sealed under that later could never be
        opened again. Raises Absent, the key errors.
        """
        return self._of(tx, environment_id, environments.newest_key(tx, environment_id))

    def add(self, tx: Transaction, environment_id: str) -> None:
        """The first data key of a new environment. Raises the key errors."""
        self._still_ours(tx)
        environments.add_key(tx, self._made(environment_id, 1), tx.now)

    def forget(self, environment_id: str) -> None:
        """Drop a keyring from memory."""
        with self._lock:
            self._rings.pop(environment_id, None)

    def _made(self, environment_id: str, number: int) -> WrappedKey:
        data_key = self._door.randomness(KEY_BYTES)
        wrapped = self._wrapper.wrap(data_key, data_key_context(environment_id, number))
        return WrappedKey(environment_id, number, wrapped, self._wrapper.name)

    def _still_ours(self, tx: Transaction) -> None:
        # `keys rewrap` may have been run beside this process: a key wrapped under the former master key
        # would be lost with it.
        try:
            self._unwrapped(environments.keys(tx, SYSTEM)[0])
        except KeyWrong:
            raise KeyWrong(
                f"the ledger's data keys are not under {self._wrapper.name} any more: they were wrapped anew while "
                "this process ran; restart it with KEYWRIGHT_KEY naming the new master key"
            ) from None

    def _unwrapped(self, key: WrappedKey) -> bytes:
        data_key = self._wrapper.unwrap(key.wrapped, data_key_context(key.environment_id, key.number))
        if len(data_key) != KEY_BYTES:
            raise KeyWrong(f"{self._wrapper.name} unwrapped a data key to {len(data_key)} bytes instead of {KEY_BYTES}")
        return data_key

    # For operators.

    def rotate(self, caller: Caller, environment: str) -> Iterator[Progress]:
        """A new data key for an environment, then re-sealing with progress. Interrupted: run `reseal`."""

        def act(tx: Transaction) -> None:
            require(caller, Level.OWN, EVERYTHING, f"environment {environment}")
            found = environments.find(tx, environment)
            if found is None:
                raise Absent(f"environment {environment} does not exist")
            self._still_ours(tx)
            number = max(key.number for key in environments.keys(tx, found.id)) + 1
            environments.add_key(tx, self._made(found.id, number), tx.now)
            deed.detail["key"] = number

        deed = Deed("key.rotate", environment, environment)
        self._door.change(caller, deed, act)
        yield from self.reseal(caller, environment)

    def reseal(self, caller: Caller, environment: str) -> Iterator[Progress]:
        """Bring every sealed value of an environment under its newest data key, then drop the former keys."""
        found = self._door.look(lambda tx: environments.find(tx, environment))
        require(caller, Level.OWN, EVERYTHING, f"environment {environment}")
        if found is None:
            raise Absent(f"environment {environment} does not exist")
        total, dropped = 0, False

        def drop(tx: Transaction) -> bool:
            numbers = [key.number for key in environments.keys(tx, found.id)]
            newest = max(numbers, default=0)
            if self._sealed_before(tx, found.id, newest):
                return False  # a still newer key was made meanwhile: once more
            for number in numbers:
                if number != newest:
                    environments.drop_key(tx, found.id, number)
            return True

        while not dropped:
            for count in self._reseal_batches(found.id):
                total += count
                yield Progress(environment, total, done=False)
            deed = Deed("key.reseal", environment, environment, {"resealed": total})
            dropped = self._door.change(caller, deed, drop)
        self.forget(found.id)
        yield Progress(environment, total, done=True)

    def _reseal_batches(self, environment_id: str) -> Iterator[int]:
        # Each batch holds `head`, as everything does that changes what is sealed: what is read here is what
        # is written, and nothing that was destroyed or published meanwhile is undone.
        behind = ("", 0)
        while True:
            with self._door.ledger.holding() as tx:
                page = variables.sealed_behind(tx, environment_id, behind, _BATCH)
                ring = self.sealer(tx, environment_id)
                stale = [row for row in page if key_number(row[2]) != ring.newest]
                for variable_id, number, sealed in stale:
                    context = version_context(environment_id, variable_id, number)
                    former = self.opener(tx, environment_id, sealed)
                    fresh = ring.seal(former.unseal(sealed, context), context, self._door.randomness)
                    variables.reseal(tx, variable_id, number, fresh)
            yield len(stale)
            if len(page) < _BATCH:
                break
            behind = page[-1][:2]
        after = ""
        while True:
            with self._door.ledger.holding() as tx:
                credentials = connections.sealed_behind(tx, environment_id, after, _BATCH)
                ring = self.sealer(tx, environment_id)
                count = 0
                for held in credentials:
                    if held.sealed is None or key_number(held.sealed) == ring.newest:
                        continue
                    context = credential_context(environment_id, held.login_id, held.id)
                    former = self.opener(tx, environment_id, held.sealed)
                    fresh = ring.seal(former.unseal(held.sealed, context), context, self._door.randomness)
                    connections.mark(tx, held.id, held.state, sealed=fresh)
                    count += 1
            yield count
            if len(credentials) < _BATCH:
                break
            after = credentials[-1].id

    def _sealed_before(self, tx: Transaction, environment_id: str, newest: int) -> bool:
        behind, after = ("", 0), ""
        while page := variables.sealed_behind(tx, environment_id, behind, _BATCH):
            if any(key_number(sealed) != newest for _, _, sealed in page):
                return True
            behind = page[-1][:2]
        while held := connections.sealed_behind(tx, environment_id, after, _BATCH):
            if any(c.sealed and key_number(c.sealed) != newest for c in held):
                return True
            after = held[-1].id
        return False

    def rewrap(self, caller: Caller, new: KeyWrapper) -> int:
        """Wrap every data key under the master key of `new`; the number of keys. All or nothing."""
        deed = Deed("key.rewrap", detail={"to": new.name})

        def act(tx: Transaction) -> int:
            require(caller, Level.OWN, EVERYTHING, "the installation")
            keys = environments.keys(tx)
            for key in keys:
                context = data_key_context(key.environment_id, key.number)
                data_key = self._unwrapped(key)
                wrapped = new.wrap(data_key, context)
                if new.unwrap(wrapped, context) != data_key:
                    raise KeyWrong(f"{new.name} did not give back what it wrapped; nothing was changed")
                environments.rewrap_key(tx, replace(key, wrapped=wrapped, wrapper=new.name))
            deed.detail["keys"] = len(keys)
            return len(keys)

        count = self._door.change(caller, deed, act)
        self._wrapper = new
        return count
