"""Machines sign in by what they are given where they run, and again before their token ends."""

import asyncio
from pathlib import Path

import pytest
from keywright import AsyncClient, Client, Invalid, Unauthenticated, Unexpected
from keywright.discovery import discover
from keywright.machine import PAUSE, MachineLogin, Proof

from tests.client.children import in_a_child
from tests.client.server import Asked, Server, Told, in_seconds, problem

LIFE = 900.0


class Logins:
    """The server's side: gives a new token for each login that it takes, and takes no older one."""

    def __init__(self, server: Server, path: str) -> None:
        self.server = server
        self.path = path
        self.bodies: list[dict[str, str]] = []
        self.down: Told | None = None
        server.open = True
        server.route("POST", path, self.answer)
        server.route("GET", "/environments/development/values/a", self.value)

    @property
    def token(self) -> str:
        return f"kw_machine-{len(self.bodies)}"

    def answer(self, asked: Asked) -> Told:
        if self.down:
            return self.down
        assert "authorization" not in asked.headers
        self.bodies.append(asked.body)
        told = {"token": self.token, "token_id": "t-1", "machine": "shop"}
        return Told(body=told | {"expires_at": in_seconds(LIFE), "renewable_until": in_seconds(86400)})

    def value(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return problem("unauthenticated", 401)
        return Told(body={"name": "a", "value": "b"})


def kubernetes(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a pod finds."""
    file = folder / "jwt"
    file.write_text("ey.first\n")
    for name, value in (("ADDR", server.address), ("ENVIRONMENT", "development"), ("MACHINE", "shop")):
        monkeypatch.setenv(f"KEYWRIGHT_{name}", value)
    monkeypatch.setenv("KEYWRIGHT_KUBERNETES_TOKEN_FILE", str(file))
    return file


def test_a_pod_signs_in_with_its_service_account(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = Logins(server, "/login/kubernetes")
    file = kubernetes(tmp_path, server, monkeypatch)
    with Client() as client:
        assert (client.value("a"), client.value("a")) == ("b", "b")
        assert logins.bodies == [{"machine": "shop", "jwt": "ey.first"}]
        file.write_text("ey.second")  # Kubernetes renews it
        logins.bodies.append({})  # the server takes the former no more
        assert client.value("a") == "b"
        assert logins.bodies[-1]["jwt"] == "ey.second"


def test_tasks_sign_in_too(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Logins(server, "/login/kubernetes")
    kubernetes(tmp_path, server, monkeypatch)

    async def ask() -> None:
        async with AsyncClient() as client:
            assert await client.value("a") == "b"
            logins.bodies.append({})
            assert await client.value("a") == "b"

    asyncio.run(ask())
    assert len(logins.bodies) == 3


def test_a_role_signs_in_with_its_secret(server: Server, tmp_path: Path) -> None:
    logins = Logins(server, "/login/approle")
    file = tmp_path / "secret-id"
    file.write_text("s-2\n")
    around = {"XDG_CONFIG_HOME": str(tmp_path), "KEYWRIGHT_ADDR": server.address, "KEYWRIGHT_ROLE_ID": "r-1"}
    for more, sent in (
        ({"KEYWRIGHT_SECRET_ID": "s-1"}, "s-1"),
        ({"KEYWRIGHT_SECRET_ID_FILE": str(file)}, "s-2"),
    ):
        found = discover(environ=around | more)
        assert found.token is not None
        assert found.token() == logins.token
        assert logins.bodies[-1] == {"role_id": "r-1", "secret_id": sent}
    with pytest.raises(Invalid, match="KEYWRIGHT_SECRET_ID"):
        discover(environ=around)


def test_a_token_that_was_given_comes_first(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubernetes(tmp_path, server, monkeypatch)
    found = discover(token="kw_given")
    assert found.token is not None
    assert found.token() == "kw_given"


def test_without_the_file_nobody_is_a_machine(tmp_path: Path) -> None:
    around = {"XDG_CONFIG_HOME": str(tmp_path), "KEYWRIGHT_ADDR": "https://a", "KEYWRIGHT_MACHINE": "shop"}
    with pytest.raises(Unauthenticated, match="keywright login"):
        discover(environ=around)
    found = discover(environ=around | {"KEYWRIGHT_KUBERNETES_TOKEN_FILE": str(tmp_path / "none")})
    assert found.token is not None
    with pytest.raises(Unauthenticated, match="cannot be read"):
        found.token()


def test_it_signs_in_anew_when_two_thirds_are_over_and_not_in_a_tight_loop(server: Server) -> None:
    logins, now = Logins(server, "/login/approle"), [0.0]
    source = MachineLogin(server.address, Proof("/login/approle", lambda: {"role_id": "r"}), now=lambda: now[0])
    assert source() == "kw_machine-1"
    now[0] = LIFE * 0.6
    assert source() == "kw_machine-1"
    now[0] = LIFE * 0.7
    assert source() == "kw_machine-2"
    now[0] += LIFE * 0.7
    logins.down = problem("unavailable", 503)
    for _ in range(5):
        assert source() == "kw_machine-2"  # it lives on
    assert server.count("POST", "/login/approle") == 3
    now[0] += PAUSE
    assert source() == "kw_machine-2"
    assert server.count("POST", "/login/approle") == 4
    now[0] += LIFE
    with pytest.raises(Exception, match="what, where"):
        source()


def test_a_token_is_renewed_as_long_as_that_gives_it_a_life(server: Server) -> None:
    logins, now, given = Logins(server, "/login/approle"), [0.0], [LIFE, LIFE / 3]

    def renew(asked: Asked) -> Told:
        assert asked.headers["authorization"] == f"Bearer {logins.token}"
        return Told(body={"token_id": "t-1", "machine": "shop", "expires_at": in_seconds(given.pop(0))})

    server.route("POST", "/me/renewals", renew)
    source = MachineLogin(server.address, Proof("/login/approle", lambda: {"role_id": "r"}), now=lambda: now[0])
    source()
    now[0] += LIFE * 0.7
    assert source() == "kw_machine-1"  # a secret id may be good for one login only
    now[0] += LIFE * 0.5
    assert source() == "kw_machine-1"
    now[0] += LIFE * 0.2
    assert source() == "kw_machine-2"
    assert (server.count("POST", "/me/renewals"), given) == (2, [])


def test_one_proof_is_one_login_for_all_clients_of_a_process(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = Logins(server, "/login/kubernetes")
    kubernetes(tmp_path, server, monkeypatch)
    for _ in range(3):
        with Client() as client:
            assert client.value("a") == "b"
    assert len(logins.bodies) == 1
    monkeypatch.setenv("KEYWRIGHT_MACHINE", "other")
    with Client() as client:
        assert client.value("a") == "b"
    assert logins.bodies[1:] == [{"machine": "other", "jwt": "ey.first"}]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: a fork beside threads
def test_a_forked_child_uses_the_same_token(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Logins(server, "/login/kubernetes")
    kubernetes(tmp_path, server, monkeypatch)
    with Client() as client:
        assert client.value("a") == "b"
        logins.down = problem("unauthenticated", 401)  # a secret id was good once
        assert in_a_child(lambda: client.value("a") == "b")


def test_a_proof_that_was_refused_rests_longer_each_time_and_another_does_not(server: Server) -> None:
    logins, now, secret = Logins(server, "/login/approle"), [0.0], ["s-1"]
    logins.down = problem("unauthenticated", 401, "it was used")
    source = MachineLogin(server.address, Proof("/login/approle", lambda: {"s": secret[0]}), now=lambda: now[0])
    for _ in range(100):
        for _ in range(10):
            with pytest.raises(Unauthenticated, match="it was used"):
                source()
        now[0] += 1
    assert 3 <= server.count("POST", "/login/approle") <= 8
    logins.down, secret[0] = None, "s-2"
    assert source() == "kw_machine-1"


def test_a_login_that_is_refused_says_so(server: Server) -> None:
    Logins(server, "/login/approle").down = problem("unauthenticated", 401, "no such role")
    with pytest.raises(Unauthenticated, match="no such role"):
        MachineLogin(server.address, Proof("/login/approle", dict))()


@pytest.mark.parametrize("body", [[], {}, {"token": "kw_hidden"}, {"token": "kw_hidden", "expires_at": "kw_hidden"}])
def test_an_answer_of_another_form_is_refused_and_not_repeated(server: Server, body: object) -> None:
    server.open = True
    server.route("POST", "/login/approle", Told(body=body))
    with pytest.raises(Unexpected) as caught:
        MachineLogin(server.address, Proof("/login/approle", dict))()
    assert "kw_hidden" not in str(caught.value)
