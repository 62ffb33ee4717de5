"""The gate of the SCIM door: which requests are for it, and what is refused before it was asked.

The door itself is imported with the first of them. Its libraries take almost half as long to load as everything else
together, and most servers, and every command, are never asked for it.
"""

import json

from anyio import to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.plain import Headers

MEDIA = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
"""RFC 7644, 3.12."""


class BesideScim:
    """Around the native door: what is behind `/scim/`, whatever it is, is for this one."""

    def __init__(self, app: ASGIApp, *, url: str = "") -> None:
        self._app = app
        self._url = url
        self._door: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        if scope["type"] == "http" and (scope["path"] == "/scim" or scope["path"].startswith("/scim/")):
            if self._door is None:
                self._door = await to_thread.run_sync(self._made)
            await self._door(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _made(self) -> ASGIApp:
        from service.http.scim.door import ScimDoor

        return ScimDoor(self._url)


def bare(status: int, _slug: str, title: str, detail: str, _request_id: str) -> tuple[bytes, Headers]:
    """Body and headers of what is refused before the door was asked, as `problems.bare` has them."""
    body = json.dumps({"schemas": [ERROR], "status": str(status), "detail": f"{title}: {detail}"}).encode()
    length = str(len(body)).encode()
    return body, [(b"content-type", MEDIA.encode()), (b"content-length", length), (b"connection", b"close")]
