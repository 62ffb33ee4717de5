"""`keywrightd owner EMAIL`: the way back in for whoever holds the ledger and the master key."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from service.core.access import Grant, Kind, Level
from service.keeper.tokens import OPERATOR
from service.ledger import users
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.people import PASSWORD, browser, change, configure, person, signed_in

ADA = "ada@example.test"
CHOSEN = "walnut harbour pencil ostrich"


def owner(it: Keywright, *more: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("keywrightd")), "owner", *more, "--data", str(it.data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env={"PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_it_makes_an_owner_beside_a_server_that_runs() -> None:
    with running_keywright() as it:
        said = owner(it, "Ada@Example.test")
        assert (said["email"], said["new"]) == (ADA, True)
        configure(it, local_sign_in=False)
        with browser(it) as ada:
            body = {"text": said["invitation"], "password": CHOSEN}
            assert ada.post("/api/v1/session/new-password", json=body).status_code == 200
            signed_in(it, ada, ADA, CHOSEN)
            assert ada.post("/api/v1/environments", json={"name": "production"}).status_code == 201
        (told,) = it.client().get("/events", params={"action": "user.owner"}).json()["items"]
        assert told["name"] == "keywrightd"


def test_it_lets_in_again_who_was_disabled_and_lost_everything() -> None:
    with running_keywright() as it:
        ada = person(it.service, ADA)
        change(it.service, ada, enabled=False)
        door = it.service.keeper.door
        door.change(OPERATOR, (), lambda tx: add_factor(tx, ada.id))
        said = owner(it, ADA, "--drop-factors")
        assert said["new"] is False
        found = door.look(lambda tx: users.get(tx, ada.id))
        assert found is not None
        assert (found.enabled, found.emergency, found.factors) == (True, True, ())
        assert found.grants == (Grant(Level.OWN, Kind.EVERYTHING),)
        again = owner(it, ADA)
        assert it.nobody().post("/session/new-password", json=chosen(said)).status_code == 401
        assert it.nobody().post("/session/new-password", json=chosen(again)).status_code == 200
        assert it.nobody().post("/session", json={"email": ADA, "password": PASSWORD}).status_code == 401


def chosen(said: dict[str, Any]) -> dict[str, str]:
    return {"text": said["invitation"], "password": CHOSEN}


def add_factor(tx: Any, user_id: str) -> None:
    from service.ledger.persons import factors as table

    row = {"id": "f", "user_id": user_id, "kind": "totp", "name": "phone", "sealed": b"x", "used": 0}
    tx.sql.execute(table.insert().values(row | {"created_at": tx.now}))
