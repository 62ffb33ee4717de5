"""Errors at the Vault door: `{"errors": ["…"]}`, with the statuses that its clients know.

    Unauthenticated       403  permission denied                   Invalid, Conflict     400
    Forbidden             403  permission denied: why              Outdated              400  check-and-set
    Absent                404  nothing, as Vault says it           TooLarge              413
    Unsupported           405  there is the path, not this on it   WrongType             415
    NoRoute               404  there is no such path               what failed outside   502, 503, 504

What may not be seen is 404, as everywhere in Keywright; Vault answers 403 there.
"""

import json
from dataclasses import dataclass

from service.core import errors
from service.core.errors import KeywrightError
from service.http import problems
from service.http.plain import Headers
from service.http.problems import Rendered, WrongType


class Refused(KeywrightError):
    """Refused in words that Vault has for it, which its clients may look for.

    What is `strange` counts as a request by somebody who is not known.
    """

    def __init__(self, status: int, message: str, *, strange: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.strange = strange


class NoRoute(KeywrightError):
    """There is nothing under this path."""


class Unsupported(KeywrightError):
    """There is something under this path, but this is not what can be done with it."""

    def __init__(self) -> None:
        super().__init__(_listed("unsupported operation"))


MISMATCH = "check-and-set parameter did not match the current version"


@dataclass(frozen=True)
class _Said:
    status: int
    lines: tuple[str, ...]


def unsupported_path() -> NoRoute:
    """As Vault says it of a path within a mount."""
    return NoRoute(_listed("unsupported path"))


def _listed(message: str) -> str:
    return f"1 error occurred:\n\t* {message}\n\n"


def _said(error: KeywrightError) -> _Said:
    match error:
        case Refused():
            return _Said(error.status, (error.message,))
        case errors.Unauthenticated():
            return _Said(403, ("permission denied",))
        case errors.Forbidden():
            return _Said(403, (f"permission denied: {error.message}",))
        case errors.Absent():
            return _Said(404, ())
        case NoRoute():
            return _Said(404, (error.message,))
        case Unsupported():
            return _Said(405, (error.message,))
        case errors.Outdated():
            return _Said(400, (MISMATCH,))
        case errors.Invalid() | errors.Conflict():
            return _Said(400, (error.message,))
        case WrongType():
            return _Said(415, (error.message,))
    status, _, _ = problems.looked_up(error)
    return _Said(502 if status == 424 else status, (error.message,))


def refusal(error: KeywrightError, path: str, _request_id: str) -> Rendered:
    """An error of ours as it is answered; noted in the log where it is no fault of the request."""
    said = _said(error)
    problems.note(error, said.status, path)
    headers: Headers = [(b"content-type", b"application/json")]
    if said.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    elif said.status == 503:
        headers.append((b"retry-after", b"1"))
    return said.status, text(*said.lines), headers


def bare(_status: int, _slug: str, title: str, detail: str, _request_id: str) -> tuple[bytes, Headers]:
    """Body and headers of what is refused before the door was asked, as `problems.bare` has them."""
    body = text(f"{title}: {detail}")
    length = str(len(body)).encode()
    return body, [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]


def text(*lines: str) -> bytes:
    """The body."""
    return json.dumps({"errors": lines}, ensure_ascii=False, separators=(",", ":")).encode()
