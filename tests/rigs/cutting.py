"""A proxy that breaks a connection at one chosen statement, or holds it up there.

Broken off: nobody knows what happened. Held up: to the server, a worker that stands still.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import repeat

PATIENCE = 40.0


@dataclass(frozen=True)
class Standstill:
    """Somebody is held up at a statement, which `reached` tells; `go` sends it on."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class _Rule:
    """What happens to what passes."""

    statement: bytes | None = None
    delivered: bool = True
    cuts: Iterator[int] = field(default_factory=lambda: repeat(0))
    still: Standstill | None = None
    sent: list[bytes] = field(default_factory=list)


@contextmanager
def cutting(port: int, statement: bytes, *, delivered: bool, times: int | None = None) -> Iterator[int]:
    """A port that leads to `port` of 127.0.0.1, in plain text, and breaks off when `statement` passes.

    If `delivered`, the server gets the statement and answers it, and only the answer is lost. With `times` said
    it passes undisturbed after so many cuts.
    """
    cuts = repeat(0) if times is None else iter(range(times))
    with _between(port, _Rule(statement, delivered, cuts)) as own:
        yield own


@contextmanager
def stalling(port: int, statement: bytes) -> Iterator[tuple[int, Standstill]]:
    """A port that leads to `port` of 127.0.0.1, in plain text, and holds `statement` up until it may go on."""
    still = Standstill()
    with _between(port, _Rule(statement, still=still)) as own:
        try:
            yield own, still
        finally:
            still.go.set()


@contextmanager
def recording(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A port that leads to `port` of 127.0.0.1, and everything that clients sent through it."""
    rule = _Rule()
    with _between(port, rule) as own:
        yield own, rule.sent


@contextmanager
def _between(port: int, rule: _Rule) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=_accept, args=(listener, port, rule), daemon=True)
        acceptor.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)


def _accept(listener: socket.socket, port: int, rule: _Rule) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            # Side by side: a session may be held open while another one logs in.
            threading.Thread(target=_lead, args=(near, port, rule), daemon=True).start()


def _lead(near: socket.socket, port: int, rule: _Rule) -> None:
    with suppress(OSError), near, socket.create_connection(("127.0.0.1", port)) as far:
        _serve(near, far, rule)


def _serve(near: socket.socket, far: socket.socket, rule: _Rule) -> None:
    lost = threading.Event()
    answers = threading.Thread(target=_answers, args=(far, near, lost), daemon=True)
    answers.start()
    with suppress(OSError):
        while data := near.recv(65536):
            rule.sent.append(data)
            if rule.statement is None or rule.statement not in data:
                far.sendall(data)
            elif rule.still:
                rule.still.reached.set()
                rule.still.go.wait(PATIENCE)
                far.sendall(data)
            elif next(rule.cuts, None) is None:
                far.sendall(data)
            else:
                if rule.delivered:
                    lost.set()
                    far.sendall(data)
                    answers.join(10)
                break
    for end in (near, far):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    answers.join(10)


def _answers(far: socket.socket, near: socket.socket, lost: threading.Event) -> None:
    with suppress(OSError):
        while data := far.recv(65536):
            if lost.is_set():
                return
            near.sendall(data)
        near.shutdown(socket.SHUT_WR)
