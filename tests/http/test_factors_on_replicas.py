"""What is good once is good once on two replicas that are shown it at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import httpx2
import pyotp
import pytest

from tests.rigs import persons
from tests.rigs.authenticator import Authenticator
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.postgresql import PostgresServer

ORIGIN = "https://keywright.test"
AT_ONCE = 8
Replicas = tuple[Keywright, Keywright]


@pytest.fixture(scope="module")
def replicas(new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    new_postgresql.execute("CREATE DATABASE factors_ledger")
    it = new_postgresql
    url = f"postgresql://postgres:{it.password}@{it.host}:{it.port}/factors_ledger"
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    with (
        running_keywright(ledger_url=url, data=data, url=ORIGIN) as one,
        running_keywright(ledger_url=url, data=data, url=ORIGIN, owner=one.owner) as other,
    ):
        for each in (one, other):  # a framework makes its routes up when it is asked first, and not for two at once
            assert each.client().get("/me").status_code == 200
        yield one, other
    new_postgresql.execute("DROP DATABASE factors_ledger WITH (FORCE)")


_number = iter(range(1000))


@pytest.fixture
def ada(replicas: Replicas) -> str:
    return persons.add(replicas[0].service, f"ada{next(_number)}@keywright.test", persons.OWNER)


def at_once(clients: list[httpx2.Client], path: str, body: dict[str, Any]) -> list[int]:
    """What each of them is answered, all of them asking at the same moment."""
    together = Barrier(len(clients))

    def ask(client: httpx2.Client) -> int:
        client.get("/me")  # a connection that stands
        together.wait(30)
        return client.post(path, json=body).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        return sorted(pool.map(ask, clients))


def sessions(replicas: Replicas, user: str) -> list[httpx2.Client]:
    """Sessions of one user, half of them at each replica."""
    return [replicas[n % 2].client(persons.signed_in(replicas[0].service, user)) for n in range(AT_ONCE)]


def now(secret: str) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC))


def test_a_code_lets_exactly_one_in(replicas: Replicas, ada: str) -> None:
    secret = persons.app(replicas[0].service, ada)
    answers = at_once(sessions(replicas, ada), "/session/factor", {"code": now(secret)})
    assert answers.count(200) == 1, answers


def test_a_recovery_code_lets_exactly_one_in(replicas: Replicas, ada: str) -> None:
    service = replicas[0].service
    persons.app(service, ada)
    asking = replicas[1].client(persons.signed_in(service, ada, factor=persons.JUST_NOW))
    code = asking.post("/recovery-codes").json()["recovery_codes"][0]
    answers = at_once(sessions(replicas, ada), "/session/factor", {"recovery_code": code})
    assert answers.count(200) == 1, answers


def test_a_passkey_s_answer_lets_exactly_one_in(replicas: Replicas, ada: str) -> None:
    asking = replicas[0].client(persons.signed_in(replicas[0].service, ada))
    key = Authenticator(ORIGIN, counts=False)
    options = asking.post("/factors/passkeys/challenge").json()["public_key"]
    made = asking.post("/factors/passkeys", json={"name": "key", "passkey": key.create(options)})
    assert made.status_code == 201, made.text
    nobody = [replicas[n % 2].nobody() for n in range(AT_ONCE)]
    options = nobody[0].post("/session/passkey/challenge").json()["public_key"]
    answers = at_once(nobody, "/session/passkey", {"passkey": key.get(options)})
    assert answers.count(200) == 1, answers


def test_a_sign_in_that_waits_opens_one_session(replicas: Replicas, ada: str) -> None:
    service = replicas[0].service
    secret = persons.app(service, ada)
    waits = persons.waiting(service, ada)
    nobody = [replicas[n % 2].nobody() for n in range(AT_ONCE)]
    answers = at_once(nobody, "/session/factor", {"pending": waits, "code": now(secret)})
    assert answers.count(200) == 1, answers
    with service.ledger.read() as tx:
        from service.ledger.persons import sessions as table

        opened = tx.sql.execute(table.select().where(table.c.user_id == ada)).all()
    assert len(opened) == 1


def test_what_one_replica_was_shown_the_other_knows_at_once(replicas: Replicas, ada: str) -> None:
    one, other = replicas
    owner = one.client()
    owner.post("/environments", json={"name": "production"})
    owner.put("/environments/production/variables/shop/PASSWORD", json={"value": "hush"})
    secret = persons.app(one.service, ada)
    text = persons.signed_in(one.service, ada)
    place = "/environments/production/values/shop/PASSWORD"
    for _ in range(3):
        assert other.client(text).get(place).status_code == 403
    assert one.client(text).post("/session/factor", json={"code": now(secret)}).status_code == 200
    assert other.client(text).get(place).status_code == 200
