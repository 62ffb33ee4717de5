"""What is answered without the application, to what is not HTTP, too slow or too much: problems like any other."""

from http import HTTPStatus

from service.http import problems
from service.http.envelope import HEADERS
from service.http.plain import Bare

Refusal = tuple[int, str, str, str]
"""Status, slug, title, detail."""
NOT_HTTP: Refusal = (400, "not-http", "Not HTTP", "this is not a request as HTTP/1.1 has it")
SLOW: Refusal = (408, "too-slow", "Too slow", "the request took too long to come")
BODY: Refusal = (413, "too-large", "Too large", "the request is larger than 1 MiB")
HEAD: Refusal = (431, "too-long", "Too long", "the head is larger than 16 KiB, or has more than 100 headers")
DEFECT: Refusal = (500, "internal", "A defect in Keywright", "something failed that should not; see the log")
FULL: Refusal = (503, "unavailable", "Not now", "as many connections are open as this server allows")

COMMON = b"".join(b"%b: %b\r\n" % each for each in HEADERS)
"""What every answer carries, as lines."""
LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
"""Status lines."""


def said(refusal: Refusal, request_id: str, bare: Bare = problems.bare) -> bytes:
    """A refusal as bytes; the connection ends with it."""
    body, headers = bare(*refusal, request_id)
    headers += [*HEADERS, (b"x-request-id", request_id.encode())]
    if refusal[0] in (429, 503):
        headers.append((b"retry-after", b"1"))
    return LINES[refusal[0]] + b"".join(b"%b: %b\r\n" % each for each in headers) + b"\r\n" + body
