"""The ceiling: Keywright's serving code with a constant behind it instead of an application.

`python -m bench.constant FILE` listens as KEYWRIGHT_LISTEN says and gives every request the answer in FILE: the
headers and the body that a real fetch had. Nothing is authenticated, looked up or recorded.
"""

import json
import sys
from pathlib import Path
from typing import Any

from service.serving import server_of
from service.settings import read
from service.wiring import build


def constant(headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """An ASGI application that always says the same."""
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    rest = {"type": "http.response.body", "body": body}

    async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
        await send(start)
        await send(rest)

    return application


def main() -> None:
    """Serve until SIGTERM."""
    answer = json.loads(Path(sys.argv[1]).read_text())
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    settings = read()
    service = build(settings)
    server = server_of(service, *settings.host_and_port)
    server.app = constant(headers, answer["body"].encode())
    try:
        server.run()
    finally:
        service.close()


if __name__ == "__main__":
    main()
