"""A session with Vault or OpenBao: logging in, and staying logged in.

The store and the transit key wrapper both speak through a `VaultSession`, which is safe to share between
threads. Redirects are not followed (see `vault_answers.py`); proxies and `.netrc` of the environment are
not used.

    no token yet, or its lease is over        log in
    two thirds of the lease are over          renew; log in if that is refused, or gives less than half a lease
    403 to what was asked                     once more after a fresh login, if the token is dead or a minute old
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from hvac import exceptions
from hvac.adapters import JSONAdapter
from hvac.api.auth_methods import AppRole, Kubernetes, Token

from providers.vault_answers import (
    VaultAbsent,
    VaultLoginRefused,
    VaultRefused,
    VaultRejected,
    VaultUnreachable,
    VaultUnreadable,
    document,
    faults,
)
from service.core.secret import Secret

T = TypeVar("T")
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
PROVEN_ALIVE = 60.0
"""Seconds for which a living token is not replaced because of a 403: refusals must not cause a stream of logins."""


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
            with faults(self._address):
                return operation(self._adapter(deadline, held.token))
        except VaultRefused:
            fresh = self._replaced(held, deadline)
            if fresh is None:
                raise
        with faults(self._address):
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
            with faults(self._address):
                Token(self._adapter(deadline, held.token)).lookup_self()
        except VaultRefused:
            return False
        return True

    def _renewed(self, held: _Held, deadline: float) -> _Held:
        if held.renewable:
            try:
                with faults(self._address):
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
            with faults(self._address):
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
            raise VaultLoginRefused(_login_sentence(self._address, login)) from fault
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
