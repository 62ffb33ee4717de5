"""Which files references can reach: by dots, by links, by hard links, and while somebody changes links."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.stores.file import FileStore
from service.core.errors import Invalid, StoreAbsent, StoreError, StoreMalformed, StoreRefused
from service.core.reference import Reference
from service.core.secret import Secret

LIMIT = 64 * 1024


def _read(store: FileStore, location: Path | str) -> Secret:
    return store.read(Reference("file", str(location))).value


@pytest.fixture(name="tree", scope="module")
def tree_fixture() -> Iterator[Path]:
    """root/ with files and links, and outside/ with what must never be read."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        (tree / "root" / "sub").mkdir(parents=True)
        (tree / "outside").mkdir()
        (tree / "root-too").mkdir()
        for forbidden in ("outside/a", "root-too/a", "a"):
            (tree / forbidden).write_text("CANARY")
        (tree / "root" / "a").write_text("one\n")
        (tree / "root" / "sub" / "a").write_text("two")
        (tree / "root" / "out").symlink_to(tree / "outside")
        (tree / "root" / "away").symlink_to("../outside/a")
        (tree / "root" / "up").symlink_to("..")
        (tree / "root" / "in").symlink_to("sub")
        (tree / "root" / "loop").symlink_to("loop")
        yield tree


segments = st.sampled_from(
    ["..", ".", "", "a", "sub", "in", "out", "away", "up", "loop", "root", "outside", "root-too"]
)


@given(parts=st.lists(segments, min_size=1, max_size=7), absolute=st.sampled_from(["", "root/", "root/sub/", "-too/"]))
@settings(max_examples=400, deadline=None)
def test_no_path_leads_out_of_the_root(tree: Path, parts: list[str], absolute: str) -> None:
    location = "/".join(parts)
    if absolute == "-too/":
        location = f"{tree}/root{absolute}{location}"
    elif absolute:
        location = f"{tree}/{absolute}{location}"
    try:
        text = _read(FileStore([tree / "root"]), location).reveal()
    except StoreError as fault:
        text = fault.message
    assert "CANARY" not in text


@pytest.mark.parametrize("location", ["a", "sub/a", "in/a", "up/root/a"])
def test_what_ends_inside_the_root_is_read(tree: Path, location: str) -> None:
    assert _read(FileStore([tree / "root"]), location).reveal() in ("one", "two")
    assert _read(FileStore([tree / "root"]), tree / "root" / location).reveal() in ("one", "two")


@pytest.mark.parametrize("location", ["out/a", "away", "up/a", "up/outside/a", "out/nothing", "../a", "../nothing"])
def test_what_ends_outside_is_refused_whether_it_is_there_or_not(tree: Path, location: str) -> None:
    for asked in (location, tree / "root" / location):
        with pytest.raises(StoreRefused, match="outside"):
            _read(FileStore([tree / "root"]), asked)


def test_a_folder_whose_name_begins_like_the_root_is_outside(tree: Path) -> None:
    for location in ("root-too/a", "root-too/nothing"):
        with pytest.raises(StoreRefused, match="outside"):
            _read(FileStore([tree / "root"]), tree / location)


def test_the_root_may_be_reached_by_a_link(tree: Path) -> None:
    assert _read(FileStore([tree / "root" / "in"]), "a") == Secret("two")


def test_relative_locations_are_looked_for_in_each_root(tree: Path) -> None:
    store = FileStore([tree / "root" / "sub", tree / "root"])
    assert _read(store, "a") == Secret("two")
    assert _read(store, "sub/a") == Secret("two")
    with pytest.raises(StoreAbsent):
        _read(store, "nothing")


def test_without_roots_everything_is_refused(tree: Path) -> None:
    for location in ("a", str(tree / "root" / "a")):
        with pytest.raises(StoreRefused):
            _read(FileStore([]), location)


@pytest.mark.parametrize("root", ["/", "relative", "/tmp/.."])
def test_a_root_is_a_folder_of_its_own(root: str) -> None:
    with pytest.raises(Invalid):
        FileStore([Path(root)])


def test_the_services_own_environment_cannot_be_read_as_a_file() -> None:
    with pytest.raises(StoreRefused):
        _read(FileStore([Path("/proc")]), f"{os.getpid()}/environ")


def test_a_kubernetes_mount_is_followed_when_it_is_swapped(tmp_path: Path) -> None:
    def publish(version: str, value: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "password").write_text(value)
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("..2026_11_01", "first")
    (tmp_path / "password").symlink_to("..data/password")
    store = FileStore([tmp_path])
    first = store.read(Reference("file", "password"))
    publish("..2026_11_02", "second")
    second = store.read(Reference("file", "password"))
    assert (first.value, second.value) == (Secret("first"), Secret("second"))
    assert first.version != second.version


def test_forbidden_files_are_refused_by_every_name(tmp_path: Path) -> None:
    key, root = tmp_path / "root" / "master.key", tmp_path / "root"
    root.mkdir()
    key.write_text("hush")
    (root / "soft").symlink_to("master.key")
    os.link(key, root / "hard")
    (root / "ledger").mkdir()
    (root / "ledger" / "wal").write_text("hush")
    store = FileStore([root], forbidden=(key, root / "ledger", tmp_path / "not-there"))
    for location in ("master.key", "soft", "hard", "ledger/wal"):
        with pytest.raises(StoreRefused, match="Keywright itself"):
            _read(store, location)


def _swapping(monkeypatch: pytest.MonkeyPatch, swap: Callable[[], None]) -> None:
    """Run `swap` once, right after a path was resolved and judged, before it is opened."""
    resolve, pending = os.path.realpath, [swap]

    def realpath(path: str | Path, **options: bool) -> str:
        real = resolve(path, **options)
        if str(path).endswith("sub/a") and pending:
            pending.pop()()
        return real

    monkeypatch.setattr("os.path.realpath", realpath)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_link_put_in_place_after_the_path_was_judged_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder, value in ((root / "sub", "inside"), (outside, "CANARY")):
        folder.mkdir(parents=True)
        (folder / "a").write_text(value)

    def swap() -> None:
        if what == "folder":
            (root / "sub").rename(root / "away")
            (root / "sub").symlink_to(outside)
        else:
            (root / "sub" / "a").unlink()
            (root / "sub" / "a").symlink_to(outside / "a")

    _swapping(monkeypatch, swap)
    with pytest.raises(StoreRefused):
        _read(FileStore([root]), "sub/a")


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b"x", "x"), (b"", ""), (b"x" * LIMIT + b"\n", "x" * LIMIT)],
)
def test_one_newline_at_the_end_is_dropped(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "f").write_bytes(content)
    assert _read(FileStore([tmp_path]), "f") == Secret(value)


@pytest.mark.parametrize("content", [b"x" * (LIMIT + 1), "é".encode() * LIMIT])
def test_a_file_over_the_limit_is_malformed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(StoreMalformed, match="larger"):
        _read(FileStore([tmp_path]), "f")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for location in ("pipe", "folder"):
        with pytest.raises(StoreMalformed, match="regular"):
            _read(FileStore([tmp_path]), location)


def test_a_file_that_the_service_may_not_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, root_user = Path(name), os.geteuid() == 0
        folder.chmod(0o755)
        (folder / "f").write_text("x")
        (folder / "f").chmod(0)
        if root_user:
            os.seteuid(65534)  # root reads everything
        try:
            with pytest.raises(StoreRefused, match="mode"):
                _read(FileStore([folder]), "f")
        finally:
            if root_user:
                os.seteuid(0)


@pytest.mark.parametrize("location", ["a\0b", "x" * 300, "\udcff", "a/b"])
def test_odd_locations_are_answered_like_others(tree: Path, location: str) -> None:
    with pytest.raises((StoreRefused, StoreAbsent)):
        FileStore([tree / "root"]).read(Reference("file", location))


def test_a_file_that_is_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("half")
    read, pending = os.read, ["half and the rest"]

    def slow(handle: int, size: int) -> bytes:
        content = read(handle, size)
        if content == b"half" and pending:
            (tmp_path / "f").write_text(pending.pop())
            return content[:2]
        return content

    monkeypatch.setattr("providers.stores.file.os.read", slow)
    assert _read(FileStore([tmp_path]), "f") == Secret("half and the rest")
