"""Second factors on a terminal: asked for where one is needed, added, listed, taken away. Against a real server."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyotp
import pytest

from tests.client.command import Command
from tests.rigs import persons
from tests.rigs.keywright import Keywright, running_keywright

PROMPT = "or a recovery code"


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright() as served:
        owner = served.client()
        owner.post("/environments", json={"name": "development"})
        owner.put("/environments/development/variables/shop/PASSWORD", json={"value": "hush"})
        yield served


@pytest.fixture
def command(it: Keywright, tmp_path: Path) -> Command:
    return Command(cast(Any, SimpleNamespace(address=it.url)), tmp_path)


_number = iter(range(1000))


@pytest.fixture
def ada(it: Keywright) -> str:
    return persons.add(it.service, f"ada{next(_number)}@keywright.test", persons.OWNER)


def now(secret: str) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC))


def test_a_code_is_asked_for_and_the_command_goes_on(it: Keywright, command: Command, ada: str) -> None:
    secret = persons.app(it.service, ada)
    session = persons.signed_in(it.service, ada)
    code, shown = command.on_a_terminal(
        "get", "shop/PASSWORD", answers={PROMPT: lambda _: now(secret)}, KEYWRIGHT_TOKEN=session
    )
    assert (code, shown.splitlines()[-1]) == (0, "hush")
    told = command("get", "shop/PASSWORD", KEYWRIGHT_TOKEN=session)
    assert (told.returncode, told.stdout) == (0, "hush")


def test_a_wrong_one_is_asked_for_again(it: Keywright, command: Command, ada: str) -> None:
    secret = persons.app(it.service, ada)
    session = persons.signed_in(it.service, ada)
    answers = {PROMPT: "000000", "used before": lambda _: now(secret)}
    code, shown = command.on_a_terminal("get", "shop/PASSWORD", answers=answers, KEYWRIGHT_TOKEN=session)
    assert (code, shown.splitlines()[-1]) == (0, "hush")


def test_without_a_terminal_it_says_what_to_do(it: Keywright, command: Command, ada: str) -> None:
    persons.app(it.service, ada)
    told = command("get", "shop/PASSWORD", "--json", KEYWRIGHT_TOKEN=persons.signed_in(it.service, ada))
    said = json.loads(told.stderr)
    assert (told.returncode, said["error"]) == (3, "factor-needed")
    assert "show your second factor" in said["message"]


@pytest.mark.parametrize("how", ["a token of its own", "no factor"])
def test_who_can_show_none_is_not_asked(it: Keywright, command: Command, ada: str, how: str) -> None:
    if how == "no factor":
        token = persons.signed_in(it.service, ada)
    else:
        persons.app(it.service, ada)
        token = persons.own_token(it.service, ada)
    code, shown = command.on_a_terminal("get", "shop/PASSWORD", answers={}, KEYWRIGHT_TOKEN=token)
    assert code == 3
    assert PROMPT not in shown


def test_an_app_is_added_and_listed_and_taken_away(it: Keywright, command: Command, ada: str) -> None:
    session = persons.signed_in(it.service, ada)

    def first(shown: str) -> str:
        found = re.search(r"or type this into it: ([A-Z2-7]{32})", shown)
        assert found
        assert "█" in shown
        return now(found[1])

    code, shown = command.on_a_terminal(
        "factor", "add", "phone", answers={"The code that it shows": first}, KEYWRIGHT_TOKEN=session
    )
    assert (code, "phone is added" in shown) == (0, True), shown
    assert len(re.findall(r"^  [0-9a-z]{4}(?:-[0-9a-z]{4}){3}\s*$", shown, re.MULTILINE)) == 10
    listed = command("factor", "list", KEYWRIGHT_TOKEN=session).stdout
    assert "phone" in listed
    assert "10 recovery codes left" in listed
    made = command("factor", "recovery-codes", "--json", KEYWRIGHT_TOKEN=session)
    assert len(json.loads(made.stdout)["recovery_codes"]) == 10
    assert command("factor", "remove", "another", KEYWRIGHT_TOKEN=session).returncode == 4
    assert command("factor", "remove", "phone", KEYWRIGHT_TOKEN=session).stdout == "phone is taken away\n"
    assert persons.held(it.service, ada) == []


def test_taking_one_away_asks_for_it_first(it: Keywright, command: Command, ada: str) -> None:
    secret = persons.app(it.service, ada)
    session = persons.signed_in(it.service, ada, factor=timedelta(hours=1))
    code, _ = command.on_a_terminal(
        "factor", "remove", "app", answers={PROMPT: lambda _: now(secret)}, KEYWRIGHT_TOKEN=session
    )
    assert code == 0
    assert persons.held(it.service, ada) == []


def test_without_a_terminal_none_is_added(command: Command) -> None:
    assert command("factor", "add").returncode == 2
