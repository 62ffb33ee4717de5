"""Awake: the machine's processors do not sleep while fetches come.

Whoever fetches over few connections waits for the disk, and for the next question, many thousand times a second. A
processor that sleeps meanwhile takes as long to come back as the disk itself. Linux lets a process say how long that
may take: by the number of microseconds that it writes to /dev/cpu_dma_latency, for as long as it holds the file open
(Documentation/power/pm_qos_interface.rst). With 0 an idle processor turns in place, on the whole machine, where Linux
decides about its sleep (`cpuidle`). So it is asked for only where somebody set it, and held only under load:

    asleep ──► as many batches in a second as BUSY ──► awake ──► fewer in a second ──► asleep
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from service.core.errors import Invalid

log = structlog.get_logger("http")

DEVICE = Path("/dev/cpu_dma_latency")
BUSY = 200
"""Batches of fetches in a second. Each waits for the disk once."""
_AT_ONCE = bytes(4)
"""Microseconds, as an integer of 32 bits."""


class Awake:
    """For one listener. `batches` tells how many were recorded so far."""

    def __init__(self, batches: Callable[[], int], device: Path = DEVICE) -> None:
        self._batches = batches
        self._device = device
        self._former = 0
        self._held: int | None = None
        self._told = False
        """That it cannot be had, since it could the last time."""

    @property
    def held(self) -> bool:
        """Is it asked for now?"""
        return self._held is not None

    def check(self) -> None:
        """Raises Invalid where this process may not ask for it."""
        self._open()
        self.close()

    def look(self) -> None:
        """Once a second: see whether it is worth it. Does not raise."""
        now = self._batches()
        busy, self._former = now - self._former >= BUSY, now
        if busy and self._held is None:
            try:
                self._open()
            except Invalid as error:
                if not self._told:
                    log.warning("processors sleep between fetches", reason=error.message)
                self._told = True
            else:
                self._told = False
        elif not busy:
            self.close()

    def close(self) -> None:
        """Ask for it no more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _open(self) -> None:
        try:
            self._held = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._held, _AT_ONCE)
        except OSError as error:
            self.close()
            why = error.strerror or type(error).__name__
            raise Invalid(
                f"KEYWRIGHT_AWAKE needs to write to {self._device}, which this process may not ({why}): "
                "let its user write there, or unset it"
            ) from None
