"""The ceiling: `keywrightd serve` with a constant in place of the application.

`python -m bench.constant FILE` serves as its settings say and gives every request the answer in FILE: the headers and
the body that a real fetch had. Nothing is authenticated, looked up or recorded.
"""

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from service import serving
from service.settings import read


def constant(headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """An ASGI application that always says the same."""
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    rest = {"type": "http.response.body", "body": body}

    async def application(_: Any, __: Any, send: Any) -> None:
        await send(start)
        await send(rest)

    return application


def main() -> None:
    """Serve until SIGTERM."""
    answer = json.loads(Path(sys.argv[1]).read_text())
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    made = constant(headers, answer["body"].encode())
    with patch.multiple(serving, application=lambda *_, **__: made, Lane=lambda _: None):
        serving.serve(read())


if __name__ == "__main__":
    main()
