"""Processes: started without a shell, and gathered when they end.

A program of ours gets every signal as it was before we took them, a process group of its own unless a terminal leads it
together with us, and no open file but those that we were given and those that are passed to it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

NOT_FOUND = 127  # POSIX.1-2017, shell command language, 2.8.2
NOT_EXECUTABLE = 126


class CannotRun(Exception):
    """A program that could not be started. `code` is what a shell would end with."""

    def __init__(self, program: str, why: str, code: int) -> None:
        super().__init__(f"{program} {why}")
        self.code = code


def cannot_run(program: str, error: OSError) -> CannotRun:
    """What the system's refusal means."""
    if isinstance(error, FileNotFoundError):
        return CannotRun(program, "was not found", NOT_FOUND)
    return CannotRun(program, f"cannot be run: {error.strerror}", NOT_EXECUTABLE)


class Processes(Protocol):
    """Starts processes and sends them signals."""

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], passed: Iterable[int] = (), *, quiet: bool = False
    ) -> int:
        """The process id. `passed` are open files that it keeps; `quiet`: no input, and output to standard error.

        Raises CannotRun.
        """
        ...

    def send(self, pid: int, number: int, *, group: bool = False) -> None:
        """A signal; to its whole process group if it leads one. One that is gone gets none."""
        ...

    def stop_us(self) -> None:
        """Stop this process until somebody has it go on, as Ctrl-Z would."""
        ...


class System:
    """The real ones. `apart`: each leads a process group."""

    def __init__(self, *, apart: bool) -> None:
        self._apart = apart

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], passed: Iterable[int] = (), *, quiet: bool = False
    ) -> int:
        """See `Processes`."""
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
        passed = tuple(passed)
        for file in passed:
            os.set_inheritable(file, True)
        more = {"setpgroup": 0} if self._apart or quiet else {}
        try:
            return os.posix_spawnp(
                command[0],
                list(command),
                dict(environ),
                file_actions=actions if quiet else [],
                setsigmask=[],
                # Python itself ignores these two; programs expect to be ended by them. What nohup(1) had us ignore
                # they go on ignoring.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                **more,  # type: ignore[arg-type]
            )
        except OSError as error:
            raise cannot_run(command[0], error) from None
        finally:
            for file in passed:
                os.set_inheritable(file, False)

    def send(self, pid: int, number: int, *, group: bool = False) -> None:
        """See `Processes`."""
        with contextlib.suppress(ProcessLookupError):
            if group and os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)

    def stop_us(self) -> None:
        """See `Processes`. By its own default: in a group that no shell would wake, that is to go on."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def gathered() -> list[tuple[int, int]]:
    """Every child that ended: its id, and its exit code (128 and the number for a signal).

    Strangers among them are orphans that were handed to us, as to process 1 of a container.
    """
    found = []
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            found.append((ended[0], 128 - code if code < 0 else code))
    return found
