"""Plain requests, as a door reads them for the fast lane, and the dialect that the door answers them in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.core.errors import KeywrightError
from service.http.problems import Rendered
from service.keeper.asked import Known

Headers = list[tuple[bytes, bytes]]
REFUSED = "refused"
"""Where a request's state has what its fetch was refused with in the lane, which left the answer to its route."""
Bare = Callable[[int, str, str, str, str], tuple[bytes, Headers]]
"""Body and headers of a refusal, of its status, slug, title, detail and request id."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a door says what a fetch came to. Each is given the request's id."""

    value: Callable[[Any, str], bytes]
    credential: Callable[[Any, str], bytes]
    refusal: Callable[[KeywrightError, str, str], Rendered]
    bare: Bare
    tags: bool
    """Do its answers carry an `ETag`?"""
    instead: tuple[type[KeywrightError], ...] = ()
    """What only its routes know how to answer."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain request as it was read. `value` is False for a credential; `secret` is the hash of the token's."""

    target: bytes
    headers: Headers = field(repr=False)
    dialect: Dialect
    value: bool
    where: str
    what: str
    token_id: str
    secret: bytes
    token: bytes = field(repr=False)
    known: Known
    wait: int = 0
    """Seconds."""


Reader = Callable[[bytes, Headers], Plain | None]
"""Reads the target and the headers of a request without a body, by its method GET; None for what is not plain."""
