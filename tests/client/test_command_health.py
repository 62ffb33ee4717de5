"""keywright health: what a person should look at, and an exit code for whoever cannot read."""

import json
from typing import Any

import pytest

from tests.client.command import Inside
from tests.client.server import Server, Told, problem

STUCK = {"id": "rot-1", "environment": "staging", "connection": "mail/db", "stage": "stuck", "reason": "look\x1b"}


def listed(*items: dict[str, Any]) -> Told:
    return Told(body={"items": list(items), "next": None})


def connection(name: str, state: str, *findings: str) -> dict[str, Any]:
    return {"name": name, "health": {"state": state, "findings": list(findings)}}


@pytest.fixture(autouse=True)
def well(server: Server) -> None:
    """Two environments in which nothing is to be seen."""
    server.route("GET", "/environments", listed({"name": "development"}, {"name": "staging"}))
    for environment in ("development", "staging"):
        server.route("GET", f"/environments/{environment}/connections", listed(connection("shop/db", "well")))
        server.route("GET", f"/environments/{environment}/rotations", listed())
    server.route("GET", "/restorations", listed({"id": "r-1", "ended_at": "2026-01-01T00:00:00Z"}))


def test_all_is_well(inside: Inside, server: Server) -> None:
    told = inside("health")
    assert (told.returncode, told.stdout, told.stderr) == (0, "all is well\n", "")
    server.route("GET", "/restorations", listed())  # there never was one
    expected = {"failing": False, "held": False, "connections_held": 0, "connections": [], "rotations": []}
    told = inside("health", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (0, expected)
    assert "/environments/staging/connections" not in {asked.path for asked in server.asked}
    assert {asked.query["stage"] for asked in server.asked if asked.path.endswith("/rotations")} == {"stuck"}


def test_a_warning_is_told_and_is_no_failure(inside: Inside, server: Server) -> None:
    warned = connection("shop/db", "warned", "the server trusts everybody\x1b[2J", "drift")
    server.route("GET", "/environments/development/connections", listed(connection("a", "well"), warned))
    told = inside("health")
    assert told.returncode == 0
    assert [line.split()[:3] for line in told.stdout.splitlines()[1:]] == [["warned", "development", "shop/db"]] * 2
    assert "the server trusts everybody" in told.stdout
    assert "\x1b" not in told.stdout


@pytest.mark.parametrize("state", ["failing", "a word of a later server", None])
def test_a_connection_that_fails_ends_it_with_1(inside: Inside, server: Server, state: str) -> None:
    overdue = connection("shop/db", state, "the rotation due at … was not begun by anybody")
    server.route("GET", "/environments/development/connections", listed(connection("a", "warned", "drift"), overdue))
    told = inside("health")
    assert told.returncode == 1
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["STATE", "failing", "warned"]
    assert "was not begun by anybody" in told.stdout
    told = inside("health", "--json")
    assert (told.returncode, json.loads(told.stdout)["failing"]) == (1, True)


def test_a_stuck_rotation_anywhere_ends_it_with_1(inside: Inside, server: Server) -> None:
    server.route("GET", "/environments/staging/rotations", listed(STUCK))
    assert inside("health").returncode == 0  # of the environment that is named
    for told in (inside("health", "--env", "staging"), inside("health", KEYWRIGHT_ENVIRONMENT=None)):
        assert told.returncode == 1
        assert "rot-1" in told.stdout
        assert "keywright rotation ID" in told.stdout
        assert "\x1b" not in told.stdout
    told = inside("health", "--json", KEYWRIGHT_ENVIRONMENT=None)
    assert (told.returncode, json.loads(told.stdout)["rotations"]) == (1, [STUCK])


def test_rotations_that_are_held_are_told(inside: Inside, server: Server) -> None:
    server.route("GET", "/restorations", listed({"id": "r-2", "ended_at": None}))
    told = inside("health")
    assert (told.returncode, told.stdout.count("\n")) == (0, 1)
    assert "every rotation is held" in told.stdout
    assert json.loads(inside("health", "--json").stdout)["held"] is True


def test_connections_that_stay_held_are_counted(inside: Inside, server: Server) -> None:
    ended = {"id": "r-3", "ended_at": "2026-01-01T00:00:00Z", "counts": {"fine": 5, "stuck": 2}}
    server.route("GET", "/restorations", listed(ended))
    told = inside("health").stdout
    assert "with what they administer: 2 connections" in told
    assert "all is well" not in told
    said = json.loads(inside("health", "--json").stdout)
    assert (said["held"], said["connections_held"]) == (False, 2)


def test_no_answer_is_not_well(inside: Inside, server: Server) -> None:
    server.route("GET", "/environments/development/connections", problem("unavailable", 503))
    told = inside("health")
    assert (told.returncode, told.stdout) == (7, "")
