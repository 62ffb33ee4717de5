"""Files: whole or not at all, and never where somebody else points."""

import os
import stat
from pathlib import Path

import pytest
from keywright.agent.destination import Destination, Unwritable


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    assert Destination(tmp_path / "x").write(b"one")
    assert ((tmp_path / "x").read_bytes(), stat.S_IMODE((tmp_path / "x").stat().st_mode)) == (b"one", 0o600)
    assert Destination(tmp_path / "x", 0o640, group=os.getegid()).write(b"two")
    assert ((tmp_path / "x").read_bytes(), stat.S_IMODE((tmp_path / "x").stat().st_mode)) == (b"two", 0o640)
    assert names(tmp_path) == ["x"]


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    it = Destination(tmp_path / "x")
    it.write(b"one")
    before = (tmp_path / "x").stat()
    assert not it.write(b"one")
    assert (tmp_path / "x").stat().st_ino == before.st_ino
    (tmp_path / "x").chmod(0o644)
    assert not it.write(b"one")  # its content was right; its mode is, now
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def test_who_reads_has_the_former_or_the_new_one(tmp_path: Path) -> None:
    it = Destination(tmp_path / "x")
    it.write(b"one" * 1000)
    with (tmp_path / "x").open("rb") as reader:
        it.write(b"two")
        assert reader.read() == b"one" * 1000


def test_what_goes_wrong_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = Destination(tmp_path / "x")
    it.write(b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(Unwritable, match="No space left"):
            it.write(b"two")
    assert ((tmp_path / "x").read_bytes(), names(tmp_path)) == (b"one", ["x"])


def test_the_draft_of_one_who_was_killed_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".x.keywright-00000000").write_bytes(b"a secret")
    (tmp_path / ".y.keywright-00000000").write_bytes(b"of another")
    Destination(tmp_path / "x").write(b"one")
    assert names(tmp_path) == [".y.keywright-00000000", "x"]


def test_a_link_is_not_followed_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "x").symlink_to("target")
    with pytest.raises(Unwritable, match="is a symbolic link"):
        Destination(tmp_path / "x").write(b"one")
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert (tmp_path / "x").is_symlink()


def test_a_folder_by_a_link_of_ours(tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("./real/../real")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    assert Destination(tmp_path / "absolute" / "inner" / "x").write(b"one")
    assert (tmp_path / "real" / "inner" / "x").read_bytes() == b"one"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(Unwritable, match="too many"):
        Destination(tmp_path / "round" / "x").write(b"one")


def test_a_folder_by_a_link_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    if os.geteuid() == 0:
        os.lchown(tmp_path / "link", 65534, 65534)
    else:  # to another user, ours is somebody else's
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Unwritable, match="symbolic link that somebody else owns"):
        Destination(tmp_path / "link" / "x").write(b"one")
    assert names(tmp_path / "real") == []


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("folder", "is a directory"), ("pipe", "is no plain file")):
        for act in (lambda it: it.write(b"one"), lambda it: it.look()):
            with pytest.raises(Unwritable, match=why):
                act(Destination(tmp_path / name))
    for place in (tmp_path / "none" / "x", tmp_path / "pipe" / "x"):
        with pytest.raises(Unwritable, match="cannot be entered"):
            Destination(place).write(b"one")
    assert names(tmp_path) == ["folder", "pipe"]


def test_a_folder_in_which_everybody_may_replace_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(Unwritable, match="everybody may replace"):
        Destination(tmp_path / "x").write(b"one")
    tmp_path.chmod(0o1777)
    assert Destination(tmp_path / "x").write(b"one")


def test_looking_writes_nothing(tmp_path: Path) -> None:
    Destination(tmp_path / "x").look()
    assert names(tmp_path) == []
