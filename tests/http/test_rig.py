"""The rig serves what it says it serves."""

from tests.rigs.keywright import Keywrightd, running_keywright


def test_a_service_is_served_and_stopped() -> None:
    with running_keywright() as it:
        assert it.client().get("/me").json()["name"] == "owner"
        assert it.nobody().get("/me").status_code == 401
        it.stop()


def test_the_command_survives_being_killed(keywrightd: Keywrightd) -> None:
    with keywrightd.client() as client:
        assert client.post("/environments", json={"name": "production"}).status_code == 201
    keywrightd.kill()
    keywrightd.start()
    with keywrightd.client() as client:
        assert client.get("/environments/production").status_code == 200
    assert keywrightd.terminate() == 0
