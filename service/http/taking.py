"""Taking: whether a client takes what was written to it, however slowly.

Looked at is what is left, here and in the system's send queue. What TLS holds back is told by neither; but it holds
something back only while the system has something to send.
"""

import asyncio
import fcntl
import sys
import termios

WITHIN = 30
"""Seconds in which a client has to take something of what was written."""


class Taking:
    """Of one connection."""

    __slots__ = ("_changed", "_left", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left = (0, 0)
        self._changed = 0

    def goes_on(self, now: int) -> bool:
        """Is there something to take still, and was some of it taken lately, as far as looks have told?

        `now` is in seconds. It costs a microsecond: ask it of those that would be sent away otherwise.
        """
        left = (self._transport.get_write_buffer_size(), self._queued())
        if left != self._left:
            self._left, self._changed = left, now
        return any(left) and now - self._changed <= WITHIN

    def _queued(self) -> int:
        """Bytes that the system has, and the client's has not acknowledged (tcp(7), SIOCOUTQ)."""
        try:
            told = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return 0  # it is closed
        return int.from_bytes(told, sys.byteorder)
