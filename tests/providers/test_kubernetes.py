"""A cluster's word on service accounts' tokens, as its API server gives it (TokenReview)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.proofs.gate import Places
from providers.proofs.kubernetes import Cluster, NoCluster
from service.core.errors import Unavailable
from service.core.proof import ServiceAccount, Unproven
from service.core.secret import Secret
from tests.rigs.cluster import AUDIENCE, ApiServer, running_api_server
from tests.rigs.issuer import rsa
from tests.rigs.ports import free_port
from tests.rigs.stub import Answer

REVIEWED = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}
WEB = {"username": "system:serviceaccount:shop:web"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api_server(tmp_path / "reviewer") as it:
        yield it


def asked(server: ApiServer, token: str, folder: Path, audience: str = AUDIENCE) -> ServiceAccount:
    return Cluster(server.url + "/", None, folder / "reviewer", Places()).reviewed(Secret(token), (audience, "another"))


def test_whose_it_is(server: ApiServer, tmp_path: Path) -> None:
    assert asked(server, server.token(), tmp_path) == ServiceAccount("shop", "web", "uid-of-web")


def test_what_the_cluster_does_not_know(server: ApiServer, tmp_path: Path) -> None:
    server.gone.add("left")
    for token in (
        server.token("left"),
        server.token(key=rsa("cluster")),
        server.token(exp=1),
        server.token(aud=["https://kubernetes.default.svc"]),
        "nonsense",
    ):
        with pytest.raises(Unproven):
            asked(server, token, tmp_path)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": "true", "user": WEB, "audiences": [AUDIENCE]},
        {"authenticated": True, "user": WEB},
        {"authenticated": True, "user": WEB, "audiences": []},
        {"authenticated": True, "user": WEB, "audiences": ["https://kubernetes.default.svc"]},
        {"authenticated": True, "user": {"username": "admin"}, "audiences": [AUDIENCE]},
        {"authenticated": True, "audiences": [AUDIENCE]},
    ],
)
def test_what_proves_nothing(server: ApiServer, tmp_path: Path, status: dict[str, object]) -> None:
    server.instead = Answer(201, {**REVIEWED, "status": status})
    with pytest.raises(Unproven):
        asked(server, server.token(), tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, {"kind": "Status"}),
        Answer(403, {"kind": "Status"}),
        Answer(500),
        Answer(302, headers={"Location": "/"}),
        Answer(200, {"kind": "Status", "status": {"authenticated": True}}),
        Answer(201, REVIEWED),
        Answer(201, b"<html>"),
    ],
)
def test_a_server_that_says_nothing_of_the_token(server: ApiServer, tmp_path: Path, answer: Answer) -> None:
    server.instead = answer
    with pytest.raises(Unavailable) as failed:
        asked(server, server.token(), tmp_path)
    assert server.token()[:20] not in str(failed.value)


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "reviewer").write_text("x")
    with pytest.raises(Unavailable):
        asked(ApiServer(url=f"http://127.0.0.1:{free_port()}"), "x", tmp_path)
    with pytest.raises(Unavailable):
        asked(ApiServer(url="http://127.0.0.1:1"), "x", tmp_path / "nowhere")
    with pytest.raises(Unavailable):
        NoCluster().reviewed(Secret("x"), ("us",))


def test_keywrights_own_token_is_read_each_time(server: ApiServer, tmp_path: Path) -> None:
    good = (tmp_path / "reviewer").read_text()
    (tmp_path / "reviewer").write_text("expired")
    with pytest.raises(Unavailable):
        asked(server, server.token(), tmp_path)
    (tmp_path / "reviewer").write_text(good)
    asked(server, server.token(), tmp_path)


def test_a_server_that_failed_is_left_alone_for_a_while(server: ApiServer, tmp_path: Path) -> None:
    server.instead = Answer(500)
    cluster = Cluster(server.url, None, tmp_path / "reviewer", Places())
    for _ in range(3):
        with pytest.raises(Unavailable, match="status 500"):
            cluster.reviewed(Secret(server.token()), (AUDIENCE,))
    assert len(server.asked) == 1
