"""keywright run: what the program gets, what it does not get, and how it ends."""

import json
import signal
import sys

import pytest

from tests.client.command import Command, command_lines
from tests.client.server import PASSWORD, TOKEN, Asked, Server, Told, credential, problem

SHOW = (
    "import json, os, pathlib;"
    "print(json.dumps({'pid': os.getpid(), 'environ': dict(os.environ),"
    " 'cmdline': pathlib.Path('/proc/self/cmdline').read_text()}))"
)


def show(keywright: Command, *arguments: str, **more: str | None) -> dict:
    told = keywright("run", *arguments, "--", sys.executable, "-c", SHOW, **more)
    assert (told.returncode, told.stderr) == (0, "")
    return json.loads(told.stdout)


@pytest.fixture(autouse=True)
def shop(server: Server) -> None:
    server.values = {
        "shop/db/HOST": "db1",
        "shop/db/KEY": "two\nlines ünd",
        "mail/LIMITS": {"rows": 5},
        "mail/HOST2": "mx",
    }
    server.credentials["shop/db"] = ('"7"', credential())


def test_a_folder_and_nothing_of_keywrights_token(keywright: Command) -> None:
    child = show(keywright, "--folder", "shop", KEYWRIGHT_TOKEN_FILE="/nowhere", OWN="kept")["environ"]
    assert (child["HOST"], child["KEY"], child["OWN"]) == ("db1", "two\nlines ünd", "kept")
    assert not {"LIMITS", "HOST2", "KEYWRIGHT_TOKEN", "KEYWRIGHT_TOKEN_FILE"} & set(child)
    assert TOKEN not in str(child)


def test_the_token_is_passed_when_asked(keywright: Command) -> None:
    assert show(keywright, "--pass-token", "--names", "shop/db/HOST")["environ"]["KEYWRIGHT_TOKEN"] == TOKEN


def test_names_and_the_whole_environment(keywright: Command) -> None:
    child = show(keywright, "--names", "shop/db/HOST,mail/LIMITS")["environ"]
    assert (child["HOST"], child["LIMITS"], "KEY" in child) == ("db1", '{"rows": 5}', False)
    assert {"HOST", "KEY", "LIMITS", "HOST2"} <= set(show(keywright)["environ"])


def test_a_connection(keywright: Command, server: Server) -> None:
    seen: list[str] = []

    def tell(_: Asked) -> Told:
        seen.append(command_lines())
        return Told(body=credential())

    server.route("GET", "/environments/development/credentials/shop/db", tell)
    child = show(keywright, "--connection", "shop/db", "--prefix", "SHOP_")
    assert child["environ"]["SHOP_DATABASE_URL"] == f"postgresql://shop_a:{PASSWORD}@db1:5432/shop"
    assert child["environ"]["SHOP_DB_PASSWORD"] == PASSWORD
    assert "HOST" not in child["environ"]
    assert PASSWORD not in child["cmdline"] + seen[0]
    assert TOKEN not in child["cmdline"] + seen[0]
    both = show(keywright, "--connection", "shop/db", "--folder", "shop")["environ"]
    assert (both["HOST"], both["DB_USER"]) == ("db1", "shop_a")


def test_nothing_is_written_to_disk(keywright: Command) -> None:
    show(keywright, "--folder", "shop")
    assert not keywright.home.exists()


def test_the_program_takes_the_place_of_the_command(keywright: Command) -> None:
    program = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read(); import time; time.sleep(60)"
    process = keywright.start("run", "--folder", "shop", "--", sys.executable, "-c", program)
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("dashes", [["--"], []])
def test_options_after_the_program_and_its_exit_code_are_its_own(keywright: Command, dashes: list[str]) -> None:
    told = keywright(
        "run", "--folder", "shop", *dashes, "sh", "-c", 'echo "$HOST $*"; exit 42', "sh", "--json", "--env"
    )
    assert (told.returncode, told.stdout) == (42, "db1 --json --env\n")


def test_refusals_run_nothing(keywright: Command, server: Server) -> None:
    server.values |= {"mail/HOST": "hunter2", "odd/a.b": "x"}
    told = keywright("run", "--", "echo", "ran")
    assert (told.returncode, told.stdout) == (5, "")
    assert "shop/db/HOST" in told.stderr
    assert "mail/HOST" in told.stderr
    assert "hunter2" not in told.stderr
    assert "odd/a.b" in keywright("run", "--folder", "odd", "--", "echo", "ran").stderr
    assert keywright("run", "--names", "shop/none", "--", "echo", "ran").returncode == 4
    assert keywright("run", "--folder", "shop", "--names", "mail/HOST", "--", "echo", "ran").returncode == 2
    assert keywright("run", "--folder", "shop").returncode == 2
    server.down = problem("unavailable", 503)
    told = keywright("run", "--json", "--folder", "shop", "--", "echo", "ran")
    assert (told.returncode, told.stdout, json.loads(told.stderr)["error"]) == (7, "", "unavailable")


def test_a_program_that_cannot_be_run(keywright: Command) -> None:
    told = keywright("run", "--folder", "shop", "--", "no-such-program")
    assert (told.returncode, told.stderr) == (127, "keywright: no-such-program was not found\n")
    assert keywright("run", "--folder", "shop", "--", "/etc/passwd").returncode == 126
