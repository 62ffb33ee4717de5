"""keywright agent: files, and a program, that follow what Keywright holds."""

import time
from pathlib import Path
from typing import Annotated

import typer

from keywright import discovery
from keywright.commands import options, screen
from keywright.errors import Invalid

UNHEALTHY = 1
_AGENT = ("cryptography", "jinja2")


def run(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration, in TOML.")],
    once: Annotated[bool, typer.Option("--once", help="Render everything, and end.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Look at the configuration, and do nothing.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Tell how the agent is that runs by it.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Keep files, and a program, as an environment's variables and connections have it.

    Templates are rendered anew when something that they use changes. While the server is away, everything stays.
    --once ends with 1 when a template fails, and --status when something is wrong.
    """
    if once + check + status > 1:
        raise typer.BadParameter("give one of --once, --check and --status")
    try:
        from keywright.agent import running  # what it needs is not installed everywhere
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _AGENT:
            raise Invalid(f"the agent needs {error.name}: install keywright[agent]") from None
        raise
    around = discovery.surroundings()
    wanted = running.read(config, around)
    if status:
        _tell(running.status_of(wanted), as_json)
        return
    if check:
        running.check(wanted, address, environment, around)
        screen.say(f"{config} can be used")
        return
    raise typer.Exit(running.run(wanted, address, environment, around, once=once))


def _tell(found: dict[str, object], as_json: bool) -> None:
    from keywright.agent import status  # as above

    aged = status.aged(found, time.time())
    if as_json:
        screen.dump(aged)
    else:
        for line in status.lines(aged):
            screen.say(line)
    if not status.healthy(aged):
        raise typer.Exit(UNHEALTHY)
