"""keywright connection host-rules: what is told goes to standard output as it is."""

import json

from tests.client.command import Inside
from tests.client.server import Server, Told, problem

TOLD = {"connection": "shop/db", "lines": ["# where they go", "hostssl shop shop_a 10.1.0.0/16 scram-sha-256"]}
PLACE = "/environments/development/host-rules/shop/db"


def test_the_lines_are_shown_to_be_pasted(inside: Inside, server: Server) -> None:
    server.route("GET", PLACE, Told(body=TOLD))
    told = inside("connection", "host-rules", "shop/db")
    assert (told.returncode, told.stdout, told.stderr) == (0, "\n".join([*TOLD["lines"], ""]), "")
    assert server.asked[-1].query == {}
    told = inside("connection", "host-rules", "shop/db", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (0, TOLD)


def test_networks_are_sent_as_they_are_given(inside: Inside, server: Server) -> None:
    server.route("GET", PLACE, Told(body=TOLD))
    networks = ("--from", "10.1.0.0/16", "--from", "2001:db8::/32", "--keywright-from", "10.9.0.4/32")
    assert inside("connection", "host-rules", "shop/db", *networks).returncode == 0
    assert server.asked[-1].query == {"from": "10.1.0.0/16,2001:db8::/32", "keywright_from": "10.9.0.4/32"}


def test_what_is_refused_is_told(inside: Inside, server: Server) -> None:
    server.route("GET", PLACE, problem("invalid", 422, "from: name the networks", field="from"))
    told = inside("connection", "host-rules", "shop/db")
    assert (told.returncode, told.stdout) == (5, "")
    assert "from: name the networks" in told.stderr
    server.route("GET", PLACE, Told(body={"rules": []}))
    assert inside("connection", "host-rules", "shop/db").returncode == 1
    assert inside("connection", "host-rules", "../db").returncode == 5
