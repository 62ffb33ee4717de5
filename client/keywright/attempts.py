"""Logging in, as `keywright.ordered` plans it, for threads and for tasks."""

import asyncio
import contextlib
import copy
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Protocol, TypeVar

from keywright.budget import REST, Budget
from keywright.credential import Credential, Entry
from keywright.errors import KeywrightError
from keywright.ordered import Pause, Plan, Refresh, Try, plan

T = TypeVar("T")


class Source(Protocol):
    """A client, as a login uses it."""

    @property
    def budget(self) -> Budget:
        """How often this process may still be refused."""

    def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        """What to log in with."""


class AsyncSource(Protocol):
    """The same, for who waits without a thread."""

    @property
    def budget(self) -> Budget:
        """How often this process may still be refused."""

    async def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        """What to log in with."""


def log_in(
    source: Source,
    connection: str,
    attempt: Callable[[Credential, Entry], T],
    refused: Callable[[Exception], bool],
) -> T:
    """Log in to a connection. Raises what `attempt` raises, or what asking for the credential raises."""
    first = source.credential(connection)
    budget, error = source.budget, None
    with closing(plan(budget, first)) as steps:
        answer: Credential | Exception | None = None
        while (step := _next(steps, answer)) is not None:
            answer = None
            match step:
                case Try(credential, entry):
                    try:
                        made = attempt(credential, entry)
                    except Exception as said:
                        if not refused(said):
                            raise
                        answer = error = said
                    else:
                        _next(steps, None)
                        return made
                case Refresh(fresh):
                    with contextlib.suppress(KeywrightError):  # what the database said is the better answer
                        answer = source.credential(connection, fresh=fresh)
                case Pause(seconds):
                    time.sleep(seconds)
    raise error or withheld(budget, first)


async def log_in_async(
    source: AsyncSource,
    connection: str,
    attempt: Callable[[Credential, Entry], Awaitable[T]],
    refused: Callable[[Exception], bool],
) -> T:
    """As `log_in`."""
    first = await source.credential(connection)
    budget, error = source.budget, None
    with closing(plan(budget, first)) as steps:
        answer: Credential | Exception | None = None
        while (step := _next(steps, answer)) is not None:
            answer = None
            match step:
                case Try(credential, entry):
                    try:
                        made = await attempt(credential, entry)
                    except Exception as said:
                        if not refused(said):
                            raise
                        answer = error = said
                    else:
                        _next(steps, None)
                        return made
                case Refresh(fresh):
                    with contextlib.suppress(KeywrightError):
                        answer = await source.credential(connection, fresh=fresh)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
    raise error or withheld(budget, first)


def withheld(budget: Budget, credential: Credential) -> Exception:
    """What is raised when nothing was tried: what the database said the last time, with a note why it was not asked."""
    said = budget.last_error(credential)
    if said is None:
        return KeywrightError(f"{credential.connection} offers nothing that may be tried now")
    again = copy.copy(said)
    again.add_note(
        f"Not tried now: the database refused this login before, and would lock it. At most once in {REST:g} s."
    )
    return again


def _next(steps: Plan, answer: Credential | Exception | None) -> Try | Refresh | Pause | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None
