"""keywright login: asked, checked, kept for one person and one server."""

import json

import pytest

from tests.client.command import Command, command_lines
from tests.client.server import TOKEN, Asked, Server, Told, serve

ME = {"id": "m-1", "name": "ada\x1b[1m", "kind": "person", "grants": [], "groups": [], "attributes": {}}
BARE = {"KEYWRIGHT_ADDR": None, "KEYWRIGHT_TOKEN": None, "KEYWRIGHT_ENVIRONMENT": None}


@pytest.fixture(autouse=True)
def me(server: Server) -> list[str]:
    seen: list[str] = []

    def tell(_: Asked) -> Told:
        seen.append(command_lines())
        return Told(body=ME)

    server.route("GET", "/me", tell)
    server.values = {"a": "b"}
    return seen


def test_a_token_from_standard_input(keywright: Command, server: Server, me: list[str]) -> None:
    login = ("login", "--token-stdin", "--addr", server.address + "/", "--env", "development")
    told = keywright(*login, stdin=TOKEN + "\n", **BARE)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"signed in at {server.address} as ada[1m\n"
    assert keywright.login_file.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in me[0]
    assert keywright("get", "a", **BARE).stdout == "b"
    with serve() as other:
        told = keywright("get", "a", "--addr", other.address, **BARE)
        assert (told.returncode, other.asked) == (3, [])
    assert keywright("login", "--logout", **BARE).stdout == "signed out\n"
    assert not keywright.login_file.exists()
    assert keywright("login", "--logout", **BARE).returncode == 0
    assert keywright("get", "a", **BARE).returncode == 3


def test_asked_on_a_terminal(keywright: Command, server: Server) -> None:
    answers = {"Address": server.address, "Token": TOKEN}
    code, shown = keywright.on_a_terminal("login", "--ask-token", answers=answers, **BARE)
    assert code == 0
    assert TOKEN not in shown
    assert "signed in" in shown
    assert json.loads(keywright.login_file.read_text())["logins"][server.address]["token"] == TOKEN


def test_a_token_that_is_not_valid_is_not_kept(keywright: Command, server: Server) -> None:
    told = keywright("login", "--token-stdin", stdin="kw_wrong\n")
    assert told.returncode == 3
    assert "kw_wrong" not in told.stderr
    assert not keywright.login_file.exists()


def test_a_former_login_survives_a_failed_one(keywright: Command) -> None:
    assert keywright("login", "--token-stdin", stdin=TOKEN).returncode == 0
    before = keywright.login_file.read_bytes()
    assert keywright("login", "--token-stdin", stdin="kw_wrong\n").returncode == 3
    assert keywright.login_file.read_bytes() == before
    assert list(keywright.login_file.parent.iterdir()) == [keywright.login_file]


def test_without_a_terminal_it_says_how(keywright: Command) -> None:
    told = keywright("login")
    assert (told.returncode, "--token-stdin" in told.stderr) == (2, True)
    told = keywright("login", "--token-stdin", stdin=TOKEN, KEYWRIGHT_ADDR=None)
    assert (told.returncode, "--addr" in told.stderr) == (2, True)


def test_in_json(keywright: Command, server: Server) -> None:
    told = keywright("login", "--token-stdin", "--json", stdin=TOKEN)
    assert json.loads(told.stdout) == {"address": server.address, "id": "m-1", "name": ME["name"], "kind": "person"}
    assert TOKEN not in told.stdout
