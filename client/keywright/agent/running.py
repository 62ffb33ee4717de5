"""An agent put together from its configuration, and its errors made those of every command."""

import os
import shutil
import time
from collections.abc import Mapping
from typing import Any

from keywright import discovery
from keywright.agent import status
from keywright.agent.configuration import KEY_FILE, Configuration, read
from keywright.agent.destination import Destination, Unwritable
from keywright.agent.journal import note
from keywright.agent.kept import Sealed
from keywright.agent.processes import CannotRun
from keywright.agent.rendering import Broken, Rendering
from keywright.agent.upkeep import Upkeep
from keywright.agent.watch import Asking
from keywright.errors import Invalid

__all__ = ["check", "read", "run", "status_of"]


def run(
    wanted: Configuration, address: str | None, environment: str | None, around: Mapping[str, str], *, once: bool
) -> int:
    """Until it ends; the exit code. Raises KeywrightError."""
    asking = _asking(wanted, address, environment, around)
    hidden = {*discovery.TOKEN_NAMES, KEY_FILE}
    given = {name: text for name, text in around.items() if name not in hidden}
    try:
        return Upkeep(wanted, asking, _sealed(wanted, asking), given, once=once).run()
    except Broken as error:
        raise Invalid(str(error), field="template") from None
    except CannotRun as error:
        note(str(error))
        return error.code


def check(wanted: Configuration, address: str | None, environment: str | None, around: Mapping[str, str]) -> None:
    """Raises Invalid for what an agent would fail of, as far as can be seen without asking or writing anything."""
    sealed = _sealed(wanted, _asking(wanted, address, environment, around))
    if sealed is not None:
        sealed.read()
    rendering = Rendering(time.time)
    places = [file.destination for file in wanted.files]
    places += [Destination(place) for place in (wanted.status, wanted.kept and wanted.kept.file) if place]
    try:
        for file in wanted.files:
            rendering.template(file.name, file.source)
        for name, text in (wanted.program.environment if wanted.program else {}).items():
            rendering.template(f"exec.environment: {name}", text)
        for place in places:
            place.look()
        commands = [file.command for file in wanted.files] + [wanted.program.command if wanted.program else None]
        for command in filter(None, commands):
            if shutil.which(command[0], path=around.get("PATH", os.defpath)) is None:
                raise Invalid(f"the command {command[0]} is not found, or may not be run", field="command")
    except (Broken, Unwritable) as error:
        raise Invalid(str(error), field="template" if isinstance(error, Broken) else "destination") from None


def status_of(wanted: Configuration) -> dict[str, Any]:
    """What the agent that runs by it wrote last. Raises Invalid."""
    if wanted.status is None:
        raise Invalid('the configuration names no status file: add status = "…"', field="status")
    return status.read(wanted.status)


def _asking(wanted: Configuration, address: str | None, environment: str | None, around: Mapping[str, str]) -> Asking:
    if wanted.token_file is not None:
        around = {**around, "KEYWRIGHT_TOKEN": "", "KEYWRIGHT_TOKEN_FILE": str(wanted.token_file)}
    return Asking(
        discovery.discover(
            address or wanted.address, environment=environment or wanted.environment, ca=wanted.ca, environ=around
        )
    )


def _sealed(wanted: Configuration, asking: Asking) -> Sealed | None:
    if wanted.kept is None:
        return None
    return Sealed(wanted.kept.file, wanted.kept.key_file, asking.address, asking.environment)
