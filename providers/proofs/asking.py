"""Asking an issuer or a cluster: one request with a limit on everything, and a JSON object for an answer.

    no answer in time, a certificate that does not verify, 5xx, 429    Unavailable: it does not answer
    401, 403                                                           Unavailable: it does not let Keywright ask
    a redirect, any other status, no JSON object, too large            Unavailable: what answers is not what was meant

Redirects are not followed: what was configured is who is trusted. Proxies and `.netrc` of the environment are not used.
"""

import json
import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from service.core.errors import Unavailable

LARGEST = 512 * 1024
"""Bytes of an answer."""
CONNECT, TOTAL = 3.0, 8.0
"""Seconds: for a connection, and for an answer to its end."""


def trust(ca: str = "") -> ssl.SSLContext:
    """Who may vouch for a server: this authority (PEM), or the system's. Raises Unavailable for what is none."""
    try:
        return ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError):
        raise Unavailable("the authority (ca) of an issuer or a cluster is not a certificate in PEM") from None


def ask(
    url: str,
    *,
    whom: str,
    trusting: ssl.SSLContext,
    body: Mapping[str, Any] | None = None,
    bearer: str = "",
) -> dict[str, Any]:
    """GET, or POST where there is a body. `whom` names who is asked, for messages. Raises Unavailable."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    limits = httpx2.Timeout(TOTAL, connect=CONNECT)
    until = time.monotonic() + TOTAL
    try:
        with (
            httpx2.Client(verify=trusting, timeout=limits, trust_env=False, follow_redirects=False) as client,
            client.stream("GET" if body is None else "POST", url, headers=headers, json=body) as answer,
        ):
            if answer.status_code in (401, 403):
                raise Unavailable(f"{whom} does not let Keywright ask it (status {answer.status_code})")
            if answer.status_code >= 500 or answer.status_code == 429:
                raise Unavailable(f"{whom} does not answer now (status {answer.status_code})")
            if answer.status_code not in (200, 201):
                raise Unavailable(f"{whom} answers with status {answer.status_code}, which nothing is known by")
            text = b""
            for piece in answer.iter_bytes():
                text += piece
                if len(text) > LARGEST:
                    raise Unavailable(f"{whom} answers with more than 512 KiB")
                if time.monotonic() > until:
                    raise Unavailable(f"{whom} does not answer in time")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Unavailable(f"{whom} does not answer ({type(error).__name__})") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{whom} answers with something that is not a JSON object")
    return found
