"""A session with Vault or OpenBao: logging in, staying logged in, and what its answers mean.

The store and the transit key wrapper both speak through a `VaultSession`, which is safe to share between
threads. Statuses are those of https://developer.hashicorp.com/vault/api-docs#http-status-codes:

    answer                                          raised
    400                                             VaultRejected     the request itself was not accepted
    401, 403; a login answered by 4xx               VaultRefused      not for Keywright's identity
    404                                             VaultAbsent
    any other status (429, 5xx: sealed, standby…),
    a redirect, no answer, a certificate that does
    not verify                                      VaultUnreachable
    200 without a JSON object                       VaultUnreadable

A redirect is what a standby node answers that does not forward. It is not followed, because the token
would go with it to whatever address is named. Proxies and `.netrc` of the environment are not used.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from hvac import exceptions
from hvac.adapters import JSONAdapter
from hvac.api.auth_methods import AppRole, Kubernetes, Token

from service.core.secret import Secret

T = TypeVar("T")
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
PROVEN_ALIVE = 60.0
"""Seconds for which a living token is not replaced because of a 403: refusals must not cause a stream of logins."""


class VaultTrouble(Exception):
    """Vault did not do what was asked. The message is a sentence without any secret."""


class VaultRejected(VaultTrouble):
    """The request was not acceptable in itself (400)."""


class VaultRefused(VaultTrouble):
    """Keywright's identity may not do this."""


class VaultAbsent(VaultTrouble):
    """There is nothing at this path; `deleted` if there was."""

    def __init__(self, message: str, *, deleted: bool = False) -> None:
        super().__init__(message)
        self.deleted = deleted


class VaultUnreachable(VaultTrouble):
    """Vault did not answer in time, or not as a node in service."""


class VaultUnreadable(VaultTrouble):
    """What answered does not speak as Vault does."""


@dataclass(frozen=True)
class TokenLogin:
    """A token that somebody else made. It is renewed if it can be."""

    token: Secret


@dataclass(frozen=True)
class AppRoleLogin:
    """AppRole, https://openbao.org/api-docs/auth/approle/. The secret id must be good for more than one use."""

    role_id: str
    secret_id: Secret
    mount: str = "approle"


@dataclass(frozen=True)
class KubernetesLogin:
    """The pod's service account, https://openbao.org/api-docs/auth/kubernetes/.

    The file at `jwt_path` is read at each login, because the kubelet replaces it.
    """

    role: str
    jwt_path: Path = SERVICE_ACCOUNT_TOKEN
    mount: str = "kubernetes"


Login = TokenLogin | AppRoleLogin | KubernetesLogin


@dataclass(frozen=True)
class _Held:
    """The token in use. Times are in seconds of the session's clock; `lease` is 0 for one that never expires."""

    token: Secret = field(repr=False)
    since: float
    lease: float
    renewable: bool
    first_lease: float

    def wants_renewal(self, now: float) -> bool:
        return self.lease > 0 and now >= self.since + self.lease * 2 / 3

    def expired(self, now: float) -> bool:
        return self.lease > 0 and now >= self.since + self.lease


class VaultSession:
    """Calls Vault as one identity. `timeout` (seconds) bounds each `call`, with all logins that it needs."""

    def __init__(
        self,
        address: str,
        login: Login,
        *,
        namespace: str | None = None,
        ca_file: Path | None = None,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address.rstrip("/")
        self._login = login
        self._namespace = namespace
        self._timeout = timeout
        self._clock = clock
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(ca_file) if ca_file else True
        self._lock = threading.Lock()
        self._held: _Held | None = None

    @property
    def address(self) -> str:
        """Where Vault is."""
        return self._address

    def call(self, operation: Callable[[JSONAdapter], T]) -> T:
        """Run `operation` with a token that is good now. Raises a VaultTrouble.

        If it is refused, the token may have been revoked, or its role may have changed: then it runs
        once more with a token from a fresh login.
        """
        deadline = time.monotonic() + self._timeout
        held = self._token(deadline)
        try:
            with _faults(self._address):
                return operation(self._adapter(deadline, held.token))
        except VaultRefused:
            fresh = self._replaced(held, deadline)
            if fresh is None:
                raise
        with _faults(self._address):
            return operation(self._adapter(deadline, fresh.token))

    def _adapter(self, deadline: float, token: Secret | None = None) -> JSONAdapter:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise VaultUnreachable(f"{self._address} did not answer within {self._timeout:g} s")
        return JSONAdapter(
            base_uri=self._address,
            token=token.reveal() if token else None,
            session=self._http,
            namespace=self._namespace,
            timeout=remaining,
            allow_redirects=False,
        )

    @contextmanager
    def _alone(self, deadline: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise VaultUnreachable(f"{self._address} did not complete a login within {self._timeout:g} s")
        try:
            yield
        finally:
            self._lock.release()

    def _token(self, deadline: float) -> _Held:
        """The token to use now, renewed after two thirds of its lease."""
        held, now = self._held, self._clock()
        if held is not None and not held.wants_renewal(now):
            return held
        with self._alone(deadline):
            held, now = self._held, self._clock()
            if held is None or held.expired(now):
                held = self._logged_in(deadline)
            elif held.wants_renewal(now):
                try:
                    held = self._renewed(held, deadline)
                except VaultUnreachable:
                    return held  # it is good for a while yet; the next call tries again
            self._held = held
            return held

    def _replaced(self, refused: _Held, deadline: float) -> _Held | None:
        """Another token after a refusal; None if another would not help."""
        with self._alone(deadline):
            if self._held is not None and self._held is not refused:
                return self._held  # another thread was here first
            if isinstance(self._login, TokenLogin):
                return None
            if self._clock() - refused.since < PROVEN_ALIVE and self._alive(refused, deadline):
                return None
            self._held = self._logged_in(deadline)
            return self._held

    def _alive(self, held: _Held, deadline: float) -> bool:
        try:
            with _faults(self._address):
                Token(self._adapter(deadline, held.token)).lookup_self()
        except VaultRefused:
            return False
        return True

    def _renewed(self, held: _Held, deadline: float) -> _Held:
        if held.renewable:
            try:
                with _faults(self._address):
                    answer = Token(self._adapter(deadline, held.token)).renew_self()
                renewed = self._from_auth(answer, held.first_lease)
                # Less than half of the first lease: its maximum is near, and renewing would only get denser.
                if renewed.lease >= held.first_lease / 2 or isinstance(self._login, TokenLogin):
                    return renewed
            except (VaultRefused, VaultRejected, VaultAbsent):
                pass  # revoked, or at the end of what may be renewed
        return self._logged_in(deadline)

    def _logged_in(self, deadline: float) -> _Held:
        login = self._login
        try:
            with _faults(self._address):
                match login:
                    case TokenLogin():
                        return self._looked_up(login.token, deadline)
                    case AppRoleLogin():
                        method = AppRole(self._adapter(deadline))
                        answer = method.login(
                            login.role_id, login.secret_id.reveal(), use_token=False, mount_point=login.mount
                        )
                    case KubernetesLogin():
                        kubernetes = Kubernetes(self._adapter(deadline))
                        answer = kubernetes.login(
                            login.role, _jwt(login.jwt_path), use_token=False, mount_point=login.mount
                        )
        except (VaultRejected, VaultRefused, VaultAbsent) as fault:
            raise VaultRefused(_login_sentence(self._address, login)) from fault
        return self._from_auth(answer)

    def _looked_up(self, token: Secret, deadline: float) -> _Held:
        now = self._clock()
        try:
            data = document(Token(self._adapter(deadline, token)).lookup_self())["data"]
            return _Held(token, now, float(data["ttl"]), bool(data.get("renewable")), float(data["ttl"]))
        except exceptions.Forbidden:
            # Dead, or without the policy that lets it look at itself: what it is used for will tell.
            return _Held(token, now, 0.0, renewable=False, first_lease=0.0)

    def _from_auth(self, answer: Any, first_lease: float | None = None) -> _Held:
        auth = document(answer).get("auth")
        if not isinstance(auth, dict) or not isinstance(auth.get("client_token"), str):
            raise VaultUnreadable(f"{self._address} answered a login without a token: is this the address of Vault?")
        lease = float(auth.get("lease_duration") or 0)
        token, renewable = Secret(auth["client_token"]), bool(auth.get("renewable"))
        return _Held(token, self._clock(), lease, renewable, lease if first_lease is None else first_lease)


def document(answer: Any) -> dict[str, Any]:
    """The JSON object of an answer; empty for "204 No Content". Raises VaultUnreachable or VaultUnreadable."""
    if isinstance(answer, Mapping):
        return dict(answer)
    status = getattr(answer, "status_code", None)
    if status == 204:
        return {}
    if status is not None and 300 <= status < 400:
        raise VaultUnreachable("a standby node pointed elsewhere: set the address to the active node, or to a balancer")
    raise VaultUnreadable("the answer is no JSON object: is this the address of Vault?")


@contextmanager
def _faults(address: str) -> Iterator[None]:
    # `from None`: the libraries' errors carry requests and answers, with what is secret in them.
    try:
        yield
    except exceptions.InvalidRequest:
        raise VaultRejected(f"{address} did not accept the request (400)") from None
    except (exceptions.Forbidden, exceptions.Unauthorized):
        raise VaultRefused(f"{address} answered 403") from None
    except exceptions.InvalidPath as fault:
        raise VaultAbsent(f"{address} answered 404", deleted=_deleted(fault.json)) from None
    except exceptions.VaultError as fault:
        name = type(fault).__name__
        raise VaultUnreachable(f"{address} is sealed, on standby or out of order ({name}): ask its operators") from None
    except requests.exceptions.SSLError:
        raise VaultUnreachable(f"the certificate of {address} does not verify: look at the CA file setting") from None
    except requests.Timeout:
        raise VaultUnreachable(f"{address} did not answer in time: is it up, and can Keywright reach it?") from None
    except (requests.RequestException, OSError) as fault:
        name = type(fault).__name__
        raise VaultUnreachable(f"{address} cannot be reached ({name}): look at the address setting") from None


def _deleted(answer: Any) -> bool:
    """Is a 404 about a version that was deleted or destroyed? (KV version 2 says so in its metadata.)"""
    data = answer.get("data") if isinstance(answer, dict) else None
    metadata = data.get("metadata") if isinstance(data, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("deletion_time") or metadata.get("destroyed"))


def _jwt(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise VaultRefused("the service account token cannot be read") from None


def _login_sentence(address: str, login: Login) -> str:
    match login:
        case TokenLogin():
            return f"{address} refused the token: set one that is valid"
        case AppRoleLogin():
            return f"{address} refused the AppRole login at '{login.mount}': look at the role id and the secret id"
        case KubernetesLogin():
            return (
                f"{address} refused the Kubernetes login as role '{login.role}' at '{login.mount}': "
                f"look at the role, its bound service account, and the token file {login.jwt_path}"
            )
