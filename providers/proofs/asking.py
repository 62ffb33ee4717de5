"""Asking an issuer, a cluster or an identity provider: one request with a limit on everything, and a JSON object.

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
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    status, text = _answered(url, whom, trusting, headers, body=body)
    if status in (401, 403):
        raise Unavailable(f"{whom} does not let Keywright ask it (status {status})")
    if status not in (200, 201):
        raise _strange(whom, status)
    return _object(whom, text)


def exchange(
    url: str, *, whom: str, trusting: ssl.SSLContext, form: Mapping[str, str], authorization: str = ""
) -> tuple[bool, dict[str, Any]]:
    """POST a form to an endpoint of OAuth 2.0, and was it granted? If not, `error` says why (RFC 6749, 5.2).

    Raises Unavailable.
    """
    headers = {"Authorization": authorization} if authorization else {}
    status, text = _answered(url, whom, trusting, headers, form=form)
    if status not in (200, 400, 401):
        raise _strange(whom, status)
    return status == 200, _object(whom, text)


def _answered(
    url: str,
    whom: str,
    trusting: ssl.SSLContext,
    headers: Mapping[str, str],
    *,
    body: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    limits = httpx2.Timeout(TOTAL, connect=CONNECT)
    until = time.monotonic() + TOTAL
    method = "GET" if body is None and form is None else "POST"
    shown = {"Accept": "application/json"} | dict(headers)
    try:
        with (
            httpx2.Client(verify=trusting, timeout=limits, trust_env=False, follow_redirects=False) as client,
            client.stream(method, url, headers=shown, json=body, data=form) as answer,
        ):
            if answer.status_code >= 500 or answer.status_code == 429:
                raise Unavailable(f"{whom} does not answer now (status {answer.status_code})")
            text = b""
            for piece in answer.iter_bytes():
                text += piece
                if len(text) > LARGEST:
                    raise Unavailable(f"{whom} answers with more than 512 KiB")
                if time.monotonic() > until:
                    raise Unavailable(f"{whom} does not answer in time")
            return answer.status_code, text
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Unavailable(f"{whom} does not answer ({type(error).__name__})") from None


def _strange(whom: str, status: int) -> Unavailable:
    return Unavailable(f"{whom} answers with status {status}, which nothing is known by")


def _object(whom: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{whom} answers with something that is not a JSON object")
    return found
