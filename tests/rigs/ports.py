"""TCP ports: free ones, and one that takes connections and never answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago; connecting to it is refused until somebody does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections (the backlog does) and never says a word: what a hung server looks like."""
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen(64)
        yield int(hung.getsockname()[1])
