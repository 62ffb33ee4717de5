"""The comparison itself: a server is like itself, what is unlike is named, and the file of differences stays true."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any

import pytest

from tests.vault.differences import Entry, entries, judge
from tests.vault.pair import Pair, Side
from tests.vault.shapes import ABSENT, Difference, differing

HERE = Path(__file__).parent


@pytest.fixture(name="twins")
def twins_fixture(openbao_of_the_pair: Side) -> Pair:
    return Pair(openbao_of_the_pair, openbao_of_the_pair)


def test_a_server_is_like_itself(twins: Pair) -> None:
    twins.openbao.ask("POST", "secret/data/production/twins/db", {"data": {"a": "b"}})
    twins.both("like itself", lambda side: side.hvac.secrets.kv.v2.read_secret_metadata("production/twins/db"))
    twins.both("like itself", lambda side: side.hvac.auth.token.lookup_self())
    twins.both("like itself", lambda side: side.hvac.sys.read_health_status(method="GET"))
    twins.both("like itself", lambda side: side.hvac.secrets.kv.v2.read_secret_metadata("production/twins/none"))


def test_servers_that_answer_otherwise_are_told_apart(twins: Pair) -> None:
    answers = iter(("production/twins/one", "production/twins/none"))
    twins.openbao.ask("POST", "secret/data/production/twins/one", {"data": {"a": "b"}})
    with pytest.raises(AssertionError, match="status is 200 of OpenBao and 404 of Keywright, and no entry says why"):
        twins.both("unlike", lambda side: side.ask("GET", f"secret/data/{next(answers)}"))


@pytest.mark.parametrize(
    ("one", "other", "seen"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": "1"}, [("a", "1", '"1"')]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
        ({"a": None}, {}, [("a", "null", "absent")]),
        ({}, {"a": {"b": 1}}, [("a", "absent", "object")]),
        ({"a": []}, {"a": None}, [("a", "list of 0", "null")]),
        ({"a": ["x"]}, {"a": []}, [("a.0", '"x"', "absent")]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, [("a.b", '"x"', '"y"')]),
        ({"ttl": 5}, {"ttl": 9}, []),
        ({"ttl": 5}, {"ttl": 0}, [("ttl", "<number>", "0")]),
        ({"version": 1}, {"version": 2}, [("version", "1", "2")]),
        ({"client_token": "s.a"}, {"client_token": "kw_b"}, []),
        ({"client_token": "s.a"}, {"client_token": ""}, [("client_token", "<text>", '""')]),
        ({"t": "2026-01-01T00:00:00Z"}, {"t": "2026-02-02T01:02:03.000000004Z"}, []),
        (
            {"t": "2026-01-01T00:00:00Z"},
            {"t": "2026-01-01T00:00:00+00:00"},
            [("t", "<time>", '"2026-01-01T00:00:00+00:00"')],
        ),
        ({"a": ABSENT}, {"a": ABSENT}, []),
    ],
)
def test_what_is_unlike(one: dict[str, Any], other: dict[str, Any], seen: list[tuple[str, str, str]]) -> None:
    assert differing(one, other) == [Difference(*each) for each in seen]


def test_each_covers_the_other() -> None:
    entry = Entry(("read",), "body.data.*", "null", "absent", "it is so")
    fits, stranger = Difference("body.data.x", "null", "absent"), Difference("body.data.x", "null", "0")
    assert judge("read", [fits], [entry]) == []
    assert judge("write", [], [entry]) == []
    assert judge("read", [], [entry]) == [
        "read: body.data.* is not null here and absent there any more: remove the entry"
    ]
    assert judge("read", [fits, stranger], [entry]) == [
        "read: body.data.x is null of OpenBao and 0 of Keywright, and no entry says why"
    ]
    assert len(judge("write", [fits], [entry])) == 1


def test_every_entry_is_a_decision_about_a_call_that_is_made() -> None:
    made = list(_texts())

    def stands(text: str) -> bool:
        return any(fnmatchcase(text, each) for each in made)

    for entry in entries():
        assert len(entry.reason) > 20, entry
        for call in entry.calls:
            # The command line's names are its words, which stand in the source one by one.
            assert stands(call) or (call.startswith("bao ") and all(map(stands, call.split()))), f"who calls {call!r}?"


def _texts() -> Iterator[str]:
    """Every text in the tests, as patterns: what is filled in stands for anything."""
    for file in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield escape(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [escape(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values]
                if parts != ["*"]:
                    yield "".join(map(str, parts))
    yield from re.findall(r"'(node [^']+)'", (HERE / "node" / "stranger.js").read_text())
