"""The client's certificate (mutual TLS): a token may be bound to it, or it stands for the caller without a token."""

import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from keywright.errors import Invalid

_Mark = tuple[int, int, int] | None


@dataclass(frozen=True)
class Certificate:
    """A certificate chain and its key in PEM files. Without `key` it is in the same file."""

    cert: str
    key: str | None = None


class Showing:
    """A certificate as one client shows it: its files are replaced while applications run. Safe between threads."""

    def __init__(self, certificate: Certificate) -> None:
        self._files = (certificate.cert, certificate.key or certificate.cert)
        self._lock = threading.Lock()
        self._seen: tuple[_Mark, ...] = ()
        self._used = False

    def renewed(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext | None:
        """A context of `make` that shows what the files hold now; None if the last one does.

        Raises Invalid for files that cannot be used. If there was one that could, that goes on: of two files one is
        replaced first.
        """
        with self._lock:
            marks = tuple(map(_mark, self._files))
            if marks == self._seen:
                return None
            self._seen = marks
            context = make()
            try:
                context.load_cert_chain(*self._files, password=_no_password)
            except (OSError, Invalid) as error:  # ssl.SSLError is an OSError
                if self._used:
                    return None
                said = error.message if isinstance(error, Invalid) else error.strerror or "not PEM"
                raise Invalid(
                    f"the certificate {self._files[0]} with the key {self._files[1]} cannot be used ({said})",
                    field="certificate",
                ) from None
            self._used = True
            return context


def _mark(file: str) -> _Mark:
    try:
        found = os.stat(file)  # through links: a mounted Kubernetes secret is turned by one
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _no_password() -> str:
    # Without this OpenSSL would ask the terminal.
    raise Invalid("the key is encrypted, and must not be")
