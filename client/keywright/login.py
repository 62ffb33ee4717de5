"""The stored login: what `keywright login` leaves for later commands.

    $XDG_CONFIG_HOME/keywright/login.json, mode 0600, in a directory of mode 0700
    {"address": "https://…", "token": "kw_…", "environment": "development" or null, "ca": "/path" or null}

The token is sent only to the address it was stored for (see `discovery`).
"""

import contextlib
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from keywright.errors import Invalid


@dataclass(frozen=True)
class Login:
    """An address with the token that belongs to it."""

    address: str
    token: str = field(repr=False)
    environment: str | None = None
    ca: str | None = None


def read(file: Path) -> Login | None:
    """The stored login, or None when there is none. Raises Invalid when it is open to others or not readable."""
    try:
        with file.open("rb") as stream:
            # Asked of the open file, so that it cannot be another one by the time it is read.
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise Invalid(f"{file} can be read by other users of this machine: chmod 600 it, and renew the token")
            content = stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(f"{file} cannot be read ({error.strerror}): mend it, or sign in again") from None
    broken = Invalid(f"{file} is not a stored login: remove it and run `keywright login`")
    try:
        entry = json.loads(content)
    except ValueError:  # its own text would quote the file
        raise broken from None
    if not isinstance(entry, dict):
        raise broken
    address, token = entry.get("address"), entry.get("token")
    environment, ca = entry.get("environment"), entry.get("ca")
    if not (isinstance(address, str) and isinstance(token, str)):
        raise broken
    if not (environment is None or isinstance(environment, str)) or not (ca is None or isinstance(ca, str)):
        raise broken
    return Login(address, token, environment, ca)


def write(file: Path, login: Login) -> None:
    """Replace the stored login in one step: a reader finds the former or the new one, never half of it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates with mode 0600, so there is no moment at which others may read.
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".login-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(asdict(login), stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def remove(file: Path) -> bool:
    """Forget the stored login; False when there was none."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
