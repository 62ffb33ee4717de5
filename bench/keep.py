"""What Keywright keeps for the fetches: the secret of five fields, and a token that may use it and nothing else."""

from collections.abc import Mapping
from pathlib import Path

from bench.fields import FIELDS, NAME
from bench.process import Process, initialised
from bench.target import Target
from service.core.secret import Secret
from service.demo.wire import Wire

ENVIRONMENT = "bench"
PATH = f"/api/v1/environments/{ENVIRONMENT}/values/{NAME}"


def furnished(process: Process, owner: Secret) -> Secret:
    """Put the secret there, through REST; the token."""
    wire = Wire(process.address, owner)
    try:
        wire.post("/environments", {"name": ENVIRONMENT})
        wire.put(f"/environments/{ENVIRONMENT}/variables/{NAME}", {"value": FIELDS})
        grant = {"level": "use", "kind": "folder", "environment": ENVIRONMENT, "path": "shop"}
        return Secret(wire.post("/tokens", {"name": "load", "grants": [grant]})["token"])
    finally:
        wire.close()


def target(token: Secret, *processes: Process, path: str = PATH) -> Target:
    """Where the secret is fetched, from one or several processes."""
    header = ("Authorization", f"Bearer {token.reveal()}")
    return Target(tuple(each.port for each in processes), path, header, processes[0].ca)


def made(data: Path, log: Path, settings: Mapping[str, str] | None = None) -> tuple[Secret, Secret]:
    """A new ledger with the secret in it: its owner's token, and the one that fetches."""
    owner = initialised(data, settings)
    process = Process(data, log, settings=settings)
    try:
        return owner, furnished(process, owner)
    finally:
        process.stop()
