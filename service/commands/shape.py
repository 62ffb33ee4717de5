"""The shape of every command: its options, the settings, a service that is closed again, and one way to say things."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder; KEYWRIGHT_DATA otherwise.")]


def settings(data: Path | None = None, **given: Any) -> Any:
    """The settings of this process, and its log as they say."""
    from service import log
    from service import settings as of_process

    found = of_process.read(None, **({"data": data} if data else {}) | given)
    log.configure(found)
    return found


def with_service(found: Any, act: Callable[[Any], Any], *, new_ledger: bool = False) -> Any:
    """What `act` makes of the service, which is closed afterwards."""
    from service.wiring import build

    service = build(found, new_ledger=new_ledger)
    try:
        return act(service)
    finally:
        service.close()


def say(as_json: bool, data: dict[str, Any], text: str) -> None:
    """One line on standard output."""
    print(json.dumps(data, default=str) if as_json else text, flush=True)
