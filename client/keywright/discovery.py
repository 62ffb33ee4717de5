"""Where the server is and who asks: arguments first, then the process environment, then the stored login.

    address       KEYWRIGHT_ADDR                            the stored login's
    token         KEYWRIGHT_TOKEN, KEYWRIGHT_TOKEN_FILE,    the stored login's, for the stored login's address only
                  KEYWRIGHT_ROLE_ID, KEYWRIGHT_MACHINE
    environment   KEYWRIGHT_ENVIRONMENT                     the stored login's, likewise
    authorities   KEYWRIGHT_CA_FILE (PEM)                   the stored login's, likewise
    certificate   KEYWRIGHT_CLIENT_CERT, KEYWRIGHT_CLIENT_KEY (PEM); with one, a token may be missing

A machine that has no token signs in for one (`keywright.machine`): with KEYWRIGHT_ROLE_ID and KEYWRIGHT_SECRET_ID or
KEYWRIGHT_SECRET_ID_FILE, or with KEYWRIGHT_MACHINE and the token of its Kubernetes service account.
KEYWRIGHT_ALLOW_PLAIN is explained in `keywright.address`. The only module of the client that reads the process
environment.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keywright import login, names
from keywright.address import checked_address
from keywright.certificate import Certificate
from keywright.errors import Invalid, Unauthenticated
from keywright.machine import KUBERNETES_FILE, Proof, approle, kubernetes, shared

TOKEN_NAMES = (
    "KEYWRIGHT_TOKEN",
    "KEYWRIGHT_TOKEN_FILE",
    "KEYWRIGHT_CLIENT_CERT",
    "KEYWRIGHT_CLIENT_KEY",
    "KEYWRIGHT_ROLE_ID",
    "KEYWRIGHT_SECRET_ID",
    "KEYWRIGHT_SECRET_ID_FILE",
    "KEYWRIGHT_MACHINE",
    "KEYWRIGHT_KUBERNETES_TOKEN_FILE",
)
"""What makes a process this caller."""


@dataclass(frozen=True)
class Discovered:
    """All that a call needs to know beforehand. `token` is asked anew for every call: a token file may turn."""

    address: str
    token: Callable[[], str] | None = field(repr=False)
    environment: str | None
    ca: str | None
    certificate: Certificate | None = None
    """Shown to the server; without a token it alone stands for the caller."""

    def named_environment(self) -> str:
        """The environment's name. Raises Invalid when none was given."""
        if self.environment is None:
            raise Invalid("no environment was named: give --env or KEYWRIGHT_ENVIRONMENT", field="environment")
        return names.segment(self.environment)


class Stored:
    """A stored login's token (`bearer.Renewing`): where the server does not take it any more, it says what to do."""

    def __init__(self, kept: login.Login) -> None:
        self._kept = kept
        self._token = checked_token(kept.token)

    def __call__(self) -> str:
        """The token."""
        return self._token

    def refused(self, token: str) -> bool:  # noqa: ARG002 - there is but one
        """Raises Unauthenticated."""
        raise Unauthenticated(
            f"the login at {self._kept.address} has ended, or was taken away: run `keywright login`",
            status=401,
            slug="unauthenticated",
        )


def surroundings() -> dict[str, str]:
    """A copy of the process environment."""
    return dict(os.environ)  # noqa: TID251 - a client is configured by its caller's environment; read here only


def login_file(environ: Mapping[str, str]) -> Path:
    """Where logins are stored (XDG Base Directory Specification: a relative path is ignored)."""
    if chosen := environ.get("KEYWRIGHT_LOGIN_FILE"):
        return Path(chosen)
    home = environ.get("XDG_CONFIG_HOME", "")
    root = Path(home) if home.startswith("/") else Path.home() / ".config"
    return root / "keywright" / "login.json"


def discover(
    address: str | None = None,
    token: str | None = None,
    environment: str | None = None,
    ca: str | None = None,
    *,
    certificate: Certificate | None = None,
    environ: Mapping[str, str] | None = None,
) -> Discovered:
    """Find what was not given.

    Raises Unauthenticated when there is no address, or no token and no certificate; Invalid when what was found cannot
    be used.
    """
    around = surroundings() if environ is None else environ
    given = address or around.get("KEYWRIGHT_ADDR")
    stored = None if given is not None else login.read(login_file(around))
    if given is None and stored is None:
        raise Unauthenticated("no server is known: give --addr or KEYWRIGHT_ADDR, or run `keywright login`")
    where = checked_address(given or (stored.address if stored else ""), around)
    if given is not None:
        stored = login.read(login_file(around), where)  # a token goes to the server it was stored for, and to no other
    shown = (certificate or certificate_of(around)) if where.startswith("https:") else None
    trusted = ca or around.get("KEYWRIGHT_CA_FILE") or (stored.ca if stored else None)
    source = _given_token(token, around)
    if source is None and (proof := machine_proof(around)):
        source = shared(where, proof, ca=trusted, certificate=shown)
    if source is None and stored is not None:
        source = Stored(stored)
    if source is None and shown is None:
        raise Unauthenticated(
            f"not signed in at {where}: run `keywright login`, or set KEYWRIGHT_TOKEN or KEYWRIGHT_TOKEN_FILE"
        )
    return Discovered(
        address=where,
        token=source,
        environment=environment or around.get("KEYWRIGHT_ENVIRONMENT") or (stored.environment if stored else None),
        ca=trusted,
        certificate=shown,
    )


def certificate_of(environ: Mapping[str, str]) -> Certificate | None:
    """The certificate that the process environment names. Raises Invalid for a key alone."""
    cert, key = environ.get("KEYWRIGHT_CLIENT_CERT"), environ.get("KEYWRIGHT_CLIENT_KEY")
    if key and not cert:
        raise Invalid("KEYWRIGHT_CLIENT_KEY needs KEYWRIGHT_CLIENT_CERT", field="certificate")
    return Certificate(cert, key) if cert else None


def checked_token(text: str) -> str:
    """`text` without surrounding white space, if it can travel in a header. Raises Unauthenticated."""
    token = text.strip()
    # Checked here because an HTTP library quotes the header that it refuses.
    if not token or not all("!" <= mark <= "~" for mark in token):
        raise Unauthenticated("the token is empty or holds characters that no token has: look at where it comes from")
    return token


def machine_proof(environ: Mapping[str, str]) -> Proof | None:
    """What the process environment gives a machine to sign in with. Raises Invalid for a half of it."""
    if role_id := environ.get("KEYWRIGHT_ROLE_ID"):
        if secret_id := environ.get("KEYWRIGHT_SECRET_ID"):
            return approle(role_id, secret_id)
        if secret_file := environ.get("KEYWRIGHT_SECRET_ID_FILE"):
            return approle(role_id, None, secret_file)
        raise Invalid("KEYWRIGHT_ROLE_ID needs KEYWRIGHT_SECRET_ID or KEYWRIGHT_SECRET_ID_FILE", field="secret_id")
    if machine := environ.get("KEYWRIGHT_MACHINE"):
        file = environ.get("KEYWRIGHT_KUBERNETES_TOKEN_FILE")
        if file or Path(KUBERNETES_FILE).exists():
            return kubernetes(machine, file or KUBERNETES_FILE)
    return None


def _given_token(token: str | None, environ: Mapping[str, str]) -> Callable[[], str] | None:
    text = token or environ.get("KEYWRIGHT_TOKEN")
    if text:
        return _fixed(text)
    if file := environ.get("KEYWRIGHT_TOKEN_FILE"):
        return lambda: _token_from(file)
    return None


def _fixed(text: str) -> Callable[[], str]:
    token = checked_token(text)
    return lambda: token


def _token_from(file: str) -> str:
    try:
        text = Path(file).read_text("ascii")
    except OSError as error:
        raise Unauthenticated(f"the token file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unauthenticated(f"the token file {file} holds no token") from None
    return checked_token(text)
