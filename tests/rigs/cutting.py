"""A proxy that breaks a connection at one chosen statement: the case in which nobody knows what happened."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cutting(port: int, statement: bytes, *, delivered: bool) -> Iterator[int]:
    """A port that leads to `port` of 127.0.0.1, in plain text, and breaks off when `statement` passes.

    If `delivered`, the server gets the statement and answers it, and only the answer is lost.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=_accept, args=(listener, port, statement, delivered), daemon=True)
        acceptor.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)


def _accept(listener: socket.socket, port: int, statement: bytes, delivered: bool) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                _serve(near, far, statement, delivered)


def _serve(near: socket.socket, far: socket.socket, statement: bytes, delivered: bool) -> None:
    lost = threading.Event()
    answers = threading.Thread(target=_answers, args=(far, near, lost), daemon=True)
    answers.start()
    with suppress(OSError):
        while data := near.recv(65536):
            if statement in data:
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
