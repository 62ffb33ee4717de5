"""The library's face: a client that applications keep for as long as they run."""

from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType

from keywright import names as naming
from keywright.async_door import AsyncDoor
from keywright.budget import LIMIT, Budget
from keywright.cache import Answer, Cache
from keywright.certificate import Certificate
from keywright.credential import Credential
from keywright.discovery import discover
from keywright.door import Door
from keywright.fetched import Value, answer, batches, folder_query, pair, pairs, queries
from keywright.forks import OfProcess
from keywright.retrying import patient
from keywright.watching import Watcher

__all__ = ["Client", "Value", "batches", "folder_query", "pair", "pairs"]


class Client:
    """Fetches values and credentials of one environment. Safe to share between threads and across a fork.

    What is not given is discovered: see `keywright.discovery`. Every call may raise any of `keywright.errors`.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        environment: str | None = None,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
        max_age: float = 30.0,
        retries: int = 2,
        refusals: int = LIMIT,
        steps_up: Callable[[Door], bool] | None = None,
    ) -> None:
        """`timeout` and `max_age` in seconds: the wait for an answer, and how long a credential is given again
        without asking. After an outage it is asked up to `retries` times more, unless something promised is at hand.
        `refusals` is how often in a row a database may refuse one login of this process (`keywright.budget`).
        `ca` is a PEM file, trusted alone; `certificate` is shown to the server. `steps_up` is asked to show a person's
        second factor where one is needed (`keywright.door`). Raises Unauthenticated or Invalid when something lacks.
        """
        found = discover(address, token, environment, ca, certificate=certificate)
        self.environment = found.named_environment()
        self.address = found.address
        self._found = found
        self._timeout = timeout
        self._retries = retries
        self._door = Door(
            found.address,
            found.token,
            timeout=timeout,
            ca=found.ca,
            certificate=found.certificate,
            steps_up=steps_up,
        )
        # After a fork another thread of the parent may hold their locks for ever.
        self._cache = OfProcess(lambda: Cache(self._ask, max_age))
        self._budget = OfProcess(lambda: Budget(refusals))

    def __repr__(self) -> str:
        return f"Client({self.address!r}, environment={self.environment!r})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._door.close()

    def value(self, name: str) -> Value:
        """The resolved value of one variable, now."""
        path = f"/environments/{self.environment}/values/{naming.path(name)}"
        return pair(patient(lambda: self._door.get(path), self._retries).body)[1]

    def values(self, names: Iterable[str] | None = None, *, folder: str | None = None) -> dict[str, Value]:
        """The resolved values of the variables named, or of all in a folder ("" for the whole environment)."""
        path, found = f"/environments/{self.environment}/values", dict[str, Value]()
        for query in queries(names, folder):
            found.update(pairs(patient(partial(self._door.get, path, query), self._retries).body))
        return found

    def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        """What to log in to a connection with. Cheap enough to call before every login.

        `fresh` asks the server even so: for when the database has just refused the password.
        Without an answer the last one is given, with `stale` true, for as long as it is promised to work.
        """
        name = naming.path(connection, "connection")
        return patient(lambda: self._cache.get().get(name, fresh=fresh), self._retries)

    def known(self, connection: str) -> Credential | None:
        """The credential that was answered last, whatever its age; None before the first. Nobody is asked."""
        return self._cache.get().known(connection)

    def watch(self, connection: str, changed: Callable[[Credential], None] | None = None) -> Watcher:
        """Keep a credential fresh from a thread of its own, and call `changed` with each new generation.

        Close what is returned, or use it with `with`. It is of this process: after a fork, watch again.
        """
        name, found = naming.path(connection, "connection"), self._found

        def door() -> AsyncDoor:
            return AsyncDoor(
                found.address, found.token, timeout=self._timeout, ca=found.ca, certificate=found.certificate
            )

        return Watcher(door, self.environment, name, self._cache.get(), changed).start()

    @property
    def budget(self) -> Budget:
        """How often this process may still be refused by databases; see `keywright.budget`."""
        return self._budget.get()

    def _ask(self, name: str, etag: str | None) -> Answer:
        reply = self._door.get(f"/environments/{self.environment}/credentials/{name}", etag=etag)
        return answer(self.address, reply, etag)
