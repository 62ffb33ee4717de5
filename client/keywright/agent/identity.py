"""A process as another one recognizes it: its id and when it began, since ids are given out again (proc(5)).

Ids are those of a PID namespace (pid_namespaces(7)): from another one, such as another container, nothing can be told.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def ours() -> dict[str, Any]:
    """This process: {"pid", "began": clock ticks since boot, "namespace"}; None for what the system does not tell."""
    return {"pid": os.getpid(), "began": _began(os.getpid()), "namespace": _namespace()}


def lives(it: Mapping[str, Any]) -> bool | None:
    """Is it still there? None where that cannot be told from here."""
    pid, began = it.get("pid"), it.get("began")
    if not isinstance(pid, int) or began is None or it.get("namespace") != _namespace():
        return None
    return bool(_began(pid) == began)


def _began(pid: int) -> int | None:
    """None for one that is not there, or only waits to be gathered."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(fields[18])
    except (OSError, ValueError, IndexError):
        return None


def _namespace() -> str | None:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return None
