"""What every command takes, and what it makes of that: one server, asked as one caller."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from keywright.client import Client
from keywright.commands import step_up
from keywright.discovery import Discovered, discover
from keywright.door import Door

Environment = Annotated[str | None, typer.Option("--env", "-e", metavar="NAME", help="The environment.")]
Address = Annotated[str | None, typer.Option("--addr", metavar="URL", help="The server, as https://host:port.")]
Json = Annotated[bool, typer.Option("--json", help="Answer, and tell errors, in JSON.")]


@dataclass(frozen=True)
class Place:
    """A server, and an environment on it."""

    found: Discovered
    door: Door

    def within(self, path: str) -> str:
        """`path` inside the environment. Raises Invalid when none was named."""
        return f"/environments/{self.found.named_environment()}{path}"


_reason: ContextVar[str | None] = ContextVar("reason", default=None)


@contextmanager
def asking(reason: str) -> Iterator[None]:
    """Within, commands ask somebody else to agree where that is needed, and raise AskedFor then."""
    before = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(before)


@contextmanager
def place(address: str | None, environment: str | None, *, patience: float = 10.0) -> Iterator[Place]:
    """Where a command goes. Raises Unauthenticated or Invalid when that cannot be found out."""
    found = discover(address, environment=environment)
    trust: dict[str, Any] = {"ca": found.ca, "certificate": found.certificate}
    asks: dict[str, Any] = {"reason": _reason.get(), "steps_up": step_up.on_terminal}
    with Door(found.address, found.token, timeout=patience, **trust, **asks) as door:
        yield Place(found, door)


def client(address: str | None, environment: str | None) -> Client:
    """The library's client, for commands that only fetch. Raises as `place`."""
    return Client(address, environment=environment, steps_up=step_up.on_terminal)
