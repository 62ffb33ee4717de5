"""The witness: a file in the data folder, beside the ledger and not in it, that tells how far the ledger had come.

    witness-<first 16 digits of the ledger's first hash>.json    {"seq": 4711, "hash": "…", "at": "2026-11-22T…"}

A copy of the ledger does not bring the file along, so an older copy that is put in the ledger's place is found
out. It holds nothing secret. It is replaced in one piece: a process that dies leaves the former one.
"""

import contextlib
import json
import os
from datetime import datetime
from pathlib import Path

from service.core.errors import Unavailable
from service.core.restoration import Point


class FileWitness:
    """Keeps one file for each ledger in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seen(self, ledger: bytes) -> Point | None:
        """`Witness.seen`."""
        file = self._file(ledger)
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            return Point(int(told["seq"]), bytes.fromhex(told["hash"]), datetime.fromisoformat(told["at"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"the witness {file} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise Unavailable(
                f"the witness {file} is damaged: whether the ledger is whole cannot be told, so nothing rotates; run "
                "`keywrightd restored --reason …`, and remove the file"
            ) from None

    def note(self, ledger: bytes, point: Point) -> None:
        """`Witness.note`."""
        file = self._file(ledger)
        told = {"seq": point.seq, "hash": point.hash.hex(), "at": point.at.isoformat()}
        new = file.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                json.dump(told, out)
                out.flush()
                os.fsync(out.fileno())
            new.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise Unavailable(f"the witness {file} cannot be written: {error.strerror}") from None

    def _file(self, ledger: bytes) -> Path:
        return self._folder / f"witness-{ledger.hex()[:16]}.json"
