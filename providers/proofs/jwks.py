"""Issuers' public keys (JWKS, RFC 7517), found by OpenID Connect Discovery 1.0, and kept for a while.

    kept for less than KEPT                 as it is
    a key id that is not among them         got again, but not sooner than AGAIN after the last time: keys turn
    older than that, or never got           got

One thread gets the keys of an issuer at a time (see `gate.py`); who needs none that are new does not wait for it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from providers.proofs.asking import ask, trust
from providers.proofs.gate import Gate, Places
from service.core.errors import Invalid, Unavailable
from service.core.proof import Signer, secure

KEPT = 3600.0
AGAIN = 60.0
"""Seconds."""
MOST_ISSUERS = 200
MOST_KEYS = 100

Jwk = dict[str, Any]
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass
class _Held:
    gate: Gate
    keys: list[Jwk] = field(default_factory=list)
    got_at: float | None = None
    tried_at: float | None = None


class IssuerKeys:
    """Keeps them for one process."""

    def __init__(self, places: Places, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str, str], _Held] = OrderedDict()

    def of(self, signer: Signer, kid: str | None) -> list[Jwk]:
        """The keys that may have made a signature which names `kid`, or names none. Raises Unavailable."""
        held = self._place(signer)
        if not self._outdated(held) and (found := _named(held.keys, kid)):
            return found
        with held.gate.passed():
            if self._outdated(held) or (not _named(held.keys, kid) and self._may_get_again(held)):
                held.tried_at = self._clock()
                held.keys = _got(signer)
                held.got_at = self._clock()
            return _named(held.keys, kid)

    def _place(self, signer: Signer) -> _Held:
        key = (signer.issuer, signer.jwks_url, signer.ca)
        with self._lock:
            held = self._held.setdefault(key, _Held(Gate(1, self._places, self._clock)))
            self._held.move_to_end(key)
            while len(self._held) > MOST_ISSUERS:
                self._held.popitem(last=False)
            return held

    def _outdated(self, held: _Held) -> bool:
        return held.got_at is None or self._clock() - held.got_at > KEPT

    def _may_get_again(self, held: _Held) -> bool:
        return held.tried_at is None or self._clock() - held.tried_at >= AGAIN


def _got(signer: Signer) -> list[Jwk]:
    whom, trusting = f"the issuer {signer.issuer}", trust(signer.ca)
    url = signer.jwks_url
    if not url:
        told = ask(signer.issuer.rstrip("/") + _DISCOVERY, whom=whom, trusting=trusting)
        if told.get("issuer") != signer.issuer:
            raise Unavailable(f"{whom} calls itself by another name in its discovery document")
        try:
            url = str(told.get("jwks_uri", ""))
            secure(url, "jwks_uri")
        except Invalid as error:
            raise Unavailable(f"{whom}: {error.message}") from None
        if not url.lower().startswith("https:") and signer.issuer.lower().startswith("https:"):
            raise Unavailable(f"{whom} sends Keywright to this machine itself (jwks_uri): only https:// is followed")
    keys = ask(url, whom=whom, trusting=trusting).get("keys")
    if not isinstance(keys, list):
        raise Unavailable(f"{whom} answers with something that is no set of keys")
    return [key for key in keys if isinstance(key, dict)][:MOST_KEYS]


def _named(keys: list[Jwk], kid: str | None) -> list[Jwk]:
    return [key for key in keys if kid is None or key.get("kid") == kid]
