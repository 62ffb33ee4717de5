"""Proxies in front: whose word on where a request comes from is taken, and how it is read.

`X-Forwarded-For` is a list to which each proxy adds whom it heard from, at the end. Everybody can begin one: it is
read from the right, as long as a proxy that is trusted said so. The first address that is no such proxy is the
client's; what stands left of it is what that client says of itself.

    10.0.0.2 is trusted, and connects     X-Forwarded-For: 192.0.2.1, 198.51.100.7, 10.0.0.1     trusted: 10.0.0.0/8
                                                 a claim ┘      client ┘     a proxy ┘
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from service.core.access import networks

UNKNOWN = "unknown"
"""What is no address: no allowlist holds it."""
MOST = 20
"""Entries that are looked at."""
_PORT = re.compile(r"\[(.*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_HEADER = b"x-forwarded-for"


class Proxies:
    """The ones that are trusted, as CIDR blocks. Raises Invalid for what is none."""

    def __init__(self, blocks: Sequence[str] = ()) -> None:
        allowed = networks(tuple(blocks), "KEYWRIGHT_TRUSTED_PROXIES")
        self._blocks = [ipaddress.ip_network(block) for block in allowed]

    def trusts(self, address: str) -> bool:
        """Is this one of them?"""
        if not self._blocks:
            return False
        ip = _address(address)
        return ip is not None and any(ip in block for block in self._blocks)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Where a request comes from that `peer`, which is trusted, passed on; the peer itself, if it names nobody."""
        lines = [value.decode("latin-1") for name, value in headers if name == _HEADER]
        named = [entry.strip() for entry in ",".join(lines).split(",")] if lines else []
        client = peer
        for entry in reversed(named[-MOST:]):
            # Behind % ip_address takes any text for a scope (RFC 4007, 11); from elsewhere it means nothing here.
            ip = _address(_without_port(entry)) if "%" not in entry else None
            if ip is None:
                return UNKNOWN
            client = str(ip)
            if not self.trusts(client):
                return client
        return UNKNOWN if len(named) > MOST else client


def _without_port(entry: str) -> str:
    found = _PORT.fullmatch(entry)
    return (found[1] or found[2]) if found else entry


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
