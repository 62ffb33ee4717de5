"""A store in memory, for tests that are not about stores. It passes the same contract as the real ones."""

import json
import threading

from service.core.errors import Conflict, StoreAbsent, StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reading, Reference
from service.core.secret import Secret


class FakeStore:
    """Holds texts by location. Tests reach in by `put`, `remove` and the sets and flags below."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()
        self.refused: set[str] = set()
        """Locations that are not for Keywright's identity."""
        self.unusable: set[str] = set()
        """Locations that hold something that is no value."""
        self.turning: set[str] = set()
        """Locations that somebody else rotates."""
        self.down = False
        self.reads = 0
        """How often it was asked, whatever it answered."""

    def put(self, location: str, text: str) -> None:
        """Somebody else writes: a whole new value, a new version."""
        with self._lock:
            self._held[location] = (text, self._held.get(location, ("", 0))[1] + 1)

    def remove(self, location: str) -> None:
        """Somebody else deletes."""
        with self._lock:
            self._held.pop(location, None)

    def read(self, reference: Reference) -> Reading:
        """See Store."""
        with self._lock:
            self.reads += 1
            text, version = self._get(reference)
            return Reading(Secret(text), str(version))

    def write(self, reference: Reference, changes: dict[str, Secret], expected: str | None) -> str:
        """See WritableStore."""
        with self._lock:
            text, version = self._get(reference)
            try:
                held = json.loads(text)
            except ValueError:
                held = None
            if not isinstance(held, dict):
                raise StoreMalformed("is not a JSON object", store=reference.store, reference=str(reference))
            merged = held | {key: value.reveal() for key, value in changes.items()}
            if merged == held:
                return str(version)
            if expected is not None and expected != str(version):
                raise Conflict(f"{reference} was changed by somebody else")
            self._held[reference.location] = (json.dumps(merged), version + 1)
            return str(version + 1)

    def turned_elsewhere(self, reference: Reference) -> bool:
        """See WritableStore."""
        return reference.location in self.turning

    def _get(self, reference: Reference) -> tuple[str, int]:
        told = {"store": reference.store, "reference": str(reference)}
        if self.down:
            raise StoreUnreachable("is down", **told)
        if reference.location in self.refused:
            raise StoreRefused("is not for you", **told)
        if reference.location in self.unusable:
            raise StoreMalformed("holds no text", **told)
        if reference.location not in self._held:
            raise StoreAbsent("is not there", **told)
        return self._held[reference.location]


class SlowStore(FakeStore):
    """Answers a reading when it is let: until `go` is set, it hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.asked = threading.Semaphore(0)
        """One for each reading that has come."""

    def read(self, reference: Reference) -> Reading:
        """See Store."""
        self.asked.release()
        self.go.wait(60)
        return super().read(reference)
