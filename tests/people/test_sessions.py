"""Sessions: a cookie, for one browser, for a while."""

from collections.abc import Iterator

import pytest

from service.core.access import Grant, Kind, Level
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.people import browser, person, signed_in

OWNER = Grant(Level.OWN, Kind.EVERYTHING)


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright() as served:
        person(served.service, "ada@example.test", OWNER)
        person(served.service, "bob@example.test")
        yield served


def test_somebody_signs_in_and_is_who_it_is_and_signs_out(it: Keywright) -> None:
    with browser(it) as ada:
        said = signed_in(it, ada, "ada@example.test")
        assert said["session"]["user"]["email"] == "ada@example.test"
        assert said["session"]["method"] == "password"
        told = ada.get("/api/v1/session").json()
        assert told["id"] == said["session"]["id"]
        assert told["csrf"] == said["csrf"]
        assert ada.get("/api/v1/environments").status_code == 200
        assert ada.post("/api/v1/environments", json={"name": "production"}).status_code == 201
        kept = ada.cookies["keywright"]
        assert ada.delete("/api/v1/session").status_code == 204
        assert "keywright" not in ada.cookies
        assert ada.get("/api/v1/session").status_code == 401
        assert ada.get("/api/v1/session", headers={"Cookie": f"keywright={kept}"}).status_code == 401
