"""What is sealed on disk: closed to whoever has not its key, and to other places."""

import base64
import json
import os
from pathlib import Path

import pytest
from keywright import Invalid
from keywright.agent import subject
from keywright.agent.kept import Sealed
from keywright.agent.subject import Known

from tests.client.server import PASSWORD, credential

SECRET = "hunter2-a9c4"
KNOWN = [
    Known(subject.value("shop/KEY"), {"name": "shop/KEY", "value": SECRET}, '"1"', told=50.0, heard=100.0, skew=0.5),
    Known(subject.credential("shop/db"), credential(), '"7"', told=60.0, heard=100.0),
]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    return file


def sealed(tmp_path: Path, key: Path, address: str = "https://a", environment: str = "production") -> Sealed:
    return Sealed(tmp_path / "cache", key, address, environment)


def test_it_opens_as_it_was(tmp_path: Path, key: Path) -> None:
    assert sealed(tmp_path, key).read() == {}
    sealed(tmp_path, key).write(KNOWN)
    found = sealed(tmp_path, key).read()
    value = found[subject.value("shop/KEY")]
    assert (value.value(), value.etag, value.told, value.heard, value.skew) == (SECRET, '"1"', 50.0, 100.0, 0.5)
    assert value.sealed
    assert found[subject.credential("shop/db")].credential().best.password == PASSWORD


def test_nothing_of_it_is_to_be_seen(tmp_path: Path, key: Path) -> None:
    sealed(tmp_path, key).write(KNOWN)
    content = (tmp_path / "cache").read_bytes()
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    for word in (SECRET, PASSWORD, "shop"):
        assert word.encode() not in content
        assert base64.b64encode(word.encode())[:-4] not in content
    sealed(tmp_path, key).write(KNOWN)
    assert json.loads(content)["nonce"] != json.loads((tmp_path / "cache").read_bytes())["nonce"]


@pytest.mark.parametrize("place", [("https://b", "production"), ("https://a", "staging")])
def test_it_does_not_open_elsewhere(tmp_path: Path, key: Path, place: tuple[str, str]) -> None:
    sealed(tmp_path, key).write(KNOWN)
    with pytest.raises(Invalid, match="does not open"):
        sealed(tmp_path, key, *place).read()


def test_it_does_not_open_once_it_was_changed(tmp_path: Path, key: Path) -> None:
    it = sealed(tmp_path, key)
    it.write(KNOWN)
    whole = json.loads((tmp_path / "cache").read_bytes())
    bent = bytearray(base64.b64decode(whole["sealed"]))
    bent[5] ^= 1
    for content in (
        whole | {"sealed": base64.b64encode(bent).decode()},
        whole | {"nonce": whole["nonce"][:-4]},
        {"nonce": whole["nonce"]},
        [],
        "x",
    ):
        (tmp_path / "cache").write_text(json.dumps(content))
        with pytest.raises(Invalid, match="does not open"):
            it.read()
    (tmp_path / "cache").write_text("{")
    with pytest.raises(Invalid, match="does not open"):
        it.read()
    (tmp_path / "cache").write_text("[" * 100_000)
    with pytest.raises(Invalid, match="does not open"):
        it.read()


def test_what_is_no_plain_file_is_not_waited_for_nor_followed(tmp_path: Path, key: Path) -> None:
    it = sealed(tmp_path, key)
    os.mkfifo(tmp_path / "cache")
    with pytest.raises(Invalid, match="does not open"):
        it.read()
    (tmp_path / "cache").unlink()
    (tmp_path / "cache").symlink_to(key)
    with pytest.raises(Invalid, match="cannot be read"):
        it.read()


def test_a_key_that_is_none(tmp_path: Path, key: Path) -> None:
    for content in (b"", b"short", base64.b64encode(b"x" * 31), b"\xff" * 44):
        key.write_bytes(content)
        with pytest.raises(Invalid, match="holds no key") as caught:
            sealed(tmp_path, key)
        assert content.decode("latin-1") not in str(caught.value) or not content
    with pytest.raises(Invalid, match="cannot be read"):
        sealed(tmp_path, tmp_path / "none")


def test_a_key_that_others_can_read(tmp_path: Path, key: Path) -> None:
    key.chmod(0o640)
    with pytest.raises(Invalid, match="can be read by others"):
        sealed(tmp_path, key)
