"""People at two replicas over one ledger in PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.people import PASSWORD, browser, change, person, signed_in
from tests.rigs.postgresql import PostgresServer


@pytest.fixture(scope="module")
def replicas(
    new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Keywright, Keywright]]:
    new_postgresql.execute("CREATE DATABASE people_ledger")
    server = new_postgresql
    url = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/people_ledger"
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    with (
        running_keywright(ledger_url=url, data=data) as one,
        running_keywright(ledger_url=url, data=data, owner=one.owner) as other,
    ):
        yield one, other
    new_postgresql.execute("DROP DATABASE people_ledger WITH (FORCE)")


def test_the_session_of_a_disabled_user_fails_at_the_next_request(replicas: tuple[Keywright, Keywright]) -> None:
    one, other = replicas
    bob = person(one.service, "bob@example.test")
    with browser(one) as here, browser(other) as there:
        signed_in(other, there, bob.email)
        here.headers["Cookie"] = f"keywright={there.cookies['keywright']}"
        assert [made.get("/api/v1/session").status_code for made in (here, there)] == [200, 200]
        change(one.service, bob, enabled=False)
        assert [made.get("/api/v1/session").status_code for made in (there, here)] == [401, 401]
        answer = there.post("/api/v1/session", json={"email": bob.email, "password": PASSWORD})
        assert answer.status_code == 401


def test_a_session_ended_here_is_of_no_use_there(replicas: tuple[Keywright, Keywright]) -> None:
    one, other = replicas
    carol = person(one.service, "carol@example.test")
    with browser(one) as here, browser(other) as there:
        signed_in(one, here, carol.email)
        there.headers["Cookie"] = f"keywright={here.cookies['keywright']}"
        assert there.get("/api/v1/session").status_code == 200
        assert here.delete("/api/v1/session").status_code == 204
        assert there.get("/api/v1/session").status_code == 401


def test_tries_are_counted_together(replicas: tuple[Keywright, Keywright]) -> None:
    dan = person(replicas[0].service, "dan@example.test")
    together = [it.service.people.signing_in._hashing for it in replicas]
    before = sum(each.looked for each in together)

    def tried(number: int) -> int:
        with browser(replicas[number % 2]) as made:
            return made.post("/api/v1/session", json={"email": dan.email, "password": "x"}).status_code

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(tried, range(12)))
    assert sorted(set(said)) == [401, 429]
    # Four, and one more for each wait of five seconds and more that is over meanwhile, where the machine is slow.
    assert said.count(401) == sum(each.looked for each in together) - before <= 6


def test_an_invitation_is_good_once_wherever_it_is_shown(replicas: tuple[Keywright, Keywright]) -> None:
    eve = person(replicas[0].service, "eve@example.test", password=None)
    text = replicas[0].client().post(f"/users/{eve.id}/invitations").json()["text"]

    def shown(number: int) -> int:
        with browser(replicas[number % 2]) as made:
            body = {"text": text, "password": "walnut harbour pencil ostrich"}
            return made.post("/api/v1/session/new-password", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(shown, range(4))) == [200, 401, 401, 401]
