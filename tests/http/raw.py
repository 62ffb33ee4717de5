"""Requests as bytes: what no client library would send."""

import contextlib
import socket
from urllib.parse import urlsplit


def sent(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of what is answered to these bytes; the connection is closed then."""
    place = urlsplit(url)
    assert place.hostname
    assert place.port
    with socket.create_connection((place.hostname, place.port), timeout=10) as way:
        way.settimeout(10)
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # refused while it was sent: the answer is there
            way.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer) < whole(answer):
            try:
                more = way.recv(65536)
            except ConnectionResetError:
                break
            if not more:
                break
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def whole(answer: bytes) -> int:
    """How long an answer is as a whole, by its head."""
    head, _, _ = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(head) + 4 + int(value)
    return len(head) + 4


def request(method: str, path: str | bytes, token: str, body: bytes = b"", *headers: str) -> bytes:
    """A request with a token and, if there is one, a JSON body."""
    lines = [f"Host: x\r\nAuthorization: Bearer {token}\r\n", *(f"{line}\r\n" for line in headers)]
    if body and not any(line.lower().startswith("transfer-encoding") for line in headers):
        lines.append(f"Content-Length: {len(body)}\r\n")
    if body and not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json\r\n")
    target = path if isinstance(path, bytes) else path.encode("latin-1")
    return method.encode() + b" " + target + b" HTTP/1.1\r\n" + "".join(lines).encode("latin-1") + b"\r\n" + body
