"""The last known values on disk, sealed, so that an agent can begin while the server is away.

the file     {"keywright": "agent cache 1", "nonce": base64, "sealed": base64}, mode 0600
sealed       AES-256-GCM (NIST SP 800-38D), of {"subjects": [{"kind", "name", "body", "etag", "told", "heard", "skew"}]}
bound to     the words above, the server's address and the environment: it does not open for another server
the key      32 bytes in base64, in a file that only its owner can read, and that is root's or ours
"""

import base64
import binascii
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keywright.agent.destination import Destination
from keywright.agent.subject import Kind, Known, Subject
from keywright.errors import Invalid, KeywrightError

_FORM = "agent cache 1"
_NONCE = 12
_LARGEST = 64 * 1024 * 1024


class Sealed:
    """Known values in one file."""

    def __init__(self, file: Path, key_file: Path, address: str, environment: str) -> None:
        """Raises Invalid for a key that cannot be used."""
        self._file = Destination(file)
        self._cipher = AESGCM(_key(key_file))
        self._bound = json.dumps(["keywright", _FORM, address, environment]).encode()

    def read(self) -> dict[Subject, Known]:
        """What is there; nothing where there is no file. Raises Invalid for one that does not open."""
        path = self._file.path
        try:
            # One that is put there to be waited for, or to lead elsewhere, is no cache.
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(file, "rb") as stream:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise ValueError("no plain file")
                content = json.loads(stream.read(_LARGEST))
            nonce, sealed = (base64.b64decode(content[part], validate=True) for part in ("nonce", "sealed"))
            opened = json.loads(self._cipher.decrypt(nonce, sealed, self._bound))
            return {known.subject: known for known in map(_known, opened["subjects"])}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Invalid(f"the cache {path} cannot be read: {error.strerror}") from None
        except (
            InvalidTag,
            KeyError,
            TypeError,
            ValueError,
            RecursionError,
            OverflowError,
            KeywrightError,
        ):  # some would quote what they read
            raise Invalid(
                f"the cache {path} does not open: it was changed, or is of another key, server or place: remove it"
            ) from None

    def write(self, known: Iterable[Known]) -> None:
        """Replace it. Raises `destination.Unwritable`."""
        subjects = [
            {
                "kind": each.subject.kind.value,
                "name": each.subject.name,
                "body": each.body,
                "etag": each.etag,
                "told": each.told,
                "heard": each.heard,
                "skew": each.skew,
            }
            for each in known
        ]
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, json.dumps({"subjects": subjects}).encode(), self._bound)
        parts = {"nonce": nonce, "sealed": sealed}
        told = {"keywright": _FORM} | {part: base64.b64encode(text).decode() for part, text in parts.items()}
        self._file.write(json.dumps(told).encode())


def _known(entry: Mapping[str, object]) -> Known:
    kind, name, etag = entry["kind"], entry["name"], entry["etag"]
    if not isinstance(kind, str) or not isinstance(name, str) or not (etag is None or isinstance(etag, str)):
        raise TypeError("not as it was written")
    told, heard, skew = (float(str(entry[part])) for part in ("told", "heard", "skew"))
    return replace(Known(Subject(Kind(kind), name), entry["body"], etag, told, heard, skew), sealed=True)


def _key(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            about = os.fstat(stream.fileno())
            text = stream.read(1024)
    except OSError as error:
        raise Invalid(f"the key file {file} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid not in (0, os.geteuid()):
        raise Invalid(
            f"the key file {file} is somebody else's, or can be read by others: chmod 600 it, and renew the key"
        )
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise Invalid(f"the key file {file} holds no key: `head -c 32 /dev/urandom | base64` makes one")
    return key
