"""A Keywright on its embedded default, in this process: SQLite, a master key of its own, a free loopback port."""

import threading
from pathlib import Path

from providers.stores.env import EnvStore
from service.core.errors import Unavailable
from service.core.secret import Secret
from service.demo.stopping import Stopping
from service.homes import stores
from service.serving import server_of
from service.settings import Settings
from service.wiring import build

HOST = "127.0.0.1"
TICK = 0.2
"""Seconds between two looks for due rotations."""
STARTS_WITHIN = 30.0
STOPS_WITHIN = 5.0
"""Seconds that requests under way have to end; the demo's own have ended before."""


class Instance:
    """Starts when it is made; `close` it. Raises Unavailable, Stopped, the key errors."""

    def __init__(self, settings: Settings, surroundings: dict[str, str], stopping: Stopping) -> None:
        # What an operator would have set in the service's environment, without touching this process's own.
        own = stores(settings) | {"env": EnvStore(surroundings, tuple(surroundings))}
        self._service = build(settings, with_stores=own)
        try:
            owner = self._service.keeper.tokens.first()
            if owner is None:
                raise Unavailable("the demo's ledger is not a new one")
            self.owner: Secret = owner
            self._server = server_of(self._service, HOST, 0)
            self._server.bind()
        except BaseException:
            self._service.close()
            raise
        self.address = f"http://{HOST}:{self._server.address[1]}"
        self._thread = threading.Thread(target=self._server.run, name="keywright", daemon=True)
        try:
            self._start(stopping)
        except BaseException:
            self.close()
            raise

    def _start(self, stopping: Stopping) -> None:
        self._service.clock.start()
        self._thread.start()
        for _ in range(int(STARTS_WITHIN / 0.02)):
            if self._server.started.is_set():
                return
            if not self._thread.is_alive():
                break
            stopping.sleep(0.02)
        raise Unavailable("the demo's Keywright did not begin to serve")

    def close(self) -> None:
        """Stop serving, let the rotation's step under way end, close the ledger."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(STOPS_WITHIN)
            self._server.stop(hurry=True)
            self._thread.join(STOPS_WITHIN)
        self._server.close()
        self._service.close()


def settings_in(folder: Path, mounted: Path) -> dict[str, object]:
    """What the demo's Keywright is told; everything else is the default, whatever this process's environment says."""
    return {
        "data": folder / "keywright",
        "tick": TICK,
        "log_level": "warning",
        "file_roots": (str(mounted),),
    }
