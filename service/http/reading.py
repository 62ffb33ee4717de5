"""Requests as they are read from the wire (RFC 9112): llhttp (httptools) reads, and this makes exchanges of it.

What could be read in two ways is refused: a Content-Length beside a Transfer-Encoding, codings other than
`chunked`, none or several Hosts, line ends that are not CRLF.

LIST, a method that clients of Vault use, is not among those that llhttp knows: where a request begins with it, it reads
another one of the same length. So it is understood only where it comes in one piece and behind no other request that is
not answered yet; whoever cannot do with that may say `GET …?list=true`.
"""

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
import structlog
from starlette.types import Scope

from service.http.exchange import Exchange
from service.http.lane import Fetch
from service.http.plain import Headers
from service.http.refusals import BODY, HEAD, NOT_HTTP, Refusal

if TYPE_CHECKING:
    from service.http.listener import Listener

log = structlog.get_logger("http")

LARGEST_HEAD = 16 * 1024
"""Bytes of request line and headers."""
MOST_HEADERS = 100
"""Each takes much more memory than its bytes on the wire."""
_LIST, _AS_LIST = b"LIST ", b"LINK "
LARGEST_REQUEST = 1024 * 1024
"""Bytes of one request as it comes: the envelope allows bodies of 256 KiB, and chunks have heads of their own."""
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class _Refused(Exception):
    """Out of a callback of the parser."""


class Reading(asyncio.Protocol):
    """The half of a connection that listens."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self.began = self._listener.now
        """When the present silence, head or body began; in seconds of the listener's clock."""
        self.current: Exchange | Fetch | None = None
        """What is answered."""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._reading: Exchange | Fetch | None = None
        """Whose body is coming."""
        self._refusal: Refusal | None = None
        self._deaf = False
        """Nothing of what comes is read any more."""
        self._mute = False
        """Nothing comes any more."""
        self._size = 0
        """Bytes of the present request, about."""
        self._lists = False
        """Is its method LIST?"""
        self._chunk = 0
        self._begun = 0
        """Requests that began on this connection."""
        self._client: tuple[str, int] | None = None
        self._server: tuple[str, int] | None = None
        self._scheme = "http"
        self._extensions: dict[str, object] = {}

    @abstractmethod
    def _asked(self, method: str, version: str, keep: bool) -> Exchange | Fetch:
        """The head of a request is there: its exchange."""

    @abstractmethod
    def _client_of(self, headers: Headers) -> tuple[str, int] | None:
        """Where a request with this head comes from."""

    @abstractmethod
    def _refuse(self, refusal: Refusal) -> None:
        """What comes cannot be read any more: say so, after the answers to what could be."""

    @abstractmethod
    def _last(self) -> None:
        """Nothing of what comes from now on is read; what came is answered."""

    @abstractmethod
    def _pause(self) -> None:
        """Let the client wait."""

    @abstractmethod
    def leave(self) -> None:
        """Answer what is being answered, and close; who waits for a change is answered now."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._deaf:
            return
        self._chunk = len(data)
        if self._size == 0:
            self.began = self._listener.now
            self._lists = data.startswith(_LIST)
            if self._lists:
                data = _AS_LIST + data[len(_LIST) :]
        self._size += self._chunk
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last()  # nothing else is spoken here; the request itself is answered (RFC 9110, 7.8)
        except httptools.HttpParserCallbackError as error:
            if self._refusal is None:
                cause = error.__context__
                log.error("a defect", error=type(cause).__name__, where="reading a request")
            self._refuse(self._refusal or NOT_HTTP)
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)
        else:
            if self._size > LARGEST_HEAD and self._reading is None:
                self._refuse(HEAD)
            elif self._size > LARGEST_REQUEST:
                self._refuse(BODY)

    def eof_received(self) -> bool:
        """The client says nothing more: it gets the answer to what it said, and the connection ends (RFC 9112, 9.6).

        Perhaps it is gone: this is all that is heard of it then, too. So what it waits for is answered with what is
        known, and what takes long is given up (see `late`). Over TLS the loop ends the connection by itself.
        """
        if self._scheme == "https":
            return False
        self._mute = True
        if self.current is not None and self._reading is None:
            self.began = self._listener.now
            self.leave()
        elif self._size and not self._deaf:
            self._refuse(NOT_HTTP)  # it broke off
        return self.current is not None

    def on_message_begin(self) -> None:
        """A request begins; it may be in the middle of a piece."""
        self._begun += 1
        self._size = self._size or self._chunk
        self._url = b""
        self._hosts = 0
        self._expects = False
        self._headers: Headers = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped (RFC 9110, 6.5.1)."""
        if self._reading is not None:
            return
        name = name.lower()
        if value[-1:] in b" \t":
            value = value.rstrip(b" \t")
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            self._stop(NOT_HTTP)
        if len(self._headers) == MOST_HEADERS:
            self._stop(HEAD)
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: an exchange begins, or waits for the one before it."""
        if self._size > LARGEST_HEAD:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > LARGEST_HEAD:
                self._stop(HEAD)
        version = self._parser.get_http_version()
        if version != "1.1" and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in self._headers)):
            self._stop(NOT_HTTP)
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            self._stop(NOT_HTTP)  # RFC 9112, 3.2
        self.began = self._listener.now
        keep = version == "1.1" and self._parser.should_keep_alive()
        self._reading = self._asked("LIST" if self._lists else self._parser.get_method().decode("ascii"), version, keep)
        self._lists = False
        self._url, self._headers = b"", []  # the exchange has them as long as it lasts; a silent connection need not

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._reading is not None and self._reading.hear(body):
            self._pause()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._reading is not None:
            self._reading.heard()
            self._reading = None
        self._size = 0

    def _scope(self, method: str, target: bytes, headers: Headers, version: str) -> Scope:
        if not target.startswith(b"/"):
            target = _origin(target)
            if not target:
                self._stop(NOT_HTTP)
        raw, _, query = target.partition(b"?")
        path = raw.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method,
            "scheme": self._scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": self._client_of(headers),
            "server": self._server,
            "state": {},
            "extensions": self._extensions,
        }

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _Refused


def _origin(target: bytes) -> bytes:
    """The path of an absolute target (RFC 9112, 3.2.2), `*`, or nothing for what we do not serve."""
    scheme, mark, rest = target.partition(b"://")
    if mark and scheme.lower() in (b"http", b"https"):
        _, slash, path = rest.partition(b"/")
        return b"/" + path if slash else b"/"
    return target if target == b"*" else b""
