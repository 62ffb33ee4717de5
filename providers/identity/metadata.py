"""What OpenID providers say of themselves (OpenID Connect Discovery 1.0; RFC 8414), got and kept for a while.

    kept for less than KEPT     as it is
    older, or never got         got; one thread at a time asks for it (see `providers/proofs/gate.py`)

For everything else a provider is asked by AT_ONCE threads at the most: who needs another one does not wait for it.

What names itself otherwise than it was configured is not that provider. Where it sends us, and where it has browsers
sent, must be https: only one that is on this machine itself may send elsewhere on it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from providers.proofs.asking import ask, trust
from providers.proofs.gate import Gate, Places
from service.core.errors import Unavailable
from service.core.openid import OpenId

KEPT = 3600.0
"""Seconds."""
MOST = 100
"""Providers that are kept."""
LONGEST = 500
AT_ONCE = 8
"""Sign-ins that ask one provider at once; more wait, or are told at once that it does not answer."""
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Metadata:
    """Of one provider. What it does not have is empty."""

    authorization: str
    token: str
    jwks: str
    userinfo: str
    end_session: str
    names_itself: bool
    """Does it promise to say who it is, beside each code (RFC 9207)?"""
    secrets: tuple[str, ...]
    """How it has clients show their secrets."""
    said: Mapping[str, Any]
    """All of it."""

    def listed(self, name: str) -> tuple[str, ...] | None:
        """A list of texts, if it says one."""
        found = self.said.get(name)
        return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else None


@dataclass
class _Held:
    gate: Gate
    asking: Gate
    metadata: Metadata | None = None
    got_at: float = 0.0


class Documents:
    """Keeps them for one process."""

    def __init__(self, places: Places, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()

    def of(self, it: OpenId) -> Metadata:
        """What it says. Raises Unavailable."""
        held = self._place(it)
        if (found := self._fresh(held)) is not None:
            return found
        with held.gate.passed():
            if (found := self._fresh(held)) is None:
                found = held.metadata = got(it)
                held.got_at = self._clock()
            return found

    def asking(self, it: OpenId) -> AbstractContextManager[None]:
        """Ask it for something else within. Raises Unavailable, as who asks does: then the others hear of it."""
        return self._place(it).asking.passed()

    def _fresh(self, held: _Held) -> Metadata | None:
        return held.metadata if self._clock() - held.got_at <= KEPT else None

    def _place(self, it: OpenId) -> _Held:
        key = (it.issuer, it.ca)
        with self._lock:
            if (held := self._held.get(key)) is None:
                one, several = (Gate(most, self._places, self._clock) for most in (1, AT_ONCE))
                held = self._held[key] = _Held(one, several)
            self._held.move_to_end(key)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
            return held


def got(it: OpenId) -> Metadata:
    """What it says now. Raises Unavailable."""
    whom = named(it)
    said = ask(it.issuer.rstrip("/") + _DISCOVERY, whom=whom, trusting=trust(it.ca))
    if said.get("issuer") != it.issuer:
        raise Unavailable(f"{whom} calls itself by another name in its discovery document")
    secrets = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        _endpoint(it, said, "authorization_endpoint"),
        _endpoint(it, said, "token_endpoint"),
        _endpoint(it, said, "jwks_uri"),
        _endpoint(it, said, "userinfo_endpoint", needed=False),
        _endpoint(it, said, "end_session_endpoint", needed=False),
        said.get("authorization_response_iss_parameter_supported") is True,
        tuple(each for each in secrets if isinstance(each, str)) if isinstance(secrets, list) else (),
        said,
    )


def named(it: OpenId) -> str:
    """It, for messages."""
    return f"the identity provider {it.issuer}"


def _endpoint(it: OpenId, said: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    url = said.get(name)
    if url is None and not needed:
        return ""
    try:
        parts = urlsplit(url if isinstance(url, str) and len(url) <= LONGEST and url.isprintable() else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    own = urlsplit(it.issuer)
    near = own.scheme == "http" and parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    if not host or not (parts.scheme == "https" or near) or "@" in parts.netloc or parts.fragment:
        raise Unavailable(f"{named(it)} says no {name} that could be used: it must be an https:// address")
    return str(url)
