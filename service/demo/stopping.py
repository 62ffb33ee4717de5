"""Being told to stop: Ctrl-C and other signals, at any moment, without breaking into anything.

A signal only sets a flag, which every wait looks at. So no process or folder can be lost between its
making and the note that it must be cleaned up, and a second Ctrl-C does not break into the cleaning.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SLICE = 0.05


class Stopped(Exception):
    """Somebody asked to stop."""


class Stopping:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        # A plain flag: setting a threading.Event from a signal handler can deadlock with a wait for it.
        self.asked = False

    def ask(self, *_: object) -> None:
        """Stop soon."""
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals ask to stop meanwhile. For the main thread. Whoever asked need not ask again: the process ends."""
        former = {number: signal.signal(number, self.ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, signal.SIG_IGN if self.asked else handler)

    def check(self) -> None:
        """Raises Stopped if somebody asked."""
        if self.asked:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Sleep, not much longer than until somebody asks. Raises Stopped."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))
            self.check()
