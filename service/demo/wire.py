"""Calls over REST with one token, as any client makes them."""

from typing import Any

import httpx2

from service.core.errors import KeywrightError
from service.core.secret import Secret

ANSWERS_WITHIN = 15.0
"""Seconds, besides those that a call asked to wait."""


class CallFailed(KeywrightError):
    """A call was refused, or not answered. The message never holds what was sent."""


class Wire:
    """Calls to one Keywright. Safe to share between threads; `close` it."""

    def __init__(self, address: str, token: Secret) -> None:
        self._client = httpx2.Client(
            base_url=f"{address}/api/v1",
            headers={"Authorization": f"Bearer {token.reveal()}"},
            timeout=ANSWERS_WITHIN,
            trust_env=False,  # a proxy would not find the loopback
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Raises CallFailed."""
        return self._json(self._send("GET", path, params=query))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises CallFailed."""
        return self._json(self._send("POST", path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises CallFailed."""
        return self._json(self._send("PUT", path, json=body))

    def unless(self, tag: str, path: str, wait: float = 0) -> tuple[dict[str, Any] | None, str]:
        """What is at `path` and its ETag; None beside it if after `wait` seconds it still is what `tag` names."""
        headers = {"If-None-Match": tag} if tag else {}
        query = {"wait": wait} if wait else {}
        answer = self._send("GET", path, headers=headers, params=query, timeout=ANSWERS_WITHIN + wait)
        found = None if answer.status_code == httpx2.codes.NOT_MODIFIED else self._json(answer)
        return found, answer.headers.get("ETag", tag)

    def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise CallFailed(f"{method} {path}: {type(error).__name__}") from None
        if answer.is_error:
            detail = answer.json().get("detail", "") if "json" in answer.headers.get("Content-Type", "") else ""
            raise CallFailed(f"{method} {path}: {answer.status_code} {detail}")
        return answer

    @staticmethod
    def _json(answer: httpx2.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        return body
