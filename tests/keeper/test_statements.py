"""Machines' logins by what an issuer, or a cluster, states of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.core.errors import Invalid, KeywrightError, Unauthenticated, Unavailable
from service.core.proof import AppRole, Jwt, Kubernetes, Signer
from service.core.secret import Secret
from service.keeper.logins import LoggedIn
from service.keeper.tokens import SYSTEM
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.homes import Home
from tests.rigs.cluster import AUDIENCE as CLUSTER_AUDIENCE
from tests.rigs.cluster import ISSUER, ApiServer, running_api_server
from tests.rigs.issuer import AUDIENCE, SUBJECT, Issuer, pem, rsa, running_issuer
from tests.rigs.stub import Answer

UNKNOWN = "the proof cannot be looked at now: try again in a while"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as it:
        yield it


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api_server(tmp_path / "reviewer") as it:
        yield it


def workflow(issuer: Issuer) -> Jwt:
    """What binds a machine to the workflows of one repository's main branch."""
    claims = {"repository": ("shop/web",), "ref": ("refs/heads/main",)}
    return Jwt(Signer(issuer.url, ca=issuer.ca), (AUDIENCE,), "repo:shop/*", claims)


def pods(signer: Signer | None = None) -> Kubernetes:
    """What binds a machine to one service account."""
    return Kubernetes(("shop",), ("web", "worker-*"), (CLUSTER_AUDIENCE,), signer)


def by_jwt(service: Service, jwt: str, machine: str = "deploy", address: str = "192.0.2.1") -> LoggedIn:
    return service.keeper.logins.jwt(machine, Secret(jwt), address, "r")


def by_account(service: Service, jwt: str, machine: str = "web") -> LoggedIn:
    return service.keeper.logins.kubernetes(machine, Secret(jwt), "192.0.2.1", "r")


def told(service: Service) -> list[dict[str, object]]:
    return service.keeper.events.ask(SYSTEM, Question(action="machine.login", limit=500))


def refused(act: Callable[[], object], kind: type[KeywrightError] = Unauthenticated) -> str:
    with pytest.raises(kind) as wrong:
        act()
    return wrong.value.message


def test_a_workflow_proves_its_machine(home: Home, issuer: Issuer) -> None:
    service = home.service()
    service.keeper.machines.add(SYSTEM, "deploy", [], [AppRole(""), workflow(issuer)])
    given = by_jwt(service, issuer.signed(issuer.claims()))
    assert given.token is not None
    web = service.keeper.tokens.authenticate(given.token.reveal(), "", "r")
    metadata = service.keeper.logins.told(web).metadata
    assert metadata == {"proof": "jwt", "issuer": issuer.url, "subject": SUBJECT}
    (event,) = told(service)
    assert (event["actor"], event["name"], event["outcome"]) == (given.token_id, "deploy", "allowed")


def test_what_proves_no_machine_is_said_in_the_same_words(home: Home, issuer: Issuer) -> None:
    service = home.service()
    service.keeper.machines.add(SYSTEM, "deploy", [], [workflow(issuer)])
    service.keeper.machines.add(SYSTEM, "role", [], [AppRole("role-of-role")])
    service.keeper.machines.add(SYSTEM, "off", [], [workflow(issuer)])
    service.keeper.machines.change(SYSTEM, "off", enabled=False)
    service.keeper.machines.add(SYSTEM, "inside", [], [workflow(issuer)], ("10.0.0.0/8",))
    good = issuer.signed(issuer.claims())
    wrong = [
        ("deploy", issuer.signed(issuer.claims(), rsa("first"))),
        ("deploy", issuer.signed(issuer.claims(repository="shop/api"))),
        ("deploy", issuer.signed(issuer.claims(ref="refs/heads/other"))),
        ("deploy", issuer.signed(issuer.claims(ref=None))),
        ("deploy", issuer.signed(issuer.claims(sub="repo:bank/web"))),
        ("deploy", issuer.signed(issuer.claims(aud="https://else.test"))),
        ("deploy", issuer.signed(issuer.claims(exp=1))),
        ("deploy", "x" * 20_000),
        ("deploy", ""),
        ("nobody", good),
        ("../..", good),
        ("role", good),
        ("off", good),
        ("inside", good),
    ]
    said = {refused(partial(by_jwt, service, jwt, machine)) for machine, jwt in wrong}
    assert len(said) == 1
    told_of = told(service)
    assert {event["outcome"] for event in told_of} == {"refused"}
    assert good.split(".")[2][:20] not in str(told_of)
    by_jwt(service, good)


def test_a_signature_is_verified_for_nobody_too(
    sqlite_home: Home, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = sqlite_home.service()
    looked: list[str] = []
    verifier = service.keeper.logins._statements._verifier
    verified = verifier.verified

    def counted(jwt: Secret, signer: Signer, *rest: object) -> object:
        looked.append(signer.issuer)
        return verified(jwt, signer, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(verifier, "verified", counted)
    refused(lambda: by_jwt(service, issuer.signed(issuer.claims()), "nobody"))
    assert looked == ["urn:keywright:nobody"]
    assert issuer.asked == []


def test_an_issuer_that_does_not_answer_is_no_refusal(home: Home, issuer: Issuer) -> None:
    service = home.service()
    service.keeper.machines.add(SYSTEM, "deploy", [], [workflow(issuer)])
    issuer.answers["/keys"] = Answer(500)
    good = issuer.signed(issuer.claims())
    with capture_logs() as logs:
        assert refused(lambda: by_jwt(service, good), Unavailable) == UNKNOWN
    assert "does not answer now (status 500)" in logs[0]["reason"]
    assert good not in str(logs)
    spare = replace(workflow(issuer), signer=Signer(issuer.url, (pem(issuer.keys[0]),)))
    service.keeper.machines.add_proof(SYSTEM, "deploy", spare)
    by_jwt(service, good)  # by the other one, which needs nobody


def test_a_proof_that_is_taken_away_is_of_no_use(home: Home, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    service = home.service()
    held = service.keeper.machines.add(SYSTEM, "deploy", [], [workflow(issuer)]).machine.proofs[0]
    good = issuer.signed(issuer.claims())
    first = service.keeper.logins._statements.first

    def meanwhile(*shown: object) -> object:
        found = first(*shown)  # type: ignore[arg-type]
        service.keeper.machines.remove_proof(SYSTEM, held.id)
        return found

    monkeypatch.setattr(service.keeper.logins._statements, "first", meanwhile)
    refused(lambda: by_jwt(service, good))
    monkeypatch.undo()
    refused(lambda: by_jwt(service, good))


def test_keys_that_are_none_are_not_taken(home: Home) -> None:
    service = home.service()
    bad = Jwt(Signer("urn:x", ("no key",)), ("us",), "somebody")
    assert "keys" in refused(lambda: service.keeper.machines.add(SYSTEM, "deploy", [], [bad]), Invalid)
    assert service.keeper.machines.listed(SYSTEM, "", 10) == []


def in_cluster(home: Home, server: ApiServer, folder: Path) -> Service:
    service = home.service(KEYWRIGHT_KUBERNETES_API=server.url, KEYWRIGHT_KUBERNETES_REVIEWER=str(folder / "reviewer"))
    service.keeper.machines.add(SYSTEM, "web", [], [pods()])
    return service


def test_a_service_account_proves_its_machine(home: Home, server: ApiServer, tmp_path: Path) -> None:
    service = in_cluster(home, server, tmp_path)
    given = by_account(service, server.token())
    assert given.token is not None
    web = service.keeper.tokens.authenticate(given.token.reveal(), "", "r")
    account = {"namespace": "shop", "service_account": "web", "uid": "uid-of-web"}
    assert service.keeper.logins.told(web).metadata == {"proof": "kubernetes", **account}
    by_account(service, server.token("worker-7"))


def test_other_accounts_prove_nothing_and_the_cluster_is_not_even_asked(
    home: Home, server: ApiServer, tmp_path: Path
) -> None:
    service = in_cluster(home, server, tmp_path)
    for token in (server.token("api"), server.token(namespace="bank"), "nonsense", "a.b.c"):
        refused(partial(by_account, service, token))
    refused(partial(by_account, service, server.token(), "nobody"))
    assert server.asked == []
    server.gone.add("web")
    refused(partial(by_account, service, server.token()))
    refused(partial(by_account, service, server.token(aud=["https://kubernetes.default.svc"])))
    refused(partial(by_account, service, server.token(key=rsa("cluster"))))
    server.instead = Answer(403)
    refused(partial(by_account, service, server.token()), Unavailable)


def test_a_cluster_believes_one_name_and_the_token_says_another(home: Home, server: ApiServer, tmp_path: Path) -> None:
    service = in_cluster(home, server, tmp_path)
    user = {"username": "system:serviceaccount:bank:web"}
    status = {"authenticated": True, "user": user, "audiences": [CLUSTER_AUDIENCE]}
    server.instead = Answer(201, {"kind": "TokenReview", "status": status})
    refused(partial(by_account, service, server.token()))


def test_a_cluster_may_be_known_by_its_keys_alone(home: Home) -> None:
    service, cluster = home.service(), ApiServer()
    service.keeper.machines.add(SYSTEM, "web", [], [pods(Signer(ISSUER, (pem(cluster.key),)))])
    by_account(service, cluster.token())
    for token in (
        cluster.token("api"),
        cluster.token(key=rsa("cluster")),
        cluster.token(exp=1),
        cluster.token(aud=["https://kubernetes.default.svc"]),
        cluster.token(iss="https://else.test"),
    ):
        refused(partial(by_account, service, token))


def test_without_a_cluster_nothing_is_known(home: Home) -> None:
    service = home.service()
    service.keeper.machines.add(SYSTEM, "web", [], [pods()])
    with capture_logs() as logs:
        assert refused(lambda: by_account(service, ApiServer().token()), Unavailable) == UNKNOWN
    assert "KEYWRIGHT_KUBERNETES_API" in logs[0]["reason"]


def test_a_statement_of_the_future_is_measured_by_the_ledgers_clock(sqlite_home: Home, issuer: Issuer) -> None:
    service = sqlite_home.service()
    service.keeper.machines.add(SYSTEM, "deploy", [], [workflow(issuer)])
    good = issuer.signed(issuer.claims())
    by_jwt(service, good)
    present = sqlite_home.now()
    sqlite_home.now = lambda: present + timedelta(minutes=6)
    refused(lambda: by_jwt(sqlite_home.service(), good))
