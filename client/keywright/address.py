"""Addresses that a token may be sent to.

Plain http would show the token to the network: it is for loopback addresses, unless KEYWRIGHT_ALLOW_PLAIN=1.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from keywright.errors import Invalid


def checked_address(text: str, environ: Mapping[str, str]) -> str:
    """`text` without a trailing slash, if a token may be sent there. Raises Invalid."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("the address is not a URL: write it as https://host:port", field="address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Invalid("the address is not a URL: write it as https://host:port", field="address")
    if parts.username is not None or parts.query or parts.fragment:
        raise Invalid("the address holds more than scheme, host, port and path: leave the rest out", field="address")
    if parts.scheme == "http" and not loopback(host) and environ.get("KEYWRIGHT_ALLOW_PLAIN") != "1":
        raise Invalid(
            f"http://{host} would show the token to the network: use https, or set KEYWRIGHT_ALLOW_PLAIN=1",
            field="address",
        )
    return text.rstrip("/")


def loopback(host: str) -> bool:
    """Does `host` name this machine, without asking a name server?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3
