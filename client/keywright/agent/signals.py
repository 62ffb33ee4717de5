"""Signals, taken one after the other, as an init takes them (signal(7), sigwaitinfo(2), tty_ioctl(4)).

They are blocked in every thread and awaited in one, since only sigwaitinfo tells who sent them: what a terminal sends
(Ctrl-C, Ctrl-Z, a change of its size) it sends to every process of the foreground, and so to the program as well.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

_OURS = {
    # Faults of this process itself, and what nobody can take.
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGILL,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
    # What Python ignores, so that writing tells of it.
    signal.SIGPIPE,
    signal.SIGXFSZ,
    # Of a job in the background that uses its terminal.
    signal.SIGTTIN,
    signal.SIGTTOU,
}
TAKEN = frozenset(signal.valid_signals()) - _OURS
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""Whoever sends these wants us gone."""
_OF_THE_KERNEL = 0x80  # siginfo.h, SI_KERNEL


@dataclass(frozen=True)
class Signal:
    """`everybody`: the terminal sent it to every process of its foreground."""

    number: int
    everybody: bool = False


def take(tell: Callable[[Signal], None]) -> None:
    """From now on signals are told, in a thread. To be called before any other thread begins."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish without telling how they ended
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)

    def wait() -> None:
        while True:
            info = signal.sigwaitinfo(TAKEN)
            tell(Signal(info.si_signo, info.si_code == _OF_THE_KERNEL))

    threading.Thread(target=wait, name="signals", daemon=True).start()


def named(text: str) -> signal.Signals:
    """`HUP`, `SIGHUP` or a number. Raises ValueError for what is no signal, or none that can be sent to a program."""
    with contextlib.suppress(KeyError, ValueError):
        name = text.upper()
        found = signal.Signals(int(name)) if name.isdecimal() else signal.Signals[f"SIG{name.removeprefix('SIG')}"]
        if found in TAKEN - {signal.SIGCHLD}:
            return found
    raise ValueError(f"{text!r} is not the name of a signal for a program, such as HUP, USR1 or TERM")


def in_foreground() -> bool:
    """Is this process of the foreground of a terminal, which signals all of that at once?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
