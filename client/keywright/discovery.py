"""Where the server is and who asks: arguments first, then the process environment, then the stored login.

    address       KEYWRIGHT_ADDR                            the stored login's
    token         KEYWRIGHT_TOKEN, KEYWRIGHT_TOKEN_FILE     the stored login's, for the stored login's address only
    environment   KEYWRIGHT_ENVIRONMENT                     the stored login's, likewise
    authorities   KEYWRIGHT_CA_FILE (PEM)                   the stored login's, likewise
    certificate   KEYWRIGHT_CLIENT_CERT, KEYWRIGHT_CLIENT_KEY (PEM); with one, a token may be missing

Plain http would show the token to the network: it is for loopback addresses, unless KEYWRIGHT_ALLOW_PLAIN=1.
The only module of the client that reads the process environment.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keywright import login, names
from keywright.certificate import Certificate
from keywright.errors import Invalid, Unauthenticated

TOKEN_NAMES = ("KEYWRIGHT_TOKEN", "KEYWRIGHT_TOKEN_FILE", "KEYWRIGHT_CLIENT_CERT", "KEYWRIGHT_CLIENT_KEY")
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


def surroundings() -> dict[str, str]:
    """A copy of the process environment."""
    return dict(os.environ)  # noqa: TID251 - a client is configured by its caller's environment; read here only


def login_file(environ: Mapping[str, str]) -> Path:
    """Where the login is stored (XDG Base Directory Specification: a relative path is ignored)."""
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
    stored = login.read(login_file(around))
    if given is None and stored is None:
        raise Unauthenticated("no server is known: give --addr or KEYWRIGHT_ADDR, or run `keywright login`")
    where = checked_address(given or (stored.address if stored else ""), around)
    if stored is not None and stored.address != where:
        stored = None  # a token goes to the server it was stored for, and to no other
    shown = (certificate or certificate_of(around)) if where.startswith("https:") else None
    return Discovered(
        address=where,
        token=_token_source(token, around, stored, where, needed=shown is None),
        environment=environment or around.get("KEYWRIGHT_ENVIRONMENT") or (stored.environment if stored else None),
        ca=ca or around.get("KEYWRIGHT_CA_FILE") or (stored.ca if stored else None),
        certificate=shown,
    )


def certificate_of(environ: Mapping[str, str]) -> Certificate | None:
    """The certificate that the process environment names. Raises Invalid for a key alone."""
    cert, key = environ.get("KEYWRIGHT_CLIENT_CERT"), environ.get("KEYWRIGHT_CLIENT_KEY")
    if key and not cert:
        raise Invalid("KEYWRIGHT_CLIENT_KEY needs KEYWRIGHT_CLIENT_CERT", field="certificate")
    return Certificate(cert, key) if cert else None


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


def checked_token(text: str) -> str:
    """`text` without surrounding white space, if it can travel in a header. Raises Unauthenticated."""
    token = text.strip()
    # Checked here because an HTTP library quotes the header that it refuses.
    if not token or not all("!" <= mark <= "~" for mark in token):
        raise Unauthenticated("the token is empty or holds characters that no token has: look at where it comes from")
    return token


def _token_source(
    token: str | None, environ: Mapping[str, str], stored: login.Login | None, address: str, *, needed: bool
) -> Callable[[], str] | None:
    text = token or environ.get("KEYWRIGHT_TOKEN")
    if text:
        fixed = checked_token(text)
        return lambda: fixed
    if file := environ.get("KEYWRIGHT_TOKEN_FILE"):
        return lambda: _token_from(file)
    if stored is not None:
        kept = checked_token(stored.token)
        return lambda: kept
    if not needed:
        return None
    raise Unauthenticated(
        f"not signed in at {address}: run `keywright login`, or set KEYWRIGHT_TOKEN or KEYWRIGHT_TOKEN_FILE"
    )


def _token_from(file: str) -> str:
    try:
        content = Path(file).read_text("ascii")
    except OSError as error:
        raise Unauthenticated(f"the token file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unauthenticated(f"the token file {file} holds no token") from None
    return checked_token(content)
