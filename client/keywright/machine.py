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
    the login itself refused      a pause that grows, in which the same proof is not shown again

A secret id may be good for one login only. So whoever shows the same proof to the same server shares one login in a
process (`shared`), and a fork takes its token along.
"""

import copy
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
from keywright.retrying import Pace, passing

KUBERNETES_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes puts a pod's service-account token, and renews it."""
PAUSE = 5.0
"""Seconds, about, after the first attempt to sign in that failed; twice as many after each further one."""
LONGEST = 60.0
_PACE = Pace(PAUSE, LONGEST)
MOST = 64
"""Logins that a process shares; the oldest gives way."""


@dataclass(frozen=True)
class Proof:
    """How a machine shows who it is: what is sent, read anew each time, and where to."""

    path: str
    body: Callable[[], Mapping[str, str]] = field(repr=False, compare=False)
    who: tuple[str, ...] = field(default=(), repr=False)
    """Equal for what is shown for the same caller by the same secret, or out of the same file."""


def kubernetes(machine: str, file: str) -> Proof:
    """A pod that runs as a service account."""
    return Proof("/login/kubernetes", lambda: {"machine": machine, "jwt": content(file)}, (machine, file))


def approle(role_id: str, secret_id: str | None, file: str = "") -> Proof:
    """A role's id with a secret id, given or in a file."""
    who = (role_id, secret_id or "", file)
    return Proof("/login/approle", lambda: {"role_id": role_id, "secret_id": secret_id or content(file)}, who)


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


@dataclass(frozen=True)
class _Rest:
    """After attempts that failed: until when, and what was said. `body` is what is not shown again meanwhile."""

    failures: int
    until: float
    error: KeywrightError
    body: Mapping[str, str] | None = field(repr=False)


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
        self._lock = OfProcess(threading.Lock)
        # Read without the lock, and taken along by a fork: the child uses the same token.
        self._lease: Lease | None = None
        self._rest: _Rest | None = None

    def __call__(self) -> str:
        """The token, after signing in if need be. Raises every error of `errors`."""
        lease = self._lease
        if lease is not None and not lease.due(self._now()):
            return lease.token
        with self._lock.get():
            now, lease, rest = self._now(), self._lease, self._rest
            resting = rest is not None and now < rest.until
            if lease is not None and (not lease.due(now) or (resting and not lease.over(now))):
                return lease.token
            body: Mapping[str, str] | None = None
            try:
                if (renewed := lease and self._renewed(lease)) is None:
                    body = self._proof.body()
                    if rest is not None and resting and body == rest.body:
                        raise copy.copy(rest.error)
                    renewed = self._signed_in(body)
            except KeywrightError as error:
                self._failed(error, body)
                if lease is None or lease.over(self._now()):
                    raise
                return lease.token
            self._lease, self._rest = renewed, None
            return renewed.token

    def refused(self, token: str) -> bool:
        """Forget a token that the server does not take; what took its place meanwhile stays."""
        with self._lock.get():
            if self._lease is not None and self._lease.token == token:
                self._lease = None
        return True

    def _failed(self, error: KeywrightError, body: Mapping[str, str] | None) -> None:
        """Rest; after an outage with no token at all, whoever asks decides when that is done again."""
        rest, now = self._rest, self._now()
        if rest is not None and now < rest.until and body is not None and body == rest.body:
            return  # nobody was asked
        failures = rest.failures + 1 if rest is not None else 1
        refused = None if passing(error) else body
        self._rest = _Rest(failures, now + _PACE.pause(failures, error), copy.copy(error), refused)

    def _signed_in(self, body: Mapping[str, str]) -> Lease:
        asked = self._now()
        with self._door(None) as door:  # a connection of its own: the next login is a long time away
            return _lease(door.post(self._proof.path, body), asked)

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


_logins: dict[tuple[object, ...], MachineLogin] = {}


def shared(
    address: str, proof: Proof, *, ca: str | None = None, certificate: Certificate | None = None
) -> MachineLogin:
    """This process's login with this proof at this server, whoever asks for it."""
    key = (address, proof, ca, certificate)
    made = _logins.get(key)
    if made is None:
        for oldest in list(_logins)[: len(_logins) + 1 - MOST]:
            _logins.pop(oldest, None)
        # setdefault() is one step between threads, and needs no lock that a fork could leave locked.
        made = _logins.setdefault(key, MachineLogin(address, proof, ca=ca, certificate=certificate))
    return made


def _lease(reply: Reply, asked: float, token: str = "") -> Lease:
    """What was answered; a life is counted from when it was asked for. Raises Unexpected, quoting nothing."""
    body: Any = reply.body
    try:
        token, expires = token or str(body["token"]), moment(body["expires_at"])
        if expires is None or not token:
            raise ValueError("no end")
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):  # their texts could quote the token
        raise Unexpected("the server's answer to a login has not the form that this client knows") from None
    return Lease(token, asked, (expires - datetime.fromtimestamp(reply.at, UTC)).total_seconds())
