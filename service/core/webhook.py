"""Webhooks: signals sent to an address, signed as the Standard Webhooks specification says.

    a delivery    waiting → delivered                 the target answered 2xx
                  waiting → waiting                   it did not: again later, each time about twice as late
                  waiting → dead                      a day went by, or the webhook waits for too many already
                  dead or delivered → waiting         replayed: the same id and body, so that the target recognises it

    a webhook     enabled → disabled                  by hand, or the target answered 410 (Gone)

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: the headers, the secret
(`whsec_` and base64 of 24 to 64 random bytes), two signatures while a secret is replaced, 410, the schedule.
At least once, and in no promised order: the same delivery may come again, `webhook-id` tells.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from service.core.errors import Invalid
from service.core.sealed import Randomness
from service.core.secret import Secret
from service.core.signal import Wanted

GONE = 410
LIVES = timedelta(hours=26)
"""From the first attempt on; then it is dead."""
OVERLAPS = timedelta(hours=24)
"""How long a former secret signs as well."""
LONGEST_URL = 2000
TEST = "webhook.test"
"""The kind of a delivery that somebody asked for to see whether it arrives."""
_FIRST = timedelta(seconds=5)
_LONGEST = timedelta(hours=4)


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class Outcome(StrEnum):
    """How the last attempt ended. Of what a target answers callers learn the status, and no more."""

    NONE = ""
    ACCEPTED = "accepted"  # 2xx
    REJECTED = "rejected"  # another status: redirects are not followed
    UNREACHABLE = "unreachable"  # no connection, no TLS, or no answer in time
    FORBIDDEN = "forbidden"  # the name leads into a network that is not open to webhooks
    OVERFULL = "overfull"  # never tried: as many wait for this target as may


@dataclass(frozen=True)
class Answer:
    """What came of an attempt. `status` is None where there was no answer."""

    outcome: Outcome
    status: int | None = None


class Post(Protocol):
    """Sends one delivery. It does not raise: what happened is the answer."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it, within the time for an attempt."""


@dataclass(frozen=True)
class Webhook:
    """What is sent where. `environment` is empty for all of them."""

    id: str
    name: str
    url: str
    environment_id: str
    environment: str
    folder: str
    kinds: tuple[str, ...]
    enabled: bool
    disabled_because: str
    since: int
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    former_until: datetime | None
    """Until then the former secret signs as well."""

    @property
    def wanted(self) -> Wanted:
        """What it listens to."""
        return Wanted(self.environment_id, self.folder, self.kinds)


@dataclass(frozen=True)
class Delivery:
    """One signal on its way to one target."""

    id: str
    webhook_id: str
    seq: int | None
    kind: str
    state: State
    attempts: int
    next_at: datetime
    outcome: Outcome
    status: int | None
    created_at: datetime
    ended_at: datetime | None
    body: str = field(repr=False)


def new_secret(randomness: Randomness) -> Secret:
    """A signing secret, as its owner keeps it."""
    return Secret("whsec_" + base64.b64encode(randomness(32)).decode())


def again_after(attempts: int, share: float) -> timedelta:
    """From the end of an attempt to the next: doubling from seconds to hours; `share`, of 0 to 1, spreads them."""
    wait = min(_FIRST * (1 << min(attempts - 1, 20)), _LONGEST)
    return wait * (0.75 + share / 2)


def target(url: str, *, plain: bool) -> str:
    """The URL, if it is one that a webhook may have. `plain`: http will do. Raises Invalid.

    Whether its name leads where it may is seen at each attempt.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("url is none", field="url") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Invalid(f"url must be ASCII without blanks, {LONGEST_URL} characters at most", field="url")
    if parts.scheme != "https" and not (plain and parts.scheme == "http"):
        raise Invalid("url must begin with https://", field="url")
    if "@" in parts.netloc or not parts.hostname or port == 0 or "#" in url:
        raise Invalid("url must name a host, and neither a user, a password nor a fragment", field="url")
    return url


def reachable(address: str, opened: tuple[str, ...]) -> bool:
    """May a webhook be sent to this address? To public ones, and into the networks (CIDR) that were opened.

    Whatever carries another address in it (mapped, NAT64, 6to4) is judged by both.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = _inside(ip)
    return _open(ip, opened, carries=inner is not None) and (inner is None or _open(inner, opened, carries=False))


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_CARRIERS = tuple(ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "::ffff:0:0/96", "::/96", "2002::/16"))
"""NAT64 (RFC 6052), mapped and compatible IPv4 (RFC 4291, 2.5.5), 6to4 (RFC 3056)."""
_CLOSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
        *("64:ff9b:1::/48", "2001::/23", "3fff::/20", "fec0::/10", "5f00::/16"),
    )
)
"""Shared (RFC 6598), IETF protocols, 6to4 relays, Azure's own services; local NAT64 (RFC 8215), Teredo and its kin,
documentation (RFC 9637), site-local, segment routing (RFC 9602)."""


def _inside(ip: _Ip) -> ipaddress.IPv4Address | None:
    if not isinstance(ip, ipaddress.IPv6Address) or int(ip) < 2 or not any(ip in net for net in _CARRIERS):
        return None
    return ip.sixtofour or ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


def _open(ip: _Ip, opened: tuple[str, ...], *, carries: bool) -> bool:
    if any(ip in ipaddress.ip_network(each) for each in opened) or carries:
        return True
    closed = not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    return not closed and not any(ip in net for net in _CLOSED)
