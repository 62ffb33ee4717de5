"""TLS: what the server shows of itself, and what it asks of clients (RFC 8446; suites as Mozilla's "intermediate").

The files may be replaced while the server runs: new connections get what is in them now, old ones go on. What
cannot be used is left alone, and `problem` says so.
"""

import hashlib
import os
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from starlette.types import Scope

from service.core.errors import Invalid
from service.core.token import Shown

log = structlog.get_logger("tls")

EXTENSION = "keywright.certificate"
"""Name in `scope["extensions"]` of what `proven` found."""

_SUITES = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""Of TLS 1.2: forward secret and authenticated only. Those of 1.3 all are."""


class Certificates:
    """A certificate with its key, and the authority of client certificates if these are asked for."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        """Raises Invalid for files that cannot be used."""
        self._files = (cert, key, client_ca)
        self._lock = threading.Lock()
        self._seen = self._marks()
        self._context = _context(*self._files)
        self.problem = ""
        """Why the files as they are now are not in use; empty when they are."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def look(self, *, asked: bool = False) -> None:
        """Read the files again if they changed, or because somebody `asked`."""
        with self._lock:
            marks = self._marks()
            if marks == self._seen and not asked:
                return
            self._seen = marks
            try:
                self._context = _context(*self._files)
            except Invalid as error:
                self.problem = f"the former certificate stays in use: {error.message}"
                log.error("the certificate was not replaced", reason=error.message)
            else:
                self.problem = ""
                log.info("the certificate was read again", file=str(self._files[0]))

    def _marks(self) -> tuple[object, ...]:
        return tuple(_mark(path) for path in self._files if path)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # through links: a mounted Kubernetes secret is turned by one
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _context(cert: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    for path, name in (
        (cert, "KEYWRIGHT_TLS_CERT"),
        (key, "KEYWRIGHT_TLS_KEY"),
        (client_ca, "KEYWRIGHT_TLS_CLIENT_CA"),
    ):
        if path:
            try:
                path.read_bytes()
            except OSError as error:
                raise Invalid(f"{name}: {path} cannot be read ({error.strerror})") from None
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise Invalid(f"KEYWRIGHT_TLS_KEY: {key} is not the key of the certificate {cert}") from None
        raise Invalid(
            f"KEYWRIGHT_TLS_CERT, KEYWRIGHT_TLS_KEY: {cert} and {key} are no certificate chain and key in PEM"
        ) from None
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError:
            raise Invalid(f"KEYWRIGHT_TLS_CLIENT_CA: {client_ca} holds no certificate in PEM") from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    # Without this OpenSSL would ask the terminal.
    raise Invalid("KEYWRIGHT_TLS_KEY: the key is encrypted; Keywright reads one that is not")


def proven(connection: Any) -> Shown | None:
    """What a caller can be known by: its certificate, whose key the handshake has proven; None for none."""
    der: bytes | None = connection.getpeercert(binary_form=True)
    if not der:
        return None
    ends = ssl.cert_time_to_seconds(connection.getpeercert()["notAfter"])
    return Shown(hashlib.sha256(der).hexdigest(), datetime.fromtimestamp(ends, UTC))


def proven_to(scope: Scope) -> Shown | None:
    """The same, of the connection that a request came over."""
    found: Shown | None = scope.get("extensions", {}).get(EXTENSION)
    return found


def shown(connection: Any) -> dict[str, object]:
    """What a connection's client showed of itself, verified, for `scope["extensions"]["tls"]`; None for nothing.

    client_cert_name     its first URI or DNS name (subjectAltName), or the common name of its subject
    client_cert_sha256   SHA-256 of the certificate (DER), in hex: what RFC 8705, 3.1 binds tokens to
    """
    der: bytes | None = connection.getpeercert(binary_form=True)
    if not der:
        return {"client_cert_name": None, "client_cert_sha256": None}
    said: dict[str, Any] = connection.getpeercert()
    alternatives = said.get("subjectAltName", ())
    names = [name for wanted in ("URI", "DNS") for kind, name in alternatives if kind == wanted]
    names += [value for part in said.get("subject", ()) for kind, value in part if kind == "commonName"]
    return {"client_cert_name": names[0] if names else "", "client_cert_sha256": hashlib.sha256(der).hexdigest()}
