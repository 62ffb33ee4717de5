"""Issuers that never answer: whose logins wait for them, and what does not."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import pytest

from providers.proofs import asking
from service.http import request
from service.http.limits import BURST
from tests.http.vault.client import Vault
from tests.rigs.issuer import AUDIENCE, SUBJECT, Issuer, pem
from tests.rigs.keywright import PATIENCE, Keywright, running_keywright, wait_until
from tests.rigs.ports import free_port
from tests.rigs.stub import Answer, Request, stub

STRANGERS = 45
MOUNTS = json.dumps({"secret/": {"type": "kv-v2"}})


@dataclass
class Dead(Issuer):
    """It answers nobody before it is `over`."""

    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, _: Request) -> Answer:
        """Late, if at all."""
        self.over.wait()
        return Answer(500)


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dead]:
    monkeypatch.setattr(asking, "TOTAL", PATIENCE * 4)
    issuer = Dead()
    with stub(issuer.answer) as (issuer.url, issuer.asked):
        yield issuer


def furnish(owner: httpx2.Client, issuer: Issuer) -> None:
    """Two machines: the keys of the one must be got from the issuer, the other one has them."""
    for name, keys in (("asks", {}), ("knows", {"keys": [pem(issuer.keys[0])]})):
        proof = {"kind": "jwt", "signer": {"issuer": issuer.url} | keys, "audiences": [AUDIENCE], "subject": SUBJECT}
        made = owner.post("/machines", json={"name": name, "proofs": [proof]})
        assert made.status_code == 201, made.text


def login(it: Keywright, issuer: Issuer, door: str, machine: str) -> httpx2.Response:
    jwt = issuer.signed(issuer.claims())
    if door == "native":
        with httpx2.Client(base_url=it.url, timeout=PATIENCE * 5, trust_env=False) as client:
            return client.post("/api/v1/login/jwt", json={"machine": machine, "jwt": jwt})
    with Vault(it.url) as nobody:
        return nobody("POST", "auth/jwt/login", {"role": machine, "jwt": jwt})


@pytest.mark.parametrize("door", ["native", "vault"])
def test_nobody_waits_for_an_issuer_that_it_does_not_need(dead: Dead, door: str) -> None:
    with running_keywright(vault_mounts=MOUNTS) as it, ThreadPoolExecutor(STRANGERS + 2) as pool:
        owner = it.client()
        furnish(owner, dead)
        strangers = [pool.submit(login, it, dead, door, "asks") for _ in range(STRANGERS)]
        try:
            wait_until(lambda: bool(dead.asked), "the issuer was not asked")
            known = pool.submit(login, it, dead, door, "knows")
            threads = pool.submit(owner.get, "/me/token")  # needs one of everybody's
            assert [each.result(PATIENCE).status_code for each in (known, threads)] == [200, 200]
            wait_until(lambda: len(_answers(strangers)) == STRANGERS - 1, "more than one waits for the issuer")
            for answer in _answers(strangers):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert len(dead.asked) == 1
        finally:
            dead.over.set()


def _answers(asked: list[Future[httpx2.Response]]) -> list[httpx2.Response]:
    return [each.result() for each in asked if each.done()]


@pytest.mark.parametrize("door", ["native", "vault"])
def test_a_login_that_cannot_be_looked_at_counts_as_one_of_nobody(door: str) -> None:
    with running_keywright(vault_mounts=MOUNTS, refused_rate=1) as it:
        gone = Issuer(f"http://127.0.0.1:{free_port()}")
        furnish(it.client(), gone)
        answers = [login(it, gone, door, "asks") for _ in range(BURST * 3)]
        assert gone.url not in answers[0].text
        said = [answer.status_code for answer in answers]
        assert said[0] == 503
        assert 429 in said
        assert it.client().get("/me").status_code == 200


@pytest.mark.parametrize("door", ["native", "vault"])
def test_no_more_logins_wait_for_a_thread_than_may(monkeypatch: pytest.MonkeyPatch, door: str) -> None:
    monkeypatch.setattr(request, "WAITING", 0)
    with running_keywright(vault_mounts=MOUNTS) as it:
        answer = login(it, Issuer("http://127.0.0.1:1"), door, "nobody")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "logins wait" in answer.text
