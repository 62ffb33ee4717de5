"""What operations are about, made for tests: a new one each time, with the grant that is on it and nothing else.

    everything environment folder variable connection rotation incident restoration machines machine proof secret token
    grant webhook policy people user group member settings provider one careful approval glass

To add one: a method of `Things` of its name, which makes it as an owner would and returns the marks that paths, bodies
and queries of `needs/*.toml` are filled with; and its name in INSIDE or WALLED, if it lies in an environment.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.rigs.fake_database import FakeDatabase

HERE, ELSEWHERE = "production", "staging"
PASSWORD = "first-password"
ADMIN = "shop/admin"
NO_ID = "0" * 32
INSIDE = {"folder", "variable", "connection", "policy", "rotation", "incident", "grant", "webhook"}
"""What lies in a folder of an environment."""
WALLED = INSIDE | {"environment", "careful", "approval", "glass"}


@dataclass(frozen=True)
class Thing:
    """`marks` are what it is called; `place` is what a grant on it is on, as `POST /tokens` takes it."""

    marks: Mapping[str, str]
    place: Mapping[str, str]

    def grant(self, level: str) -> dict[str, str]:
        """A grant on this very thing."""
        return {"level": level, **self.place}


EVERYTHING = {"kind": "everything"}
PEOPLE = {"kind": "people"}


def connection(username: str) -> dict[str, Any]:
    """The definition of one, as `PUT` takes it."""
    return {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test"}],
        "database": "shop",
        "tls": {"mode": "disable"},
        "login": {"username": username, "password": PASSWORD},
    }


class Things:
    """Makes them, by an owner's client. `signs_in` makes a person who holds some grants, and tells its session."""

    def __init__(self, owner: httpx2.Client, database: FakeDatabase, signs_in: Callable[[dict[str, str]], str]) -> None:
        self._owner = owner
        self._signs_in = signs_in
        self._careful: list[str] = []
        self._database = database
        self._numbers = itertools.count(1)
        for name in (HERE, ELSEWHERE):
            self._made("POST", "/environments", {"name": name})
        database.create("admin", "admin-password")
        place = f"/environments/{HERE}/connections/{ADMIN}"
        self._made("PUT", place, connection("admin") | {"login": {"username": "admin", "password": "admin-password"}})

    def __call__(self, kind: str) -> Thing:
        """A new one. Where people had to wait for each other until now, they do not any more: it reaches further."""
        while self._careful:
            self._made("PATCH", self._careful.pop(), {"approvals": {"variables": False}})
        made: Thing = getattr(self, kind)()
        return made

    def fresh(self) -> str:
        """A name that nothing has."""
        return f"fresh-{next(self._numbers)}"

    def _made(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._owner.request(method, path, json=body, headers=dict(headers or {}))
        assert answer.is_success, (method, path, answer.text)
        return dict(answer.json()) if answer.content else {}

    def everything(self) -> Thing:
        return Thing({}, EVERYTHING)

    def environment(self) -> Thing:
        name = self.fresh()
        self._made("POST", "/environments", {"name": name})
        return Thing({"environment": name}, {"kind": "environment", "environment": name})

    def folder(self) -> Thing:
        of = self.connection().marks
        folder = of["name"].rpartition("/")[0]
        return Thing(
            {"environment": HERE, "folder": folder, "name": of["name"]},
            {"kind": "folder", "environment": HERE, "path": folder},
        )

    def variable(self) -> Thing:
        name = f"shop/{self.fresh()}"
        self._made("PUT", f"/environments/{HERE}/variables/{name}", {"value": "hush"})
        marks = {"environment": HERE, "name": name}
        return Thing(marks, {"kind": "folder", "environment": HERE, "path": name})

    def connection(self) -> Thing:
        username = f"app_{next(self._numbers)}"
        folder = f"shop/{self.fresh()}"
        name = f"{folder}/db"
        self._database.create(username, PASSWORD)
        rotates = {"administered_by": ADMIN, "rotation": {"strategy": "alternating"}}
        self._made("PUT", f"/environments/{HERE}/connections/{name}", connection(username) | rotates)
        marks = {"environment": HERE, "name": name, "username": username}
        return Thing(marks, {"kind": "connection", "environment": HERE, "path": name})

    def rotation(self) -> Thing:
        of = self.connection()
        made = self._made("POST", f"/environments/{HERE}/rotations", {"connection": of.marks["name"]})
        return Thing({**of.marks, "rotation_id": made["id"]}, of.place)

    def incident(self) -> Thing:
        of = self.folder()
        made = self._made("POST", f"/environments/{HERE}/incidents", {"folder": of.marks["folder"], "reason": "a leak"})
        return Thing({**of.marks, "incident_id": made["id"]}, of.place)

    def people(self) -> Thing:
        """All users and groups."""
        return Thing({}, PEOPLE)

    def settings(self) -> Thing:
        """Those of everybody."""
        return Thing({}, {"kind": "settings"})

    def user(self) -> Thing:
        made = self._made("POST", "/users", {"email": f"{self.fresh()}@example.com"})
        return Thing({"user_id": made["id"]}, PEOPLE)

    def group(self) -> Thing:
        return Thing({"group_id": self._made("POST", "/groups", {"name": self.fresh()})["id"]}, PEOPLE)

    def member(self) -> Thing:
        group, user = self.group().marks["group_id"], self.user().marks["user_id"]
        self._made("PUT", f"/groups/{group}/members/{user}", None)
        return Thing({"group_id": group, "member_id": user}, PEOPLE)

    def policy(self) -> Thing:
        of = self.connection()
        return Thing(of.marks, {**of.place, "kind": "policy"})

    def one(self) -> Thing:
        """Something of a person's own, which nobody else has."""
        return Thing({"one_id": NO_ID, "factor_id": NO_ID, "session_id": NO_ID}, PEOPLE)

    def restoration(self) -> Thing:
        """None: the ledger was not restored."""
        return Thing({"restoration_id": NO_ID}, EVERYTHING)

    def machines(self) -> Thing:
        """All of them."""
        return Thing({}, {"kind": "machine"})

    def machine(self) -> Thing:
        name = self.fresh()
        self._made("POST", "/machines", {"name": name})
        return Thing({"name": name, "print": f"{next(self._numbers):064x}"}, {"kind": "machine", "path": name})

    def proof(self) -> Thing:
        of = self.machine()
        body = {"machine": of.marks["name"], "proof": {"kind": "approle"}}
        return Thing({**of.marks, "proof_id": self._made("POST", "/machine-proofs", body)["id"]}, of.place)

    def secret(self) -> Thing:
        of = self.proof()
        made = self._made("POST", "/machine-secrets", {"machine": of.marks["name"]})
        return Thing({**of.marks, "secret_id": made["id"]}, of.place)

    def token(self) -> Thing:
        name = self.fresh()
        return Thing({"name": name, "token_id": self._made("POST", "/tokens", {"name": name})["id"]}, EVERYTHING)

    def grant(self) -> Thing:
        of, place = self.token(), {"kind": "folder", "environment": HERE, "path": f"shop/{self.fresh()}"}
        made = self._made("POST", "/grants", {"token": of.marks["name"], "level": "use", **place})
        return Thing({**of.marks, "environment": HERE, "grant_id": made["id"]}, place)

    def webhook(self) -> Thing:
        name = self.fresh()
        for former in self._made("GET", "/webhooks?limit=500", None)["items"]:
            self._made("DELETE", f"/webhooks/{former['id']}", None)  # there is room for so many only
        body = {"name": name, "url": "https://hooks.test/", "environment": HERE, "folder": f"shop/{name}"}
        made = self._made("POST", "/webhooks", body)
        place = {"kind": "folder", "environment": HERE, "path": f"shop/{name}"}
        return Thing({"environment": HERE, "webhook_id": made["id"]}, place)

    def provider(self) -> Thing:
        name = self.fresh()
        for former in self._made("GET", "/identity-providers", None)["items"]:
            self._made("DELETE", f"/identity-providers/{former['name']}", None)  # there is room for so many only
        definition = {"kind": "oidc", "issuer": "https://id.test", "client_id": "keywright"}
        self._made("POST", "/identity-providers", {"name": name, "definition": definition})
        return Thing({"provider": name}, self.settings().place)

    def careful(self) -> Thing:
        """An environment in which people wait for each other."""
        it = self.environment()
        place = f"/environments/{it.marks['environment']}"
        self._made("PUT", f"{place}/variables/PASSWORD", {"value": "hush"})
        self._made("PATCH", place, {"approvals": {"variables": True}})
        self._careful.append(place)
        return it

    def approval(self) -> Thing:
        it = self.careful()
        asks = {"Keywright-Approval": "ask", "Keywright-Reason": "a leak", **self._somebody(it)}
        path = f"/environments/{it.marks['environment']}/variables/PASSWORD"
        made = self._made("PUT", path, {"value": "another"}, asks)
        return Thing({**it.marks, "approval_id": made["id"]}, it.place)

    def glass(self) -> Thing:
        it = self.careful()
        path = f"/environments/{it.marks['environment']}/break-glass"
        made = self._made("POST", path, {"reason": "a leak"}, self._somebody(it))
        return Thing({**it.marks, "glass_id": made["id"]}, it.place)

    def _somebody(self, owns: Thing) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._signs_in(owns.grant('own'))}"}
