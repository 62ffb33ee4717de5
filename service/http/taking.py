"""Taking: whether a client takes what was written to it, however slowly.

Looked at is what is left, here and in the system's send queue, and how much the client's system has acknowledged: where
what was taken is made up for at once, as much is left as before. What TLS holds back is told by neither; but it holds
something back only while the system has something to send.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios

WITHIN = 30
"""Seconds in which a client has to take something of what was written."""


_INFO = getattr(socket, "TCP_INFO", None)
"""Linux has it, and tells of bytes from 4.1 on."""
_ACKED, _ALL = 120, 128
"""Where `tcpi_bytes_acked` begins in `struct tcp_info` (linux/tcp.h), and where it ends."""


class Taking:
    """Of one connection."""

    __slots__ = ("_changed", "_left", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left = (0, 0, 0)
        self._changed = 0

    def goes_on(self, now: int) -> bool:
        """Is there something to take still, and was some of it taken lately, as far as looks have told?

        `now` is in seconds. It costs a microsecond: ask it of those that would be sent away otherwise.
        """
        left = (self._transport.get_write_buffer_size(), self._queued(), self._acknowledged())
        if left != self._left:
            self._left, self._changed = left, now
        return any(left[:2]) and now - self._changed <= WITHIN

    def _queued(self) -> int:
        """Bytes that the system has, and the client's has not acknowledged (tcp(7), SIOCOUTQ)."""
        try:
            told = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return 0  # it is closed
        return int.from_bytes(told, sys.byteorder)

    def _acknowledged(self) -> int:
        """Bytes since it came (tcp(7), TCP_INFO); 0 where the system does not tell."""
        if _INFO is None:
            return 0
        try:
            told = self._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, _INFO, _ALL)
        except (OSError, ValueError):
            return 0  # it is closed
        return int(struct.unpack_from("=Q", told, _ACKED)[0]) if len(told) >= _ALL else 0
