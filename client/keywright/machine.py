"""Machines sign in by what they are given where they run, and get a token that lives for a while.

    Kubernetes   KEYWRIGHT_MACHINE, and the service account's token in a file (KEYWRIGHT_KUBERNETES_TOKEN_FILE)
                 POST /login/kubernetes {"machine", "jwt"}
    AppRole      KEYWRIGHT_ROLE_ID, and KEYWRIGHT_SECRET_ID or KEYWRIGHT_SECRET_ID_FILE
                 POST /login/approle {"role_id", "secret_id"}

Either is answered {"token", "token_id", "machine", "expires_at", "renewable_until"}, with moments in RFC 3339. So is
POST /me/renewals {}, but for the token.

    two thirds of its life over   renewed, which uses up no secret id; where that gives it less than half of its former
                                  life, signed in anew; while both fail, it is used until it expires
    refused (401)                 signed in anew, once for each request
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from keywright.certificate import Certificate
from keywright.credential import moment
from keywright.door import Door, Reply
from keywright.errors import KeywrightError, Unauthenticated, Unexpected
from keywright.forks import OfProcess

KUBERNETES_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes puts a pod's service-account token, and renews it."""
PAUSE = 5.0
"""Seconds, at least, between two attempts to sign in anew while the former token still lives."""


@dataclass(frozen=True)
class Proof:
    """How a machine shows who it is: what is sent, read anew each time, and where to."""

    path: str
    body: Callable[[], Mapping[str, str]] = field(repr=False)


def kubernetes(machine: str, file: str) -> Proof:
    """A pod that runs as a service account."""
    return Proof("/login/kubernetes", lambda: {"machine": machine, "jwt": content(file)})


def approle(role_id: str, secret_id: Callable[[], str]) -> Proof:
    """A role's id with a secret id."""
    return Proof("/login/approle", lambda: {"role_id": role_id, "secret_id": secret_id()})


def content(file: str) -> str:
    """What a file holds, without surrounding white space. Raises Unauthenticated, quoting nothing."""
    try:
        text = Path(file).read_text("ascii").strip()
    except OSError as error:
        raise Unauthenticated(f"the file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise Unauthenticated(f"the file {file} holds nothing to sign in with")
    return text


@dataclass(frozen=True)
class Lease:
    """A token and how long it lives, by this process's monotonic clock."""

    token: str = field(repr=False)
    begun: float
    life: float

    def due(self, now: float) -> bool:
        """Is it time for another one?"""
        return now >= self.begun + self.life * 2 / 3

    def over(self, now: float) -> bool:
        """Is it worth nothing any more?"""
        return now >= self.begun + self.life


@dataclass
class _Held:
    lock: threading.Lock = field(default_factory=threading.Lock)
    lease: Lease | None = None
    not_before: float = 0.0


class MachineLogin:
    """A source of tokens (`bearer.Renewing`). Safe to share between threads and across a fork."""

    def __init__(
        self,
        address: str,
        proof: Proof,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` in seconds, `ca` and `certificate` as of a `Door`; `now` in seconds."""
        self._proof = proof
        self._now = now
        self._door = partial(Door, address, timeout=timeout, ca=ca, certificate=certificate)
        self._held = OfProcess(_Held)

    def __call__(self) -> str:
        """The token, after signing in if need be. Raises every error of `errors`."""
        held = self._held.get()
        with held.lock:
            now = self._now()
            lease = held.lease
            if lease is not None and (not lease.due(now) or (now < held.not_before and not lease.over(now))):
                return lease.token
            try:
                held.lease = lease = (lease and self._renewed(lease)) or self._signed_in()
            except KeywrightError:
                if lease is None or lease.over(self._now()):
                    raise
                held.not_before = self._now() + PAUSE
            return lease.token

    def refused(self, token: str) -> bool:
        """Forget a token that the server does not take; what took its place meanwhile stays."""
        held = self._held.get()
        with held.lock:
            if held.lease is not None and held.lease.token == token:
                held.lease = None
        return True

    def _signed_in(self) -> Lease:
        asked = self._now()
        with self._door(None) as door:  # a connection of its own: the next login is a long time away
            return _lease(door.post(self._proof.path, self._proof.body()), asked)

    def _renewed(self, former: Lease) -> Lease | None:
        asked = self._now()
        if former.over(asked):
            return None
        try:
            with self._door(lambda: former.token) as door:
                renewed = _lease(door.post("/me/renewals", {}), asked, former.token)
        except KeywrightError:  # whatever it is, a login tells it better
            return None
        return renewed if renewed.life >= former.life / 2 else None


def _lease(reply: Reply, asked: float, token: str = "") -> Lease:
    """What was answered; a life is counted from when it was asked for. Raises Unexpected, quoting nothing."""
    body: Any = reply.body
    try:
        token, expires = token or str(body["token"]), moment(body["expires_at"])
        if expires is None or not token:
            raise ValueError("no end")
    except (KeyError, TypeError, ValueError, AttributeError):  # their texts could quote the token
        raise Unexpected("the server's answer to a login has not the form that this client knows") from None
    return Lease(token, asked, (expires - datetime.fromtimestamp(reply.at, UTC)).total_seconds())
