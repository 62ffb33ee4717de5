"""keywright incident, incidents, incident-watch, incident-cancel and incident-resume."""

import json
import signal
from collections.abc import Mapping

import pytest

from tests.client.command import Command, Inside
from tests.client.server import Asked, Server, Told

PATH = "/environments/development/incidents"
PLAN = {
    "connections": ["shop/a", "shop/b"],
    "skipped": [{"connection": "shop/admin", "reason": "it has no rotation policy"}],
    "lasts": 1.0,
}


def told(state: str = "running", waiting: int = 0, troubles: tuple = (), **stages: int) -> dict:
    return {
        "id": "inc-1",
        "environment": "development",
        "folder": "shop",
        "reason": "a leak\x1b",
        "state": state,
        "total": 1 + waiting + sum(stages.values()),
        "waiting": waiting,
        "stages": stages,
        "skipped": PLAN["skipped"],
        "troubles": list(troubles),
        "created_at": "2026-01-01T00:00:00Z",
    }


def served(server: Server, *looks: Mapping[str, object]) -> None:
    """Asked for, it is as the first; then one further each time somebody looks, and at last as the last."""
    following = iter(looks[1:])

    def begin(asked: Asked) -> Told:
        return Told(200, PLAN) if asked.body.get("dry_run") else Told(202, looks[0])

    server.route("POST", PATH, begin)
    server.route("GET", "/incidents/inc-1", lambda _: Told(body=next(following, looks[-1])))


def test_it_is_followed_until_all_are_turned(keywright: Command, server: Server) -> None:
    served(server, told(waiting=2), told(waiting=1, applied=1), told(draining=1, retired=1))
    found = keywright("incident", "shop/", "--reason", "a leak", "--emergency", "--per-minute", "30", "--yes")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines() == [
        "incident inc-1: 2 connections",
        "0 of 2 done: 2 waiting",
        "0 of 2 done: 1 waiting, 1 applied",
        "2 of 2 done: 1 draining, 1 retired",
        "1 former passwords still work until they have drained; nothing more is needed",
    ]
    asked = server.asked[0]
    assert asked.body == {"folder": "shop", "reason": "a leak", "emergency": True, "per_minute": 30}
    assert len(asked.headers["idempotency-key"]) == 32


def test_what_went_wrong_is_told(inside: Inside, server: Server) -> None:
    trouble = {"connection": "shop/b", "rotation": "rot-1", "stage": "stuck", "reason": "nobody answers\x1b"}
    served(server, told("ended", troubles=(trouble,), retired=1, stuck=1))
    found = inside("incident", "/", "--reason", "a leak", "--yes")
    assert found.returncode == 6
    assert found.stderr == "keywright: shop/b is stuck: nobody answers (`keywright rotation rot-1`)\n"
    assert server.asked[0].body["folder"] == ""


def test_a_dry_run_begins_nothing(inside: Inside, server: Server) -> None:
    served(server)
    found = inside("incident", "shop", "--reason", "a leak", "--dry-run")
    assert found.returncode == 0
    assert found.stdout.splitlines() == [
        "shop/a",
        "shop/b",
        "shop/admin is left out: it has no rotation policy",
        "2 connections, 1 left out; the last one begins after 1 s",
    ]
    assert json.loads(inside("incident", "shop", "--reason", "a leak", "--dry-run", "--json").stdout) == PLAN
    assert all(asked.body["dry_run"] for asked in server.asked)


def test_one_connection_begins_at_once(inside: Inside, server: Server) -> None:
    server.route("POST", PATH, Told(200, PLAN | {"connections": ["shop/a"], "skipped": [], "lasts": 0.0}))
    found = inside("incident", "shop", "--reason", "a leak", "--dry-run")
    assert found.stdout.splitlines() == ["shop/a", "1 connection; it begins at once"]


def test_without_anybody_to_ask_it_takes_yes(inside: Inside, server: Server) -> None:
    served(server)
    found = inside("incident", "shop", "--reason", "a leak")
    assert found.returncode == 2
    assert "--yes" in found.stderr
    assert len(server.asked) == 1


def test_on_a_terminal_it_asks_and_shows_a_bar(keywright: Command, server: Server) -> None:
    served(server, told("ended", retired=2))
    arguments = ("incident", "shop", "--reason", "a leak", "--emergency")
    code, shown = keywright.on_a_terminal(*arguments, answers={"Go on?": "y"})
    assert code == 0
    assert "2 connections, 1 left out" in shown
    assert "die at once" in shown
    assert "2 of 2 done: 2 retired" in shown
    begun = len(server.asked)
    code, _ = keywright.on_a_terminal(*arguments, answers={"Go on?": "n"})
    assert code == 1
    assert [asked.body.get("dry_run") for asked in server.asked[begun:]] == [True]


def test_ctrl_c_leaves_it_running_and_says_so(keywright: Command, server: Server) -> None:
    served(server, told(waiting=2))
    process = keywright.start("incident", "shop", "--reason", "a leak", "--yes")
    assert process.stdout is not None
    assert process.stdout.readline() == "incident inc-1: 2 connections\n"
    assert process.stdout.readline() == "0 of 2 done: 2 waiting\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on without you" in complaint
    assert "incident-cancel inc-1" in complaint


@pytest.mark.parametrize(("hand", "state"), [("cancel", "cancelled"), ("resume", "running")])
def test_hands(inside: Inside, server: Server, hand: str, state: str) -> None:
    server.route("POST", f"/incidents/inc-1/{hand}", Told(body=told(state, waiting=1, retired=1)))
    found = inside(f"incident-{hand}", "inc-1")
    assert (found.returncode, found.stdout) == (0, f"incident inc-1 is {state}: 1 of 2 done: 1 waiting, 1 retired\n")


def test_lists_and_watches(inside: Inside, server: Server) -> None:
    ended = told("ended", retired=2)
    server.route("GET", PATH, Told(body={"items": [ended], "next": None}))
    server.route("GET", "/incidents/inc-1", Told(body=ended))
    assert inside("incidents").stdout.splitlines()[1].split()[:3] == ["inc-1", "shop", "ended"]
    assert json.loads(inside("incidents", "--json").stdout) == [ended]
    assert json.loads(inside("incident-watch", "inc-1", "--json").stdout) == ended
