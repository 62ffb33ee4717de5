"""keywright rotate, rotations and rotation."""

import json

import pytest

from tests.client.command import Command, Inside
from tests.client.server import Asked, Server, Told, problem

WAY = ["planned", "staged", "applied", "verified", "published"]
POST = "/environments/development/rotations"


def rotation(stage: str, steps: list[str], reason: str | None = None) -> dict:
    return {
        "id": "rot-1",
        "environment": "development",
        "connection": "shop/db",
        "strategy": "alternating",
        "stage": stage,
        "reason": reason,
        "requested_by": "ada",
        "created_at": "2026-01-01T00:00:00Z",
        "steps": [{"stage": s, "at": "2026-01-01T00:00:00Z", "sentence": f"it is {s}\x1b[31m"} for s in steps],
    }


def progress(server: Server, stages: list[str], reason: str | None = None) -> None:
    """A rotation that is one stage further each time somebody looks."""
    at = iter(range(2, len(stages) + 1))
    server.route("POST", POST, Told(202, rotation(stages[0], stages[:1])))

    def look(_: Asked) -> Told:
        here = next(at)
        return Told(body=rotation(stages[here - 1], stages[:here], reason if here == len(stages) else None))

    server.route("GET", "/rotations/rot-1", look)


def test_rotate_follows_to_published(keywright: Command, server: Server) -> None:
    progress(server, WAY)
    told = keywright("rotate", "shop/db", "--reason", "a leak")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == ["rotation rot-1 of shop/db", *(f"  {s}: it is {s}[31m" for s in WAY)]
    posted = server.asked[0]
    assert posted.body == {"connection": "shop/db", "reason": "a leak"}
    assert len(posted.headers["idempotency-key"]) == 32


@pytest.mark.parametrize("end", ["stuck", "abandoned", "reverted"])
def test_rotate_fails_with_its_reason(keywright: Command, server: Server, end: str) -> None:
    progress(server, ["planned", end], "the password was refused\x1b")
    told = keywright("rotate", "shop/db")
    assert told.returncode == 6
    assert told.stderr == f"keywright: rotation rot-1 of shop/db is {end}: the password was refused\n"


@pytest.mark.parametrize("end", ["draining", "retired"])
def test_rotate_that_was_further_already(inside: Inside, server: Server, end: str) -> None:
    progress(server, [end])
    told = inside("rotate", "shop/db")
    assert told.returncode == 0
    assert "nothing new was begun" in told.stdout


def test_rotate_in_an_emergency(inside: Inside, server: Server) -> None:
    progress(server, ["planned", "published"])
    assert inside("rotate", "shop/db", "--emergency").returncode == 0
    assert server.asked[0].body == {"connection": "shop/db", "emergency": True}


def test_rotate_bears_a_server_that_is_away_for_a_moment(inside: Inside, server: Server) -> None:
    progress(server, ["planned", "published"])
    away = iter([True, False])
    look = server.routes["GET", "/rotations/rot-1"]
    server.route("GET", "/rotations/rot-1", lambda asked: problem("unavailable", 503) if next(away) else look(asked))
    assert inside("rotate", "shop/db").returncode == 0


def test_rotate_stops_looking_in_time(inside: Inside, server: Server) -> None:
    progress(server, ["planned"] * 9)
    told = inside("rotate", "shop/db", "--timeout", "0")
    assert told.returncode == 6
    assert "keywright rotation rot-1" in told.stderr


def test_rotate_without_waiting_and_in_json(inside: Inside, server: Server) -> None:
    progress(server, ["planned", "published"])
    told = inside("rotate", "shop/db", "--no-wait")
    assert (told.returncode, told.stdout) == (0, "rotation rot-1 is planned\n")
    assert server.count("GET", "/rotations/rot-1") == 0
    assert json.loads(inside("rotate", "shop/db", "--json").stdout)["stage"] == "published"


REHEARSAL = {
    "warnings": ["TLS is disabled\x1b[31m"],
    "plan": [{"stage": "applied", "at": "2026-01-01T00:00:00Z", "sentence": "shop_b would turn"}],
    "endpoints": [{"endpoint": "db.test:5432", "outcome": "accepted", "protocol": None}, "nonsense"],
    "statements": ["ALTER ROLE shop_b"],
    "callers": [{"name": "shop-web", "generation": 3, "at": "2026-01-01T00:00:00Z", "address": "10.0.0.7"}],
    "sessions": None,
}


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["the login lacks CREATEROLE"], 6)])
def test_rehearse(inside: Inside, server: Server, problems: list[str], code: int) -> None:
    told_ = REHEARSAL | {"problems": problems}
    server.route("POST", "/environments/development/rehearsals", Told(body=told_))
    told = inside("rotate", "shop/db", "--rehearse")
    assert told.returncode == code
    for shown in ("shop_b would turn", "db.test:5432", "  ALTER ROLE shop_b", "shop-web", "note: TLS is disabled"):
        assert shown in told.stdout
    assert "connected" not in told.stdout
    assert "\x1b" not in told.stdout
    assert told.stderr == "".join(f"keywright: {p}\n" for p in problems)
    assert server.count("POST", POST) == 0
    told = inside("rotate", "shop/db", "--rehearse", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (code, told_)


def test_a_rehearsal_of_an_emergency_says_what_it_does_not_show(inside: Inside, server: Server) -> None:
    server.route("POST", "/environments/development/rehearsals", Told(body=REHEARSAL | {"problems": []}))
    note = "note: this is the plan without --emergency, with which nothing is announced and nothing drains\n"
    assert inside("rotate", "shop/db", "--rehearse", "--emergency").stdout.endswith(note)
    assert "--emergency" not in inside("rotate", "shop/db", "--rehearse").stdout


def test_rotations_are_listed_by_connection_and_stage(inside: Inside, server: Server) -> None:
    server.route("GET", POST, Told(body={"items": [rotation("stuck", [], "look\x1b")], "next": None}))
    told = inside("rotations", "shop/db", "--stage", "stuck")
    assert "rot-1" in told.stdout
    assert "\x1b" not in told.stdout
    assert server.asked[0].query == {"connection": "shop/db", "stage": "stuck"}


def test_a_rotation_tells_its_story(inside: Inside, server: Server) -> None:
    server.route("GET", "/rotations/rot-1", Told(body=rotation("draining", WAY, "a leak")))
    told = inside("rotation", "rot-1")
    assert told.returncode == 0
    assert "rotation rot-1 of shop/db in development: draining" in told.stdout
    assert "asked for by ada" in told.stdout
    assert all(f"it is {stage}" in told.stdout for stage in WAY)
    assert "\x1b" not in told.stdout
    assert inside("rotation", "rot-2").returncode == 4
    assert inside("rotation", "../tokens").returncode == 5


DRAIN = {
    "since": "2026-01-01T00:00:00Z",
    "not_before": "2026-01-01T01:00:00Z",
    "limit_at": "2026-01-02T00:00:00Z",
    "sessions": [{"username": "shop_a", "address": "10.0.0.7", "application": "billing\x1b", "since": None}],
    "callers": [{"name": "billing-2", "generation": 4, "at": "2025-12-31T23:00:00Z", "address": "10.0.0.8"}],
    "more": True,
    "lag": 3,
    "seen_at": "2026-01-01T00:30:00Z",
    "unknown": ["2 sessions of shop: the server does not tell since when"],
}
NOBODY = {"sessions": [], "callers": [], "more": False, "lag": 0, "unknown": []}


@pytest.mark.parametrize(
    ("drain", "expected"),
    [
        (
            {},
            [
                "billing",
                "10.0.0.7",
                "unknown",
                "billing-2",
                "10.0.0.8",
                "and more",
                "not known: 2",
                "youngest 3 events",
            ],
        ),
        (NOBODY, ["no session was seen on it at 2026-01-01T00:30:00Z", "no caller holds it"]),
        (NOBODY | {"seen_at": None}, ["nobody has looked yet"]),
        ({"sessions": None, "callers": None}, ["told to those who may edit"]),
    ],
)
def test_a_draining_rotation_tells_who_is_still_there(
    inside: Inside, server: Server, drain: dict, expected: list[str]
) -> None:
    server.route("GET", "/rotations/rot-1", Told(body=rotation("draining", WAY) | {"drain": DRAIN | drain}))
    told = inside("rotation", "rot-1").stdout
    for part in ["waited for until 2026-01-02T00:00:00Z", *expected]:
        assert part in told
    assert "\x1b" not in told


def test_a_stuck_rotation_tells_what_can_be_done(inside: Inside, server: Server) -> None:
    choices = [{"hand": "retry", "sentence": "goes on"}, {"hand": "abandon", "sentence": "undoes it\x1b"}]
    stuck = rotation("stuck", ["planned"], "look") | {"choices": choices}
    server.route("GET", "/rotations/rot-1", Told(body=stuck))
    server.route("GET", POST, Told(body={"items": [stuck], "next": None}))
    assert "--retry: goes on\n--abandon: undoes it\n" in inside("rotation", "rot-1").stdout
    assert "retry, abandon" in inside("rotations", "--stage", "stuck").stdout


@pytest.mark.parametrize("hand", ["retry", "abandon", "revert"])
def test_an_operators_hand(inside: Inside, server: Server, hand: str) -> None:
    server.route("POST", f"/rotations/rot-1/{hand}", Told(200, rotation("planned", [])))
    server.route("GET", "/rotations/rot-1", Told(body=rotation("planned", [])))
    assert inside("rotation", "rot-1", f"--{hand}").returncode == 0
    assert [a.method for a in server.asked] == ["POST", "GET"]
    server.route("POST", f"/rotations/rot-1/{hand}", problem("conflict", 409, "it is retired: nothing to do"))
    assert inside("rotation", "rot-1", f"--{hand}").returncode == 5


def test_one_hand_at_a_time(inside: Inside) -> None:
    assert inside("rotation", "rot-1", "--retry", "--revert").returncode == 2
