"""How values reach a program without touching a disk."""

import json
import os
from pathlib import Path

import pytest
from keywright import Invalid
from keywright.agent.passing import Files, PassAs, Passing, in_memory, sealed_memory


def test_only_memory_will_do(tmp_path: Path) -> None:
    disk = "/dev/sda / ext4 rw 0 0\n"
    with pytest.raises(Invalid, match="in memory only"):
        in_memory({"XDG_RUNTIME_DIR": str(tmp_path)}, disk)
    assert in_memory({"XDG_RUNTIME_DIR": str(tmp_path)}, f"{disk}tmpfs {tmp_path} tmpfs rw 0 0\n") == tmp_path
    assert in_memory({"XDG_RUNTIME_DIR": str(tmp_path)}, f"{disk}none /dev/shm tmpfs rw 0 0\n") == Path("/dev/shm")
    odd = tmp_path / "a b"
    odd.mkdir()
    assert in_memory({"XDG_RUNTIME_DIR": str(odd)}, f"{disk}tmpfs {tmp_path}/a\\040b tmpfs rw 0 0\n") == odd
    # A disk that is mounted over memory, and a link from memory to a disk.
    over = f"none /dev/shm tmpfs rw 0 0\n/dev/sdb /dev/shm ext4 rw 0 0\n{disk}"
    with pytest.raises(Invalid):
        in_memory({"XDG_RUNTIME_DIR": "relative"}, over)
    (tmp_path / "link").symlink_to(odd)
    with pytest.raises(Invalid):
        in_memory({"XDG_RUNTIME_DIR": str(tmp_path / "link")}, f"{disk}tmpfs {tmp_path}/link tmpfs rw 0 0\n")


def test_files_are_replaced_together(tmp_path: Path) -> None:
    it = Files(tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    it.replace({"HOST": "db1", "KEY": "k1"})
    assert (it.now / "HOST").stat().st_mode & 0o777 == 0o600
    reader = os.open(it.now, os.O_RDONLY | os.O_DIRECTORY)
    it.replace({"HOST": "db2"})
    assert {file.name: file.read_text() for file in it.now.iterdir()} == {"HOST": "db2"}
    with open(os.open("KEY", os.O_RDONLY, dir_fd=reader)) as former:
        assert former.read() == "k1"
    os.close(reader)
    it.replace({"HOST": "db3"})
    it.replace({"HOST": "db4"})
    assert sorted(entry.name for entry in folder.iterdir()) == ["3", "4", "now"]
    it.clear()
    assert list(tmp_path.iterdir()) == []


def test_memory_is_sealed() -> None:
    file = sealed_memory({"KEY": "k" * 100_000})
    try:
        assert not os.get_inheritable(file)
        with pytest.raises(PermissionError):
            os.write(file, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(file, 0)
        with os.fdopen(os.dup(file)) as stream:
            assert json.load(stream) == {"KEY": "k" * 100_000}
    finally:
        os.close(file)


def test_what_the_program_finds() -> None:
    around = {"PATH": "/bin", "KEYWRIGHT_FD": "9", "KEYWRIGHT_FILES": "/old", "HOST": "old"}
    with Passing(PassAs.ENV, around).ready({"HOST": "db1"}) as (environ, files):
        assert (environ, files) == ({"PATH": "/bin", "HOST": "db1"}, [])
    with Passing(PassAs.FD, around).ready({"HOST": "db1"}) as (environ, files):
        assert (environ["KEYWRIGHT_FD"], environ["HOST"], "KEYWRIGHT_FILES" in environ) == (str(files[0]), "old", False)
