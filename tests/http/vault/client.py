"""A client of the Vault door by its bytes: no library that would know better."""

from typing import Any, Self

import httpx2

MERGE = {"Content-Type": "application/merge-patch+json"}


class Vault:
    """Sends one token as `X-Vault-Token`; with none, none."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"X-Vault-Token": token} if token else {}
        self._client = httpx2.Client(base_url=f"{url}/v1", headers=headers, timeout=90, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """One answer."""
        return (
            self._client.request(method, path, json=body, headers=headers)
            if body is not None
            else (self._client.request(method, path, headers=headers))
        )

    def ok(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        """What an answer holds; it must be 200 or 204."""
        answer = self(method, path, body, headers=headers)
        assert answer.status_code in (200, 204), (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def data(self, path: str) -> Any:
        """The data of a read."""
        return self.ok("GET", path)["data"]
