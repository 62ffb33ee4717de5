"""What a command does where a second factor is needed: it asks for a code on the terminal, shows it, and goes on.

Only a session can show one, of somebody who has one; and only where there is a terminal. Else the server's sentence
stands: it says what to do.
"""

import re
import sys
from typing import Any

import typer

from keywright import errors
from keywright.commands import screen
from keywright.door import Door

TRIES = 3
_CODE = re.compile(r"[0-9]{3} ?[0-9]{3}")


def on_terminal(door: Door) -> bool:
    """Show a second factor. False: there is nobody to ask, or nothing to show. Raises what the server refuses with."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or not _can(door):
        return False
    for left in reversed(range(TRIES)):
        typed = typer.prompt("Code of your authenticator app, or a recovery code", err=True).strip()
        try:
            door.post("/session/factor", {"code" if _CODE.fullmatch(typed) else "recovery_code": typed})
        except errors.Unavailable:
            raise
        except errors.KeywrightError as wrong:
            if not left:
                raise
            screen.complain(wrong.message)
        else:
            return True
    return False


def _can(door: Door) -> bool:
    try:
        door.get("/session")
        held: Any = door.get("/factors").body
    except errors.KeywrightError:
        return False
    return isinstance(held, dict) and bool(held.get("items"))
