"""Being told to stop (Ctrl-C, SIGTERM, SIGHUP), or being out of time: raised in the main thread, but never between
the start of a process and the note that it must be ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from service.demo.stopping import SIGNALS


class Interrupted(BaseException):
    """Somebody asked to stop. Like KeyboardInterrupt it is nobody's to catch who catches mistakes."""


class OutOfTime(BaseException):
    """A section took longer than it may."""


class _State:
    def __init__(self) -> None:
        self.shields = 0
        self.due: BaseException | None = None
        self.told = False


_state = _State()


@contextmanager
def shielded() -> Iterator[None]:
    """Nothing is raised meanwhile; it is afterwards. For moments only."""
    _state.shields += 1
    try:
        yield
    finally:
        _state.shields -= 1
        _raise()


@contextmanager
def listening() -> Iterator[None]:
    """Signals raise Interrupted meanwhile, once: what they stop is then cleared away undisturbed."""
    former = {number: signal.signal(number, _told) for number in SIGNALS}
    former[signal.SIGALRM] = signal.signal(signal.SIGALRM, _late)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if _state.told and number != signal.SIGALRM else handler)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raises OutOfTime where it takes longer."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if isinstance(_state.due, OutOfTime):
            _state.due = None


def _told(number: int, _: FrameType | None) -> None:
    if not _state.told:
        _state.told = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        _state.due = Interrupted(signal.Signals(number).name)
        _raise()


def _late(_: int, __: FrameType | None) -> None:
    if not _state.told:
        _state.due = OutOfTime()
        _raise()


def _raise() -> None:
    if _state.due and not _state.shields:
        due, _state.due = _state.due, None
        raise due
