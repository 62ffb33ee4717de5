"""Where the client finds its server, token and environment, and where it refuses to send the token."""

import json
from pathlib import Path

import pytest
from keywright import Invalid, Unauthenticated, login
from keywright.discovery import discover, login_file

HTTPS = "https://keywright.example"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    file = tmp_path / "keywright" / "login.json"
    login.write(file, login.Login(HTTPS, "kw_stored", "staging"))
    return file


def around(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), **more}


def test_arguments_come_before_the_environment_and_that_before_the_login(tmp_path: Path, stored: Path) -> None:
    found = discover(environ=around(tmp_path))
    assert (found.address, found.token(), found.environment) == (HTTPS, "kw_stored", "staging")
    environ = around(
        tmp_path, KEYWRIGHT_ADDR=HTTPS + "/", KEYWRIGHT_TOKEN="kw_environ", KEYWRIGHT_ENVIRONMENT="testing"
    )
    found = discover(environ=environ)
    assert (found.address, found.token(), found.environment) == (HTTPS, "kw_environ", "testing")
    found = discover("https://other", "kw_argument", "production", environ=environ)
    assert (found.address, found.token(), found.environment) == ("https://other", "kw_argument", "production")


def test_the_stored_token_goes_to_no_other_server(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(Unauthenticated, match="https://elsewhere"):
        discover("https://elsewhere", environ=around(tmp_path))
    with pytest.raises(Unauthenticated):
        discover(environ=around(tmp_path, KEYWRIGHT_ADDR="https://elsewhere"))


@pytest.mark.parametrize("address", ["http://keywright.example", "http://10.0.0.1:8443", "http://localhost.example"])
def test_plain_http_is_refused_but_to_loopback(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid, match="show the token to the network"):
        discover(address, "kw_x", environ=around(tmp_path))
    assert discover(address, "kw_x", environ=around(tmp_path, KEYWRIGHT_ALLOW_PLAIN="1")).address == address


@pytest.mark.parametrize("address", ["http://localhost:1", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1"])
def test_plain_http_is_allowed_to_loopback(tmp_path: Path, address: str) -> None:
    assert discover(address, "kw_x", environ=around(tmp_path)).address == address


@pytest.mark.parametrize("address", ["keywright.example", "ftp://x", "https://", "https://x:port", "https://x?y=1"])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid):
        discover(address, "kw_x", environ=around(tmp_path))


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        discover("https://me:hunter2@keywright.example", "kw_x", environ=around(tmp_path))
    assert "hunter2" not in str(caught.value)


def test_nothing_known_is_not_signed_in(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated, match="keywright login"):
        discover(environ=around(tmp_path))
    with pytest.raises(Unauthenticated, match="keywright login"):
        discover(HTTPS, environ=around(tmp_path))
    with pytest.raises(Invalid, match="--env"):
        discover(HTTPS, "kw_x", environ=around(tmp_path)).named_environment()


def test_a_token_file_is_read_for_every_call(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("kw_first\n")
    found = discover(HTTPS, environ=around(tmp_path, KEYWRIGHT_TOKEN_FILE=str(file)))
    assert found.token() == "kw_first"
    file.write_text("kw_second\n")
    assert found.token() == "kw_second"
    file.unlink()
    with pytest.raises(Unauthenticated, match="cannot be read"):
        found.token()


@pytest.mark.parametrize("token", ["kw_a b", "kw_a\nX-Other: 1", "kw_ä", "  "])
def test_a_token_that_cannot_travel_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        discover(HTTPS, token, environ=around(tmp_path)).token()
    assert "kw_" not in str(caught.value)


def test_the_stored_login_is_for_its_owner_only(tmp_path: Path, stored: Path) -> None:
    assert stored.stat().st_mode & 0o777 == 0o600
    assert stored.parent.stat().st_mode & 0o777 == 0o700
    assert list(stored.parent.iterdir()) == [stored]
    stored.chmod(0o640)
    with pytest.raises(Invalid, match="other users"):
        discover(environ=around(tmp_path))


@pytest.mark.parametrize(
    "content", ["kw_half", "[]", json.dumps({"address": HTTPS}), '{"address": 1, "token": "kw_x"}']
)
def test_a_broken_login_is_named_and_not_repeated(tmp_path: Path, stored: Path, content: str) -> None:
    stored.write_text(content)
    with pytest.raises(Invalid, match="holds no stored logins") as caught:
        discover(environ=around(tmp_path))
    assert "kw_" not in str(caught.value)


def test_a_relative_configuration_home_is_ignored(tmp_path: Path) -> None:
    assert login_file({"XDG_CONFIG_HOME": "here"}) == Path.home() / ".config" / "keywright" / "login.json"


def test_no_repr_holds_a_token(tmp_path: Path, stored: Path) -> None:
    found = discover(HTTPS, "kw_secret", environ=around(tmp_path))
    assert "kw_" not in repr(found) + repr(login.read(stored))
