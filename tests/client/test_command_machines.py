"""keywright machines, and its own commands: listed, made, given secrets."""

import json

from tests.client.command import Command, Inside
from tests.client.server import Server, Told, problem

WEB = {
    "name": "shop/web\x1b",
    "enabled": True,
    "proofs": [{"kind": "approle", "role_id": "r"}, {"kind": "jwt"}],
    "grants": [
        {"level": "use", "kind": "folder", "environment": "development", "path": "shop"},
        {"level": "own", "kind": "everything", "environment": None, "path": ""},
    ],
    "token_ttl": "1h",
    "token_max_life": "1d",
}


def test_machines_are_listed(inside: Inside, server: Server) -> None:
    server.route("GET", "/machines", Told(body={"items": [WEB], "next": None}))
    told = inside("machines")
    assert (told.returncode, told.stderr) == (0, "")
    heading, row = told.stdout.splitlines()
    assert heading.split() == ["NAME", "ENABLED", "PROOFS", "GRANTS", "TOKENS", "LIVE", "AT", "MOST"]
    assert " ".join(row.split()) == "shop/web yes approle, jwt use development:shop, own everything 1h 1d"
    assert json.loads(inside("machines", "--json").stdout) == [WEB]


def test_a_machine_is_made(inside: Inside, server: Server) -> None:
    server.route("POST", "/machines", Told(201, WEB | {"name": "shop/web"}))
    told = inside(
        "machines", "add", "shop/web", "--use", "shop/", "--use", "/", "--ttl", "15m", "--allow", "10.0.0.0/8"
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "shop/web is made; `keywright machines secret-id shop/web` gives it a secret id\n"
    environment = {"level": "use", "environment": "development"}
    assert server.asked[-1].body == {
        "name": "shop/web",
        "grants": [environment | {"kind": "folder", "path": "shop"}, environment | {"kind": "environment"}],
        "proofs": [{"kind": "approle"}],
        "token_ttl": "15m",
        "token_max_life": "24h",
        "allowlist": ["10.0.0.0/8"],
    }
    assert json.loads(inside("machines", "add", "shop/web", "--json").stdout)["name"] == "shop/web"


def test_a_secret_id_is_shown_once(inside: Inside, server: Server) -> None:
    made = {"id": "1", "role_id": "role", "secret_id": "ks_1_x", "uses_left": 2}
    server.route("POST", "/machine-secrets", Told(201, made))
    told = inside("machines", "secret-id", "shop/web", "--uses", "2", "--expires-in", "5m")
    assert (told.returncode, told.stdout) == (0, "role_id   role\nsecret_id ks_1_x\n")
    assert server.asked[-1].body == {"machine": "shop/web", "uses": 2, "expires_in": "5m", "allowlist": []}
    assert json.loads(inside("machines", "secret-id", "shop/web", "--json").stdout) == made


def test_what_does_not_go(keywright: Command, server: Server) -> None:
    server.route("POST", "/machines", problem("forbidden", 403))
    server.route("POST", "/machine-secrets", Told(201, {"what": "else"}))
    assert keywright("machines", "add", "shop/web").returncode == 3
    assert keywright("machines", "add", "../web").returncode == 5
    assert keywright("machines", "secret-id", "shop/web").returncode == 1
    assert keywright("machines", "add", "shop/web", "--use", "/", KEYWRIGHT_ENVIRONMENT=None).returncode == 5
    assert keywright("machines", "kill").returncode == 2
