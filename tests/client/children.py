"""What a forked process sees."""

import os
import signal
from collections.abc import Callable


def in_a_child(does: Callable[[], bool]) -> bool:
    """Whether `does` is true in a forked process."""
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # rather than wait for ever, should the promise be broken
        code = 1
        try:
            code = 0 if does() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
