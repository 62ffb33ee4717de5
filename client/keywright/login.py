"""The stored logins: what `keywright login` leaves for later commands.

    $XDG_CONFIG_HOME/keywright/login.json, mode 0600, in a directory of mode 0700 (or where KEYWRIGHT_LOGIN_FILE says)
    {"last": "https://…", "logins": {"https://…": {"token": "kw_…", "environment": "development" or null,
                                                   "ca": "/path" or null, "session": true}}}

One for each server; without an address the last one is meant. A token is sent only to the address it was stored for
(see `discovery`). `session` says that a person signed in for it, so that signing out ends it at the server, too.
"""

import contextlib
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keywright.errors import Invalid


@dataclass(frozen=True)
class Login:
    """An address with the token that belongs to it."""

    address: str
    token: str = field(repr=False)
    environment: str | None = None
    ca: str | None = None
    session: bool = False


def read(file: Path, address: str | None = None) -> Login | None:
    """The login for an address, or the last one; None when there is none.

    Raises Invalid when the file is open to others or not readable.
    """
    last, logins = _all(file)
    return logins.get(last if address is None else address)


def write(file: Path, login: Login) -> None:
    """Keep a login in place of a former one at its address. Raises Invalid as `read`."""
    _, logins = _all(file)
    _write(file, login.address, {**logins, login.address: login})


def remove(file: Path, address: str | None = None) -> Login | None:
    """Forget the login for an address, or the last one; None when there was none. Raises Invalid as `read`."""
    last, logins = _all(file)
    gone = logins.pop(last if address is None else address, None)
    if not logins:
        file.unlink(missing_ok=True)
    elif gone is not None:
        _write(file, last if last in logins else next(iter(logins)), logins)
    return gone


def _all(file: Path) -> tuple[str, dict[str, Login]]:
    """The address of the last one, and all by theirs."""
    try:
        with file.open("rb") as stream:
            # Asked of the open file, so that it cannot be another one by the time it is read.
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise Invalid(f"{file} can be read by other users of this machine: chmod 600 it, and renew the token")
            content = stream.read()
    except FileNotFoundError:
        return "", {}
    except OSError as error:
        raise Invalid(f"{file} cannot be read ({error.strerror}): mend it, or sign in again") from None
    broken = Invalid(f"{file} holds no stored logins: remove it and run `keywright login`")
    try:
        kept = json.loads(content)
        last, logins = kept["last"], {address: _login(address, entry) for address, entry in kept["logins"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):  # their own texts would quote the file
        raise broken from None
    if not isinstance(last, str):
        raise broken
    return last, logins


def _login(address: str, entry: Any) -> Login:
    token, environment, ca, session = (entry.get(name) for name in ("token", "environment", "ca", "session"))
    texts = isinstance(token, str) and all(each is None or isinstance(each, str) for each in (environment, ca))
    if not texts or not isinstance(session, bool):
        raise TypeError
    return Login(address, token, environment, ca, session)


def _write(file: Path, last: str, logins: dict[str, Login]) -> None:
    """Replace the file in one step: a reader finds the former or the new one, never half of it."""
    kept = {address: {n: v for n, v in asdict(login).items() if n != "address"} for address, login in logins.items()}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates with mode 0600, so there is no moment at which others may read.
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".login-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"last": last, "logins": kept}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
