"""Logging in to Vault and staying logged in, seen through reads of a store; and what odd answers mean."""

import base64
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from providers.stores.vault import VaultStore
from providers.vault_login import AppRoleLogin, KubernetesLogin, Login, TokenLogin, VaultSession
from service.core.errors import StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reference
from service.core.secret import Secret
from tests.rigs.openbao import OpenBao, openbao
from tests.rigs.stub import Answer, Request, stub

OPEN, CLOSED = Reference("vault", "secret/login/open"), Reference("vault", "secret/elsewhere/closed")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="policy", scope="module")
def policy_fixture(bao: OpenBao) -> str:
    bao.api("POST", "secret/data/login/open", {"data": {"password": "x"}})
    return bao.policy("login", {"secret/data/login/*": ["read"]})


def _role(bao: OpenBao, policy: str, **options: Any) -> tuple[str, AppRoleLogin]:
    """A role whose secret id is good for one login, so that a second one would be noticed."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    return name, AppRoleLogin(*bao.approle(name, [policy], **options))


def _store(bao: OpenBao, login: Login, **options: Any) -> VaultStore:
    return VaultStore(VaultSession(bao.address, login, **options))


def _reads(store: VaultStore) -> bool:
    return store.read(OPEN).value == Secret('{"password":"x"}')


def test_a_revoked_token_is_replaced_by_a_fresh_login(bao: OpenBao, policy: str) -> None:
    store = _store(bao, _role(bao, policy)[1])
    assert _reads(store)
    bao.api("POST", "sys/leases/revoke-prefix/auth/approle/login")
    assert _reads(store)


def test_a_refusal_with_a_living_token_causes_no_login(bao: OpenBao, policy: str) -> None:
    store = _store(bao, _role(bao, policy, secret_id_num_uses=1)[1])
    for _ in range(3):
        with pytest.raises(StoreRefused, match="policy"):
            store.read(CLOSED)
    assert _reads(store)


def test_a_refusal_with_an_older_token_tries_one_fresh_login(bao: OpenBao, policy: str) -> None:
    clock = Clock()
    name, login = _role(bao, policy)
    store = _store(bao, login, clock=clock)
    assert _reads(store)
    clock.now += 300
    with pytest.raises(StoreRefused):
        store.read(CLOSED)
    with pytest.raises(StoreRefused):
        store.read(CLOSED)
    assert len(bao.living(name)) == 2


def test_many_threads_log_in_once(bao: OpenBao, policy: str) -> None:
    store, results = _store(bao, _role(bao, policy, secret_id_num_uses=1)[1]), []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        results.append(_reads(store))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_a_token_is_renewed_after_two_thirds_of_its_lease(bao: OpenBao, policy: str) -> None:
    clock = Clock()
    name, login = _role(bao, policy, token_ttl="600s", secret_id_num_uses=1)
    store = _store(bao, login, clock=clock)
    assert _reads(store)
    clock.now += 399
    assert _reads(store)
    assert "last_renewal" not in bao.living(name)[0]
    clock.now += 2
    assert _reads(store)
    assert "last_renewal" in bao.living(name)[0]


def test_after_its_lease_a_new_login_is_made(bao: OpenBao, policy: str) -> None:
    clock = Clock()
    name, login = _role(bao, policy, token_ttl="600s")
    store = _store(bao, login, clock=clock)
    assert _reads(store)
    clock.now += 601
    assert _reads(store)
    assert len(bao.living(name)) == 2


def test_a_token_that_cannot_be_renewed_is_replaced_before_it_ends(bao: OpenBao, policy: str) -> None:
    clock = Clock()
    _, login = _role(bao, policy, token_ttl="600s", token_type="batch", secret_id_num_uses=2)
    store = _store(bao, login, clock=clock)
    assert _reads(store)
    clock.now += 401
    assert _reads(store)
    clock.now += 401
    with pytest.raises(StoreRefused, match="AppRole"):  # a third login, which the secret id is not good for
        store.read(OPEN)


def test_a_wrong_secret_id_is_refused_without_being_repeated(bao: OpenBao, policy: str) -> None:
    _, login = _role(bao, policy)
    with pytest.raises(StoreRefused, match="AppRole") as caught:
        _store(bao, AppRoleLogin(login.role_id, Secret("not-the-one"))).read(OPEN)
    assert "not-the-one" not in caught.value.message


def test_a_given_token_works_and_is_refused_once_revoked(bao: OpenBao, policy: str) -> None:
    token = bao.token(policy)
    store = _store(bao, TokenLogin(token))
    assert _reads(store)
    bao.api("POST", "auth/token/revoke", {"token": token.reveal()})
    with pytest.raises(StoreRefused) as caught:
        store.read(OPEN)
    assert token.reveal() not in caught.value.message


def test_a_given_token_is_renewed(bao: OpenBao, policy: str) -> None:
    clock, token = Clock(), bao.token(policy, ttl="600s")
    store = _store(bao, TokenLogin(token), clock=clock)
    assert _reads(store)
    clock.now += 401
    assert _reads(store)
    assert "last_renewal" in bao.api("POST", "auth/token/lookup", {"token": token.reveal()})["data"]


def test_a_given_token_need_not_be_able_to_look_at_itself(bao: OpenBao, policy: str) -> None:
    assert _reads(_store(bao, TokenLogin(bao.token(policy, no_default_policy=True))))


def _jwt(subject: str) -> str:
    """A service account's token: what a cluster signs; here the reviewer alone judges it."""
    account = {"namespace": "shop", "serviceaccount": {"name": subject, "uid": "1"}}
    claims = {"sub": f"system:serviceaccount:shop:{subject}", "jti": uuid.uuid4().hex, "kubernetes.io": account}
    parts = [{"alg": "RS256"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, base64.urlsafe_b64encode(b"signature").rstrip(b"=").decode()])


def test_kubernetes_reads_the_service_account_token_at_each_login(bao: OpenBao, policy: str, tmp_path: Path) -> None:
    accepted: set[str] = set()

    def review(request: Request) -> Answer:
        assert request.path == "/apis/authentication.k8s.io/v1/tokenreviews"
        good = json.loads(request.body)["spec"]["token"] in accepted
        user = {"username": "system:serviceaccount:shop:keywright", "uid": "1", "groups": []}
        status = {"authenticated": True, "user": user} if good else {"authenticated": False}
        return Answer(201, {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})

    path = tmp_path / "token"
    store = _store(bao, KubernetesLogin("keywright", path))
    with stub(review) as (address, _):
        cluster = {"kubernetes_host": address, "kubernetes_ca_cert": bao.ca_file.read_text()}
        reviewer = {"token_reviewer_jwt": _jwt("reviewer"), "disable_local_ca_jwt": True}
        bao.api("POST", "auth/kubernetes/config", {**cluster, **reviewer})
        bound = {"bound_service_account_names": ["keywright"], "bound_service_account_namespaces": ["shop"]}
        bao.api("POST", "auth/kubernetes/role/keywright", {**bound, "token_policies": [policy]})
        with pytest.raises(StoreRefused, match=str(path)):
            store.read(OPEN)
        for _ in range(2):
            accepted.clear()
            accepted.add(jwt := _jwt("keywright"))
            path.write_text(jwt + "\n")
            assert _reads(store)
            bao.api("POST", "sys/leases/revoke-prefix/auth/kubernetes/login")
        accepted.clear()
        with pytest.raises(StoreRefused, match="Kubernetes") as caught:
            store.read(OPEN)
        assert jwt not in caught.value.message


def test_the_certificate_is_verified(bao: OpenBao, policy: str) -> None:
    login = TokenLogin(bao.token(policy))
    assert _reads(VaultStore(VaultSession(bao.tls_address, login, ca_file=bao.ca_file)))
    with pytest.raises(StoreUnreachable, match="certificate"):
        VaultStore(VaultSession(bao.tls_address, login)).read(OPEN)


def test_a_namespace_is_where_paths_and_logins_are_looked_for(bao: OpenBao) -> None:
    bao.api("POST", "sys/namespaces/team")
    bao.api("POST", "team/sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    bao.api("POST", "team/kv/db", {"password": "theirs"})
    reference = Reference("vault", "kv/db")
    inside = VaultStore(VaultSession(bao.address, TokenLogin(bao.root_token), namespace="team"))
    assert inside.read(reference).value == Secret('{"password":"theirs"}')
    with pytest.raises(StoreRefused):
        _store(bao, TokenLogin(bao.root_token)).read(reference)


def test_a_sealed_server_is_unreachable_and_reached_again_when_unsealed() -> None:
    with openbao() as own:
        own.api("POST", "old/login", {"password": "x"})
        store, reference = _store(own, TokenLogin(own.root_token)), Reference("vault", "old/login")
        store.read(reference)
        own.seal()
        with pytest.raises(StoreUnreachable, match="sealed"):
            store.read(reference)
        own.unseal()
        assert store.read(reference).value == Secret('{"password":"x"}')


@pytest.mark.parametrize("status", [412, 429, 500, 501, 502, 503, 504])
def test_a_node_out_of_service_is_unreachable(status: int) -> None:
    with stub(lambda _: Answer(status, {"errors": ["no"]})) as (address, _), pytest.raises(StoreUnreachable):
        VaultStore(VaultSession(address, TokenLogin(Secret("t"))), {"secret": 2}).read(OPEN)


def test_a_redirect_is_not_followed_with_the_token() -> None:
    with stub(lambda _: Answer(200, {"data": {"ttl": 0}})) as (elsewhere, asked_elsewhere):

        def standby(request: Request) -> Answer:
            return Answer(307, b"", {"Location": elsewhere + request.path})

        with stub(standby) as (address, _), pytest.raises(StoreUnreachable, match="standby"):
            VaultStore(VaultSession(address, TokenLogin(Secret("t"))), {"secret": 2}).read(OPEN)
        assert asked_elsewhere == []


def test_what_does_not_speak_as_vault_does_is_malformed() -> None:
    with stub(lambda _: Answer(200, b"<html>Sign in to the guest network</html>")) as (address, _):
        session = VaultSession(address, TokenLogin(Secret("t")))
        with pytest.raises(StoreMalformed, match="address of Vault"):
            VaultStore(session, {"secret": 2}).read(OPEN)


def test_a_renewal_that_is_not_answered_leaves_the_token_in_use() -> None:
    clock = Clock()

    def answer(request: Request) -> Answer:
        if request.path.endswith("login"):
            auth = {"client_token": "t", "lease_duration": 600, "renewable": True}
            return Answer(200, {"auth": auth})
        if request.path.endswith("renew-self"):
            return Answer(503, {"errors": []})
        return Answer(200, {"data": {"data": {"password": "x"}, "metadata": {"version": 1}}})

    with stub(answer) as (address, asked):
        session = VaultSession(address, AppRoleLogin("r", Secret("s")), clock=clock)
        store = VaultStore(session, {"secret": 2})
        assert _reads(store)
        clock.now += 500
        assert _reads(store)
        assert [request.path.rpartition("/")[2] for request in asked] == ["login", "open", "renew-self", "open"]


def test_a_renewal_close_to_the_maximum_gives_way_to_a_login() -> None:
    clock = Clock()

    def answer(request: Request) -> Answer:
        if request.path.endswith(("login", "renew-self")):
            lease = 600 if request.path.endswith("login") else 200
            return Answer(200, {"auth": {"client_token": "t", "lease_duration": lease, "renewable": True}})
        return Answer(200, {"data": {"data": {"password": "x"}, "metadata": {"version": 1}}})

    with stub(answer) as (address, asked):
        store = VaultStore(VaultSession(address, AppRoleLogin("r", Secret("s")), clock=clock), {"secret": 2})
        assert _reads(store)
        clock.now += 401
        assert _reads(store)
        paths = [request.path.rpartition("/")[2] for request in asked]
        assert paths == ["login", "open", "renew-self", "login", "open"]


def test_a_proxy_of_the_environment_gets_nothing(bao: OpenBao, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bao.token(policy)
    with stub(lambda _: Answer(200, {})) as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        assert _reads(_store(bao, TokenLogin(token)))
        assert asked == []
