"""keywright events: the log listed and followed, and its chain verified from afar."""

import json
import signal
import subprocess
import time
from typing import Any

import pytest
from keywright.commands import events

from tests.client.command import Command, Inside
from tests.client.server import Asked, Server, Told, problem


def happened(number: int, action: str = "value.fetch", **more: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "at": f"2026-11-22T12:00:{number % 60:02}+00:00",
        "actor": "token-1",
        "kind": "machine",
        "name": "shop\x1b[2J",
        "address": "192.0.2.7",
        "request": "r-1",
        "action": action,
        "outcome": "allowed",
        "environment": "production",
        "resource": "shop/db",
        "detail": {"version": 3},
        **more,
    }


def served(server: Server, *log: dict[str, Any]) -> list[dict[str, Any]]:
    """The log, the oldest first: what is added to it later is served too."""
    growing = list(log)

    def answer(asked: Asked) -> Told:
        before = int(asked.query.get("cursor") or 10**9)
        limit = int(asked.query["limit"])
        fits = [each for each in reversed(growing) if int(each["id"]) < before][:limit]
        following = fits[-1]["id"] if len(fits) == limit else None
        return Told(body={"items": fits, "next": following, "index_lag": 0})

    server.route("GET", "/events", answer)
    server.route("GET", "/me", Told(body={"id": "own", "name": "me"}))
    return growing


def test_the_latest_are_listed_the_youngest_first(inside: Inside, server: Server) -> None:
    served(server, happened(1), happened(2, name=None, environment="", resource="", detail={}))
    told = inside("events")
    assert (told.returncode, told.stderr) == (0, "")
    heading, *rows = (line.split() for line in told.stdout.splitlines())
    assert heading == ["ID", "AT", "OUTCOME", "WHO", "ADDRESS", "ACTION", "WHERE", "DETAIL"]
    assert rows == [
        ["2", "2026-11-22T12:00:02+00:00", "allowed", "token-1", "192.0.2.7", "value.fetch"],
        ["1", "2026-11-22T12:00:01+00:00", "allowed", "shop[2J", "192.0.2.7", "value.fetch", "production:shop/db",
         "version=3"],
    ]  # fmt: skip
    assert json.loads(inside("events", "--json").stdout)[1] == happened(1)


def test_what_is_asked_for_is_asked(inside: Inside, server: Server) -> None:
    served(server)
    filters = ["--actor", "shop", "--action", "value.fetch", "--resource", "shop/db", "--environment", "production"]
    filters += ["--outcome", "refused", "--since", "2026-11-22T12:00:00Z", "--until", "2026-11-23T12:00:00Z"]
    assert inside("events", *filters, "--limit", "7").returncode == 0
    assert server.asked[-1].query == {
        "actor": "shop",
        "action": "value.fetch",
        "resource": "shop/db",
        "environment": "production",
        "outcome": "refused",
        "since": "2026-11-22T12:00:00Z",
        "until": "2026-11-23T12:00:00Z",
        "limit": "7",
    }
    inside("events")
    assert server.asked[-1].query == {"limit": "50"}  # in every environment, whichever one is set


def test_many_are_fetched_page_by_page_and_no_more_than_asked(inside: Inside, server: Server) -> None:
    served(server, *map(happened, range(1, 1300)))
    found = json.loads(inside("events", "--limit", "1100", "--json").stdout)
    assert [int(each["id"]) for each in found] == list(range(1299, 199, -1))
    assert [asked.query["limit"] for asked in server.asked] == ["500"] * 3


@pytest.mark.parametrize("as_json", [False, True])
def test_they_are_followed_the_oldest_first(keywright: Command, server: Server, as_json: bool) -> None:
    """One's own looks are left out, or they would never end; a server that is away for a while is borne."""
    log = served(server, happened(1), happened(2, "event.list", actor="own"), happened(3, "event.list"))
    running = keywright.start("events", "--follow", *(["--json"] if as_json else []))
    assert running.stdout
    try:
        ids = [first(running, as_json), first(running, as_json)]
        log += [happened(4, "event.list", actor="own"), happened(5), happened(6)]
        ids += [first(running, as_json), first(running, as_json)]
        server.down = problem("unavailable", 503)
        asked = len(server.asked)
        until = time.monotonic() + 20
        while len(server.asked) == asked and time.monotonic() < until:
            time.sleep(0.05)
        log.append(happened(7))
        server.down = None
        ids.append(first(running, as_json))
    finally:
        running.send_signal(signal.SIGINT)
        _, complained = running.communicate(timeout=20)
    assert ids == [1, 3, 5, 6, 7]
    assert running.returncode == 130
    assert "trying again" in complained


def first(running: "subprocess.Popen[str]", as_json: bool) -> int:
    assert running.stdout
    line = running.stdout.readline()
    assert "\x1b" not in line
    return int(json.loads(line)["id"] if as_json else line.split()[0])


def test_a_flood_is_not_followed_for_ever(inside: Inside, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    log = served(server, happened(1))
    looks = 0

    def look(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyboardInterrupt
        log.extend(map(happened, range(2, 300)))

    monkeypatch.setattr(events, "MOST", 100)
    monkeypatch.setattr(events.time, "sleep", look)
    told = inside("events", "--follow")
    assert [int(line.split()[0]) for line in told.stdout.splitlines()] == [1, *range(200, 300)]
    assert "more than 100 events" in told.stderr


def proof(events_: int, following: str | None = None, **more: Any) -> Told:
    return Told(
        body={
            "whole": True,
            "events": events_,
            "end": "ab" * 32,
            "broken_at": None,
            "finding": "the chain is whole",
            "pruned": 0,
            "last": 30,
            "next": following,
            **more,
        }
    )


def test_the_chain_is_followed_piece_by_piece(inside: Inside, server: Server) -> None:
    pieces = {None: proof(10, "a"), "a": proof(20, "b"), "b": proof(30)}
    server.route("GET", "/events/verify", lambda asked: pieces[asked.query.get("cursor")])
    told = inside("events", "verify")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"the chain is whole: 30 events, end {'ab' * 32}\n"
    assert [asked.query for asked in server.asked] == [
        {"seconds": "5"},
        {"seconds": "5", "cursor": "a"},
        {"seconds": "5", "cursor": "b"},
    ]
    assert json.loads(inside("events", "verify", "--json").stdout)["events"] == 30


def test_the_index_is_compared_if_asked_for(inside: Inside, server: Server) -> None:
    differs = "the query index differs from the log: of events 1 to 10 it lacks 1 terms"
    pieces = {None: proof(10, "a", index=differs), "a": proof(20, index="")}
    server.route("GET", "/events/verify", lambda asked: pieces[asked.query.get("cursor")])
    told = inside("events", "verify", "--index")
    assert (told.returncode, told.stdout.splitlines()[1]) == (1, differs)
    assert [asked.query["index"] for asked in server.asked] == ["true", "true"]
    assert json.loads(inside("events", "verify", "--index", "--json").stdout)["index"] == differs
    server.route("GET", "/events/verify", proof(20, index=""))
    told = inside("events", "verify", "--index")
    assert (told.returncode, told.stdout.splitlines()[1]) == (0, "the query index has what the log has")


def test_a_broken_chain_ends_it_with_1(inside: Inside, server: Server) -> None:
    broken = proof(9, whole=False, broken_at=10, finding="event 10 is missing\x1b")
    server.route("GET", "/events/verify", broken)
    told = inside("events", "verify")
    assert (told.returncode, told.stdout) == (1, f"event 10 is missing: 9 events, end {'ab' * 32}\n")
    assert inside("events", "verify", "--json").returncode == 1


def test_how_far_it_is_is_shown_on_a_terminal(keywright: Command, server: Server) -> None:
    pieces = {None: proof(10, "a"), "a": proof(30)}
    server.route("GET", "/events/verify", lambda asked: pieces[asked.query.get("cursor")])
    code, shown = keywright.on_a_terminal("events", "verify", answers={})
    assert code == 0
    assert "verifying" in shown
    assert "the chain is whole: 30 events" in shown


def test_a_checkpoint_is_json_to_the_letter(inside: Inside, server: Server) -> None:
    body = {"installation": "01" * 32, "seq": 4, "hash": "02" * 32, "at": "2026-…", "key": "k", "signature": "s"}
    server.route("GET", "/events/checkpoint", Told(body=body))
    assert json.loads(inside("events", "checkpoint").stdout) == body


@pytest.mark.parametrize("path", ["/events", "/events/verify"])
def test_answers_of_another_form_are_told(inside: Inside, server: Server, path: str) -> None:
    server.route("GET", path, Told(body={"items": [{"id": "x"}], "whole": "yes", "next": None}))
    told = inside(*path.strip("/").split("/"))
    assert told.returncode == 1
    assert "has not the form that this client knows" in told.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_no_command_is_not_repeated(inside: Inside, server: Server, as_json: bool) -> None:
    served(server)
    told = inside("events", "s3cret", *(["--json"] if as_json else []))
    assert (told.returncode, told.stdout) == (2, "")
    assert "s3cret" not in told.stderr
    assert "no such command" in told.stderr
    assert told.stderr.startswith("{") is as_json


def test_wrong_uses(inside: Inside, server: Server) -> None:
    served(server)
    for words in (["--follow", "--until", "2026-11-22T12:00:00Z"], ["--outcome", "odd"], ["--limit", "0"]):
        assert inside("events", *words).returncode == 2
    assert server.asked == []


def test_whoever_may_not_is_told_so(inside: Inside, server: Server) -> None:
    for path in ("/events", "/events/verify", "/events/checkpoint"):
        server.route("GET", path, problem("absent", 404))
        told = inside(*path.strip("/").split("/"))
        assert (told.returncode, told.stdout) == (4, "")
