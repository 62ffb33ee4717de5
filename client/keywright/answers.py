"""What the native door answers, whoever asked: replies, or typed errors by the problem's slug (RFC 9457) or the status.

Texts say what, where and what to do. They never quote an answer, a header or a token.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from keywright import errors
from keywright.printable import printable

_PROBLEM = "urn:keywright:problem:"
_BY_SLUG: Mapping[str, type[errors.KeywrightError]] = {
    "invalid": errors.Invalid,
    "too-large": errors.TooLarge,
    "unauthenticated": errors.Unauthenticated,
    "forbidden": errors.Forbidden,
    "factor-needed": errors.FactorNeeded,
    "absent": errors.Absent,
    "conflict": errors.Conflict,
    "outdated": errors.Outdated,
    "store-absent": errors.StoreFailed,
    "store-refused": errors.StoreFailed,
    "store-malformed": errors.StoreFailed,
    "store-unreachable": errors.StoreFailed,
    "unavailable": errors.Unavailable,
}
# Only the statuses that mean the same whoever sent them: a 404 without a slug is not "absent" but a wrong address.
_BY_STATUS: Mapping[int, type[errors.KeywrightError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    413: errors.TooLarge,
    429: errors.Unavailable,
}


@dataclass(frozen=True)
class Reply:
    """An answer. `at` is the server's time in seconds since 1970; `etag` names what was answered."""

    status: int
    body: Any = field(repr=False)
    etag: str | None
    at: float


@contextmanager
def failures(address: str, timeout: float) -> Iterator[None]:
    """What goes wrong in here on the way to `address`, told as this package's errors."""
    try:
        yield
    except httpx2.TimeoutException:
        raise errors.Unreachable(
            f"{address} did not answer within {timeout:g} seconds: is it running, can it be reached?"
        ) from None
    except httpx2.ConnectError as error:
        raise errors.Unreachable(
            f"{address} cannot be reached ({printable(str(error))}): is it running, is the address right?"
        ) from None
    except httpx2.TransportError as error:
        # Their texts may quote headers, so only the kind is told.
        raise errors.Unreachable(f"the connection to {address} broke ({type(error).__name__}): try again") from None
    except (httpx2.DecodingError, httpx2.InvalidURL):
        raise unexpected(address, "something unreadable") from None


def reply(address: str, response: httpx2.Response) -> Reply:
    """The answer. Raises every error of `errors` but Unreachable."""
    status = response.status_code
    if status == 304 or status == 204:
        return Reply(status, None, response.headers.get("ETag"), _served_at(response))
    if response.is_redirect or 300 <= status < 400:
        raise unexpected(address, f"a redirect (status {status}), which is never followed", status)
    try:
        body = response.json()
    except (ValueError, RecursionError):  # its own text would quote the answer
        if response.is_success:
            raise unexpected(address, "something that is not JSON", status) from None
        body = None
    if not response.is_success:
        raise _problem(address, response, body)
    return Reply(status, body, response.headers.get("ETag"), _served_at(response))


def unexpected(address: str, what: str, status: int | None = None) -> errors.Unexpected:
    """What answered does not speak as Keywright."""
    return errors.Unexpected(f"{address} answered with {what}: is this Keywright's address?", status=status)


def _problem(address: str, response: httpx2.Response, body: object) -> errors.KeywrightError:
    status = response.status_code
    told: Mapping[str, Any] = body if isinstance(body, dict) else {}
    slug = str(told.get("type") or "").removeprefix(_PROBLEM)
    kind = _BY_SLUG.get(slug) or _BY_STATUS.get(status)
    if kind is None and status >= 500:
        kind = errors.Unavailable
    if kind is None:
        return unexpected(address, f"status {status} without saying why", status)
    text = told.get("detail") or told.get("title") or f"status {status}"
    return kind(
        printable(str(text)),
        status=status,
        slug=printable(slug) or None,
        field=printable(str(told["field"])) if told.get("field") else None,
        request_id=printable(str(told["request_id"])) if told.get("request_id") else None,
        retry_after=_retry_after(response),
    )


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds (RFC 9110, 10.2.3). Keywright never answers with a date, so one is passed over."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _served_at(response: httpx2.Response) -> float:
    """The server's clock (RFC 9110, 6.6.1), so that `good_until` does not depend on ours being right."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return time.time()
