"""A proxy that breaks a connection at one chosen statement: the case in which nobody knows what happened."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import repeat


@contextmanager
def cutting(port: int, statement: bytes, *, delivered: bool, times: int | None = None) -> Iterator[int]:
    """A port that leads to `port` of 127.0.0.1, in plain text, and breaks off when `statement` passes.

    If `delivered`, the server gets the statement and answers it, and only the answer is lost. With `times` said
    it passes undisturbed after so many cuts.
    """
    with _between(port, statement, delivered, [], times) as own:
        yield own


@contextmanager
def recording(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A port that leads to `port` of 127.0.0.1, and everything that clients sent through it."""
    sent: list[bytes] = []
    with _between(port, None, True, sent) as own:
        yield own, sent


@contextmanager
def _between(
    port: int, statement: bytes | None, delivered: bool, sent: list[bytes], times: int | None = None
) -> Iterator[int]:
    cuts = iter(range(times)) if times is not None else repeat(0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(
            target=_accept, args=(listener, port, statement, delivered, sent, cuts), daemon=True
        )
        acceptor.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)


def _accept(
    listener: socket.socket,
    port: int,
    statement: bytes | None,
    delivered: bool,
    sent: list[bytes],
    cuts: Iterator[int],
) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            # Side by side: a session may be held open while another one logs in.
            given = (near, port, statement, delivered, sent, cuts)
            threading.Thread(target=_lead, args=given, daemon=True).start()


def _lead(
    near: socket.socket, port: int, statement: bytes | None, delivered: bool, sent: list[bytes], cuts: Iterator[int]
) -> None:
    with suppress(OSError), near, socket.create_connection(("127.0.0.1", port)) as far:
        _serve(near, far, statement, delivered, sent, cuts)


def _serve(
    near: socket.socket,
    far: socket.socket,
    statement: bytes | None,
    delivered: bool,
    sent: list[bytes],
    cuts: Iterator[int],
) -> None:
    lost = threading.Event()
    answers = threading.Thread(target=_answers, args=(far, near, lost), daemon=True)
    answers.start()
    with suppress(OSError):
        while data := near.recv(65536):
            sent.append(data)
            if statement is not None and statement in data and next(cuts, None) is not None:
                if delivered:
                    lost.set()
                    far.sendall(data)
                    answers.join(10)
                break
            far.sendall(data)
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
