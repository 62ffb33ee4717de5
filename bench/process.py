"""The real server as a process of its own: `keywrightd serve`, on its SQLite defaults or as it is told."""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.certificate import Certificate
from bench.child import Child, last_words
from bench.port import free_port
from service.core.secret import Secret

STARTS_WITHIN = 60.0
_COMMAND = (sys.executable, "-m", "service")


class Process:
    """One server, from its start to its end. `settings` are words such as `ledger`, with their values.

    `seconds` is how long it took to be ready, `start_cpu_seconds` how much of a core that was.
    """

    def __init__(
        self,
        data: Path,
        log: Path,
        *,
        clock: bool = True,
        workers: int = 4,
        certificate: Certificate | None = None,
        command: Sequence[str] = (*_COMMAND, "serve"),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.address = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.ca = certificate.ca if certificate else None
        # The clock is switched, the workers are counted, and nothing is taken of what the person who measures has set.
        own = dict(settings or {}) | {
            "clock": str(clock).lower(),
            "workers": str(workers),
            "listen": f"127.0.0.1:{self.port}",
        }
        if certificate:
            own |= {"tls_cert": str(certificate.chain), "tls_key": str(certificate.key)}
        began = time.perf_counter()
        with log.open("ab") as output:
            self.child = Child(command, environment=_environment(data, own), stdout=output, stderr=output)
        try:
            while not self._ready():
                if self.child.ended or time.perf_counter() - began > STARTS_WITHIN:
                    raise SystemExit(f"bench: the server did not start: {last_words(log)}")
                time.sleep(0.005)
        except BaseException:
            self.stop()
            raise
        self.ready_at = time.time()
        self.seconds = time.perf_counter() - began
        self.start_cpu_seconds = self.child.cpu_seconds

    def stop(self) -> None:
        """Stop it in order. Bounded."""
        self.child.stop()

    def read(self, path: str, seconds: float = 5) -> str:
        """What a path outside the API answers. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca) if self.ca else None
        with urllib.request.urlopen(f"{self.address}{path}", timeout=seconds, context=context) as answer:
            return str(answer.read().decode())

    def _ready(self) -> bool:
        try:
            self.read("/readyz")
        except (urllib.error.URLError, OSError):
            return False
        return True


def initialised(data: Path, settings: Mapping[str, str] | None = None) -> Secret:
    """A new ledger; its owner's token."""
    done = subprocess.run(
        [*_COMMAND, "init", "--json"],
        env=_environment(data, settings or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Secret(json.loads(done.stdout.splitlines()[-1])["token"])


def _environment(data: Path, settings: Mapping[str, str]) -> dict[str, str]:
    own = {f"KEYWRIGHT_{word.upper()}": value for word, value in {"data": str(data), **settings}.items()}
    return {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)} | own
