"""keywright get, set and list, and how every command ends."""

import json
from pathlib import Path

import pytest

from tests.client.command import Command, Inside, command_lines
from tests.client.server import TOKEN, Asked, Server, Told, free_port, problem

VALUE = "s3cret value-77ac"
NAME = "/environments/development/variables/shop/db/PASSWORD"


def definition(live: int | None = 3, newest: int = 3) -> dict:
    versions = [
        {"number": n, "kind": "literal", "state": "live" if n == live else "kept"} for n in range(1, newest + 1)
    ]
    return {"name": "shop/db/PASSWORD", "secret": True, "kind": "literal", "live": live, "versions": versions}


def test_get_writes_the_value_and_nothing_else(keywright: Command, server: Server) -> None:
    server.values = {"shop/db/PASSWORD": "two\nlines \x1b[31m\n", "shop/limits": {"rows": 5}}
    told = keywright("get", "shop/db/PASSWORD")
    assert (told.returncode, told.stdout, told.stderr) == (0, "two\nlines \x1b[31m\n", "")
    assert json.loads(keywright("get", "shop/limits").stdout) == {"rows": 5}
    assert json.loads(keywright("get", "shop/limits", "--json").stdout)["version"] == 3


def test_get_on_a_terminal_shows_no_control_characters(keywright: Command, server: Server) -> None:
    server.values = {"shop/db/PASSWORD": "red \x1b[31m\x9b0m alert\x07"}
    code, shown = keywright.on_a_terminal("get", "shop/db/PASSWORD", answers={})
    assert (code, shown) == (0, "red [31m0m alert\r\n")


def test_get_a_folder(inside: Inside, server: Server) -> None:
    server.values = {"shop/HOST": "db1", "shop/KEY": "two\nlines\x1b", "mail/HOST": "mx"}
    assert inside("get", "--folder", "shop").stdout == 'shop/HOST=db1\nshop/KEY="two\\nlines\\u001b"\n'
    told = json.loads(inside("get", "--folder", "shop", "--json").stdout)
    assert [entry["name"] for entry in told["values"]] == ["shop/HOST", "shop/KEY"]


@pytest.mark.parametrize("way", ["stdin", "file", "object", "prompt"])
def test_set_shows_the_value_to_no_other_process(keywright: Command, server: Server, tmp_path: Path, way: str) -> None:
    seen: list[str] = []

    def put(asked: Asked) -> Told:
        seen.append(command_lines())
        return Told(201, definition())

    server.route("PUT", NAME, put)
    file = tmp_path / "value"
    file.write_text(VALUE + "\n")
    if way == "stdin":
        told, sent = keywright("set", "shop/db/PASSWORD", stdin=VALUE + "\n"), VALUE
    elif way == "file":
        told, sent = keywright("set", "shop/db/PASSWORD", "--value-file", str(file)), VALUE + "\n"
    elif way == "object":
        told, sent = keywright("set", "shop/db/PASSWORD", "--object", stdin=f'{{"a": "{VALUE}"}}'), {"a": VALUE}
    else:
        code, shown = keywright.on_a_terminal("set", "shop/db/PASSWORD", answers={"Value": VALUE, "Repeat": VALUE})
        assert code == 0
        assert VALUE not in shown
        told, sent = None, VALUE
    if told is not None:
        assert (told.returncode, told.stdout) == (0, "shop/db/PASSWORD: version 3 is live\n")
        assert VALUE not in told.stdout + told.stderr
    assert server.asked[-1].body == {"value": sent, "secret": True, "activate": True}
    assert "keywright\0set" in seen[0]
    assert VALUE not in seen[0]
    assert TOKEN not in seen[0]


def test_set_a_reference_a_template_and_a_held_version(inside: Inside, server: Server) -> None:
    server.route("PUT", NAME, Told(200, definition(live=3, newest=4)))
    told = inside("set", "shop/db/PASSWORD", "--reference", "vault:kv/shop#pw", "--plain", "--no-activate")
    assert told.stdout == "shop/db/PASSWORD: version 3 is live, version 4 is kept\n"
    assert server.asked[-1].body == {"reference": "vault:kv/shop#pw", "secret": False, "activate": False}
    assert inside("set", "shop/db/PASSWORD", "--template", "x://${a/b}", "--json").returncode == 0
    assert server.asked[-1].body == {"template": "x://${a/b}", "secret": True, "activate": True}


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["set", "shop/db/PASSWORD", VALUE], "", 2),
        (["set", "shop/db/PASSWORD", VALUE, "--json"], "", 2),
        (["set", "shop/db/PASSWORD", "--object"], f'{{"a": {VALUE}', 5),
        (["set", "shop/db/PASSWORD", "--object"], f'["{VALUE}"]', 5),
        (["set", "shop/db/PASSWORD"], "", 5),
        (["set", "shop/db/PASSWORD", "--reference", "vault:x", "--template", "y"], "", 2),
        (["login", TOKEN], "", 2),
    ],
)
def test_what_was_given_wrongly_is_not_repeated(
    keywright: Command, server: Server, arguments: list[str], stdin: str, code: int
) -> None:
    told = keywright(*arguments, stdin=stdin)
    assert told.returncode == code
    assert VALUE not in told.stdout + told.stderr
    assert TOKEN not in told.stdout + told.stderr
    assert told.stderr.count("\n") == 1
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem("unauthenticated", 401), 3),
        (problem("forbidden", 403), 3),
        (problem("absent", 404), 4),
        (problem("invalid", 422), 5),
        (problem("conflict", 409), 5),
        (problem("outdated", 412), 5),
        (problem("too-large", 413), 5),
        (problem("store-absent", 424), 7),
        (problem("store-unreachable", 504), 7),
        (problem("unavailable", 503), 7),
        (Told(200, b"<html>"), 1),
    ],
)
def test_every_error_is_one_line_and_one_exit_code(inside: Inside, server: Server, answer: Told, code: int) -> None:
    server.route("GET", "/environments/development/values/a", answer)
    told = inside("get", "a")
    assert (told.returncode, told.stdout) == (code, "")
    assert told.stderr.startswith("keywright: ")
    assert told.stderr.count("\n") == 1


def test_an_error_in_json(inside: Inside, server: Server) -> None:
    told = inside("get", "shop/none", "--json")
    assert (told.returncode, told.stdout) == (4, "")
    error = json.loads(told.stderr)
    assert (error["error"], error["exit"], error["status"], error["request_id"]) == ("absent", 4, 404, "r-1")
    assert "look at the name" in error["message"]
    told = inside("get", "--json")
    assert (told.returncode, json.loads(told.stderr)["error"]) == (2, "usage")
    told = inside("list", "--nonsense", "--json")
    assert (told.returncode, json.loads(told.stderr)["error"]) == (2, "usage")


def test_surroundings_that_lack_something(inside: Inside) -> None:
    assert inside("get", "a", KEYWRIGHT_ADDR=None).returncode == 3
    assert inside("get", "a", KEYWRIGHT_TOKEN=None).returncode == 3
    assert inside("get", "a", KEYWRIGHT_ENVIRONMENT=None).returncode == 5
    assert inside("get", "a", KEYWRIGHT_ADDR=f"http://127.0.0.1:{free_port()}").returncode == 7
    told = inside("get", "a", "--addr", "http://192.0.2.1")
    assert (told.returncode, "show the token" in told.stderr) == (5, True)


def test_list_pages_and_cleans(keywright: Command, server: Server) -> None:
    def page(asked: Asked) -> Told:
        number = int(asked.query.get("cursor", "0"))
        name = f"shop/db/V{number}" + ("\x1b[2J[red]" if number == 1 else "")
        item = {"name": name, "secret": True, "kind": "literal", "live": 1, "updated_at": "2026-01-01T00:00:00Z"}
        return Told(body={"items": [item], "next": str(number + 1) if number < 2 else None})

    server.route("GET", "/environments/development/variables", page)
    told = keywright("list", "--folder", "shop/db/")
    assert told.returncode == 0
    assert [line.split()[0] for line in told.stdout.splitlines()] == [
        "NAME",
        "shop/db/V0",
        "shop/db/V1[2J[red]",
        "shop/db/V2",
    ]
    assert {asked.query["folder"] for asked in server.asked} == {"shop/db"}
    code, shown = keywright.on_a_terminal("list", answers={})
    assert code == 0
    assert "\x1b[2J" not in shown
    assert len(json.loads(keywright("list", "--json").stdout)) == 3


def test_list_connections_rotations_and_environments(inside: Inside, server: Server) -> None:
    health = {"state": "warned", "findings": ["the server trusts everybody"]}
    endpoints = [{"host": "db1", "port": 5432, "part": "primary", "required": True}]
    connections = [
        {
            "id": f"id-of-{name}",
            "name": name,
            "engine": "postgresql",
            "endpoints": endpoints,
            "generation": 7,
            "health": health,
        }
        for name in ("shop/db", "mail/db")
    ]
    server.route("GET", "/environments/development/connections", Told(body={"items": connections, "next": None}))
    rotations = [{"id": "rot-1", "connection": "shop/db", "stage": "draining", "strategy": "alternating"}]
    server.route("GET", "/environments/development/rotations", Told(body={"items": rotations, "next": None}))
    server.route("GET", "/environments", Told(body={"items": [{"name": "development"}], "next": None}))
    shown = inside("list", "connections", "--folder", "shop").stdout
    assert "db1:5432" in shown
    assert "id-of-shop/db" in shown
    assert "warned: the server trusts everybody" in shown
    assert "mail/db" not in shown
    assert "rot-1" in inside("list", "rotations").stdout
    assert "development" in inside("list", "environments", KEYWRIGHT_ENVIRONMENT=None).stdout
    assert inside("list", "environments", "--folder", "x").returncode == 2
    assert inside("list", "nonsense").returncode == 2


def test_the_readme_and_the_help_tell_the_same_exit_codes(inside: Inside) -> None:
    readme = (Path(__file__).parents[2] / "client" / "README.md").read_text()
    shown = inside("--help").stdout
    rows = [line.strip("| ").split(" | ") for line in readme.splitlines() if line[:3].strip("| ").isdigit()]
    assert [row[0] for row in rows] == list("01234567")
    for code, meaning in rows:
        assert f"{code}  {meaning}" in shown
    for name in ("login", "get", "list", "set", "rotate", "rotations", "rotation", "run"):
        assert f"keywright {name}" in readme
        one = inside(name, "--help").stdout
        assert "7  the server or a store" in one
        assert all(option in one for option in ("--env", "-e", "--addr", "--json"))


def test_completion_for_the_shell(keywright: Command) -> None:
    told = keywright(_KEYWRIGHT_COMPLETE="complete_bash", COMP_WORDS="keywright rot", COMP_CWORD="1")
    assert told.stdout.split() == ["rotate", "rotations", "rotation"]
    assert "--install-completion" in keywright().stdout


def test_a_folder_without_variables_is_said_beside(keywright: Command) -> None:
    told = keywright("get", "--folder", "nope")
    assert (told.returncode, told.stdout) == (0, "")
    assert "no variables in nope" in told.stderr
