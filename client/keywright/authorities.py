"""Protecting the way to the database as the credential says, in the forms that drivers take.

    verify-full   authorities and name are verified        verify-ca   authorities are
    require       encrypted, nothing is verified           disable     plain

libpq wants its authorities in a file. Those of a credential are written to one that only this user can read, and that
is gone when the process ends.
"""

import atexit
import hashlib
import os
import shutil
import ssl
import tempfile
import threading
from pathlib import Path

from keywright.credential import Tls
from keywright.errors import Invalid

_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_lock = threading.Lock()
_folder: Path | None = None


def context(tls: Tls) -> ssl.SSLContext | None:
    """For drivers in Python; None means plain. Raises Invalid when `ca` holds no certificate."""
    if tls.mode == "disable":
        return None
    try:
        made = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError):
        raise Invalid("the connection's ca is no PEM certificate: mend its definition", field="tls.ca") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = tls.mode == "verify-full"
    if tls.mode == "require":
        made.verify_mode = ssl.CERT_NONE
    return made


def file(tls: Tls) -> str:
    """For libpq: a file with the credential's authorities, or the system's. Raises Invalid when there are none."""
    if tls.ca is None:
        # psycopg's own OpenSSL looks in the folders of the machine that built it.
        found = [p for p in (ssl.get_default_verify_paths().cafile, *_ROOTS) if p and Path(p).is_file()]
        if not found:
            raise Invalid(
                "this system has no file of certificate authorities: give the connection a ca", field="tls.ca"
            )
        return found[0]
    place = _own_folder() / f"{os.getpid()}-{hashlib.sha256(tls.ca.encode()).hexdigest()}.pem"
    if not place.exists():
        handle, fresh = tempfile.mkstemp(dir=place.parent)  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(tls.ca)
        os.replace(fresh, place)
    return str(place)


def _own_folder() -> Path:
    global _folder
    with _lock:
        if _folder is None or not _folder.is_dir():
            _folder = Path(tempfile.mkdtemp(prefix="keywright-ca-"))
            atexit.register(_remove, _folder, os.getpid())
        return _folder


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a fork that ends takes nothing from its parent
        shutil.rmtree(folder, ignore_errors=True)
