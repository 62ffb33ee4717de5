"""The escrow file: what it holds, who opens it, and that it is never half written."""

import json
import os
import secrets
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from providers.escrow import EscrowFile
from providers.keys.file import FileKey, create
from service.core.connection import Account
from service.core.errors import EscrowError, KeyWrong, SealBroken
from service.core.escrow import FORMER, Entry, Escrowed
from service.core.secret import Secret

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ID, OTHER = "0" * 32, "1" * 32


def entry(*passwords: str, connection_id: str = ID) -> Entry:
    """An entry of the connection, with these passwords."""
    accounts = tuple(Escrowed("live", Account("keywright", Secret(password))) for password in passwords)
    return Entry(connection_id, "production", f"admin/{connection_id[0]}", "postgresql://db:5432", "shop", accounts, AT)


def passwords(kept: EscrowFile, connection_id: str = ID) -> list[str]:
    """Those that it gives back."""
    found = next(e for e in kept.entries() if e.connection_id == connection_id)
    return [held.account.password.reveal() for held in found.accounts]


def key(folder: Path, name: str = "master.key") -> FileKey:
    """A master key, made when it is new."""
    path = folder / name
    if not path.exists():
        create(path, secrets.token_bytes)
    return FileKey(path, secrets.token_bytes)


def escrow(folder: Path, name: str = "master.key") -> EscrowFile:
    """The file `escrow` in a folder."""
    return EscrowFile(folder / "escrow", key(folder, name), secrets.token_bytes)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    """Every word of it, to whoever has the master key."""
    wanted = entry("first", "sécond\n'\"")
    escrow(tmp_path).keep(wanted, proven=False)
    assert escrow(tmp_path).entries() == (wanted,)


def test_there_is_nothing_yet(tmp_path: Path) -> None:
    assert escrow(tmp_path).entries() == ()


def test_nobody_else_may_read_it_and_nothing_in_it_is_readable(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; neither passwords nor names in the clear."""
    before = os.umask(0)
    try:
        escrow(tmp_path).keep(entry("very-secret"), proven=False)
    finally:
        os.umask(before)
    file = tmp_path / "escrow"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for word in (b"very-secret", b'keywright"', b"production", b"db:5432"):
        assert word not in file.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".escrow.lock", "escrow", "master.key"]


def test_former_passwords_are_forgotten_only_when_another_was_proven(tmp_path: Path) -> None:
    """A ledger brought back from a backup knows older passwords than the file: they must not replace them."""
    kept = escrow(tmp_path)
    kept.keep(entry("first"), proven=False)
    kept.keep(entry("second"), proven=False)
    kept.keep(entry("first", "third"), proven=False)
    assert passwords(kept) == ["first", "third", "second"]
    assert [held.standing for held in kept.entries()[0].accounts] == ["live", "live", FORMER]
    kept.keep(entry("third"), proven=True)
    assert passwords(kept) == ["third"]


def test_entries_of_others_stay(tmp_path: Path) -> None:
    kept = escrow(tmp_path)
    kept.keep(entry("theirs", connection_id=OTHER), proven=True)
    kept.keep(entry("mine"), proven=True)
    assert passwords(kept, OTHER) == ["theirs"]


def test_an_entry_that_was_moved_does_not_open(tmp_path: Path) -> None:
    """It is bound to its connection."""
    kept = escrow(tmp_path)
    kept.keep(entry("mine"), proven=False)
    file = tmp_path / "escrow"
    file.write_text(file.read_text().replace(ID, OTHER))
    with pytest.raises(SealBroken):
        kept.entries()


def test_another_master_key_neither_opens_nor_overwrites_it(tmp_path: Path) -> None:
    """It may be the only way in to what another ledger knew."""
    escrow(tmp_path).keep(entry("mine"), proven=False)
    before = (tmp_path / "escrow").read_bytes()
    other = escrow(tmp_path, "other.key")
    with pytest.raises(KeyWrong, match="sealed under another master key"):
        other.entries()
    with pytest.raises(KeyWrong):
        other.keep(entry("theirs"), proven=True)
    assert (tmp_path / "escrow").read_bytes() == before


def test_a_new_master_key(tmp_path: Path) -> None:
    """Afterwards it alone opens the file; doing it twice is doing it once."""
    former = escrow(tmp_path)
    former.keep(entry("mine"), proven=False)
    for _ in range(2):
        former.rewrap(key(tmp_path, "new.key"))
    assert passwords(escrow(tmp_path, "new.key")) == ["mine"]
    with pytest.raises(KeyWrong):
        former.entries()


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"format": "another"}), "\xff"])
def test_what_is_no_escrow_file_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "escrow").write_text(content, encoding="latin-1")
    with pytest.raises(EscrowError, match="not an escrow file"):
        escrow(tmp_path).keep(entry("mine"), proven=False)
    assert (tmp_path / "escrow").read_text(encoding="latin-1") == content


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    kept = EscrowFile(tmp_path / "gone" / "escrow", key(tmp_path), secrets.token_bytes)
    with pytest.raises(EscrowError, match="cannot be written"):
        kept.keep(entry("mine"), proven=False)


def test_a_write_that_fails_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ever sees half of it, and no draft is left."""
    kept = escrow(tmp_path)
    kept.keep(entry("mine"), proven=False)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EscrowError, match="No space left"):
        kept.keep(entry("next"), proven=False)
    monkeypatch.undo()
    assert passwords(kept) == ["mine"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".escrow.lock", "escrow", "master.key"]


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    kept = escrow(tmp_path)
    kept.keep(entry("mine"), proven=False)
    before = (tmp_path / "escrow").stat().st_ino
    kept.keep(replace(entry("mine"), written_at=datetime.now(UTC)), proven=True)
    assert (tmp_path / "escrow").stat().st_ino == before
