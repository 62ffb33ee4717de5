"""keywright user, group, grant, access, settings: what they ask for, and what they tell."""

import json

from tests.client.command import Command, Inside
from tests.client.server import Server, Told, problem

ANA = {
    "id": "a1",
    "email": "ana@shop.example",
    "name": "Ana\x1b",
    "enabled": True,
    "groups": ["staff"],
    "factors": ["totp"],
    "grants": [{"level": "use", "kind": "folder", "environment": "production", "path": "shop", "rule": "true"}],
    "last_login_at": None,
}
STAFF = {"id": "b2", "name": "staff", "groups": [], "grants": [], "landing_environment": "production"}
ONE = {"level": "own", "kind": "people", "environment": None, "path": "", "rule": "", "id": "c3", "group": "staff"}


def listing(*items: object) -> Told:
    return Told(body={"items": list(items), "next": None})


def test_users_are_listed_and_shown(inside: Inside, server: Server) -> None:
    server.route("GET", "/users", listing(ANA))
    heading, row = inside("user", "list").stdout.splitlines()
    assert heading.split() == ["EMAIL", "NAME", "ENABLED", "GROUPS", "FACTORS", "LAST", "LOGIN", "ID"]
    assert row.split() == ["ana@shop.example", "Ana", "yes", "staff", "totp", "a1"]
    assert json.loads(inside("user", "list", "--json").stdout) == [ANA]
    shown = inside("user", "show", "ana@shop.example").stdout
    assert "use production:shop if true" in shown
    assert server.asked[-1].query == {"email": "ana@shop.example"}


def test_a_user_is_made_disabled_and_removed(inside: Inside, server: Server) -> None:
    server.route("POST", "/users", Told(201, ANA))
    server.route("GET", "/users", listing(ANA))
    server.route("PATCH", "/users/a1", Told(body=ANA))
    server.route("DELETE", "/users/a1", Told(204))
    more = ("--attribute", "team=shop", "--attribute", "team=db", "--attribute", "country=de")
    assert inside("user", "add", "ana@shop.example", "--name", "Ana", *more).returncode == 0
    assert server.asked[-1].body == {
        "email": "ana@shop.example",
        "name": "Ana",
        "attributes": {"team": ["shop", "db"], "country": "de"},
        "emergency": False,
    }
    assert inside("user", "disable", "ana@shop.example").stdout.endswith("its sessions and tokens have ended\n")
    assert server.asked[-1].body == {"enabled": False}
    assert inside("user", "remove", "ana@shop.example").returncode == 0


def test_a_user_is_invited(inside: Inside, server: Server) -> None:
    made = {
        "user": ANA,
        "text": "a-text",
        "address": "https://kw.example/sign-in/invitation",
        "expires_at": "2026-12-04",
    }
    server.route("GET", "/users", listing(ANA))
    server.route("POST", "/users/a1/invitations", Told(201, made))
    told = inside("user", "invite", "ana@shop.example").stdout.splitlines()
    assert [line.split()[1 + 2 * number] for number, line in enumerate(told)] == ["a-text", made["address"]]
    assert json.loads(inside("user", "invite", "ana@shop.example", "--json").stdout) == made


def test_groups_have_members(inside: Inside, server: Server) -> None:
    server.route("GET", "/groups", listing(STAFF))
    server.route("GET", "/users", listing(ANA))
    server.route("POST", "/groups", Told(201, STAFF))
    server.route("PUT", "/groups/b2/members/a1", Told(204))
    server.route("DELETE", "/groups/b2/members/a1", Told(204))
    server.route(
        "GET", "/groups/b2/members", listing({"id": "a1", "name": ANA["email"], "kind": "user", "source": "hand"})
    )
    assert inside("group", "add", "staff", "--landing", "shop/").returncode == 0
    assert server.asked[-1].body == {
        "name": "staff",
        "second_factor": False,
        "landing_environment": "development",
        "landing_folder": "shop",
    }
    assert "production:/" in inside("group", "list").stdout
    assert inside("group", "join", "staff", "ana@shop.example").stdout == "ana@shop.example is in staff\n"
    assert "hand" in inside("group", "members", "staff").stdout
    assert inside("group", "part", "staff", "ana@shop.example").returncode == 0


def test_grants_are_given_and_taken(inside: Inside, server: Server) -> None:
    server.route("POST", "/grants", Told(201, ONE))
    server.route("GET", "/grants", listing(ONE))
    server.route("DELETE", "/grants/c3", Told(204))
    told = inside("grant", "add", "own", "people", "--group", "staff", "--rule", "true")
    assert told.stdout == "group:staff has own people (grant c3)\n"
    assert server.asked[-1].body == {"level": "own", "kind": "people", "rule": "true", "group": "staff"}
    assert inside("grant", "add", "use", "folder", "shop", "--user", "ana@shop.example").returncode == 0
    assert server.asked[-1].body == {
        "level": "use",
        "kind": "folder",
        "rule": "",
        "user": "ana@shop.example",
        "environment": "development",
        "path": "shop",
    }
    assert inside("grant", "list").stdout.splitlines()[1].split() == ["group:staff", "own", "people", "c3"]
    assert inside("grant", "remove", "c3").returncode == 0


def test_access_is_explained(inside: Inside, server: Server) -> None:
    no = {"allowed": False, "caller": "ana", "missing": "variable shop/X: …", "considered": []}
    considered = ANA["grants"][0] | {"by": ["ana@shop.example", "staff"], "enough": True, "holds": True}
    server.route("GET", "/access/explain", Told(body=no))
    told = inside("access", "explain", "use", "variable:production/shop/X", "--caller", "ana@shop.example")
    assert told.stdout.startswith("no: variable")
    assert server.asked[-1].query == {
        "action": "use",
        "resource": "variable:production/shop/X",
        "caller": "ana@shop.example",
    }
    server.route("GET", "/access/explain", Told(body=no | {"allowed": True, "considered": [considered]}))
    yes = inside("access", "explain", "use", "variable:production/shop/X").stdout
    assert yes.startswith("yes: ana may use variable:production/shop/X\n")
    assert "ana@shop.example < staff" in yes


def test_settings_are_shown_and_changed(inside: Inside, server: Server) -> None:
    server.route("GET", "/settings", Told(body={"local_sign_in": True, "step_up": 900}))
    server.route("PATCH", "/settings", Told(body={"local_sign_in": False, "step_up": 60}))
    assert inside("settings", "get").stdout.split() == ["local_sign_in", "true", "step_up", "900"]
    assert inside("settings", "set", "local_sign_in=false", "step_up=60", "second_factor=required").returncode == 0
    assert server.asked[-1].body == {"local_sign_in": False, "step_up": 60, "second_factor": "required"}


def test_what_does_not_go(keywright: Command, server: Server) -> None:
    server.route("GET", "/users", listing())
    server.route("GET", "/groups", problem("absent", 404))
    assert keywright("user", "disable", "nobody@shop.example").returncode == 4
    assert keywright("group", "list").returncode == 4
    assert keywright("grant", "add", "own", "people").returncode == 5
    assert keywright("grant", "add", "own", "nothing", "--user", "a@b").returncode == 2
    assert keywright("settings", "set", "step_up").returncode == 5
