"""Whom the client trusts, and which certificate it shows: what TLS needs to know of a server."""

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx2

from keywright import errors
from keywright.address import loopback
from keywright.certificate import Certificate, Showing
from keywright.size import HEADERS


class Trust:
    """For one address. Raises Invalid when one of the files cannot be used."""

    def __init__(self, address: str, ca: str | None, certificate: Certificate | None) -> None:
        """`ca` is a PEM file, trusted alone; `certificate` is shown to the server."""
        self._address = address
        self._ca = ca
        self._showing = Showing(certificate) if certificate else None
        self._verify = _authorities(address, ca)
        self.turned()

    def turned(self) -> bool:
        """Show what the certificate's files hold now; True if it is another one. Raises Invalid."""
        if self._showing is None:
            return False
        context = self._showing.renewed(lambda: _context(_authorities(self._address, self._ca)))
        if context is not None:
            self._verify = context
        return context is not None

    def settings(self) -> dict[str, Any]:
        """How an HTTP client is to be made for this address."""
        parts = urlsplit(self._address)
        return {
            "headers": {"Accept": "application/json", "User-Agent": "keywright", **HEADERS},
            "verify": self._verify,
            "follow_redirects": False,
            "trust_env": parts.scheme == "https" and not loopback(parts.hostname or ""),
            # Shorter than servers keep idle connections, so that few requests meet a closed one.
            "limits": httpx2.Limits(max_connections=20, keepalive_expiry=3.0),
        }


def _context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    return verify if isinstance(verify, ssl.SSLContext) else httpx2.create_ssl_context()


def _authorities(address: str, ca: str | None) -> ssl.SSLContext | bool:
    if ca is None:
        # For plain http nobody is trusted: loading the usual authorities takes longer than asking.
        return True if address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise errors.Invalid(
            f"the CA file {ca} cannot be used ({error.strerror or 'not PEM'}): it must hold PEM certificates",
            field="ca",
        ) from None
