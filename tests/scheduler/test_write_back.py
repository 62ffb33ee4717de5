"""Passwords that live in Vault/OpenBao or AWS Secrets Manager, and are turned there (write-back)."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from providers.stores.aws import AwsSecretsStore
from providers.stores.vault import VaultStore
from providers.vault_login import TokenLogin, VaultSession
from service import wiring
from service.core.reference import Store
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PATIENCE = 30.0
FIRST = "kept-outside-pässword"


@contextmanager
def keeping(store: str, implementation: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keywright]:
    """A Keywright that has this one store."""
    monkeypatch.setattr(wiring, "stores", lambda settings: {store: implementation})
    with running_keywright(clock=True, tick=0.1) as it:
        body = {"name": "production", "stores": {store: ["*"]}}
        it.client().post("/environments", json=body).raise_for_status()
        yield it


def register(it: Keywright, server: PostgresServer, strategy: str, reference: str, user: str, **kept: str) -> None:
    """A connection whose password lives at `reference`."""
    server.login(user, FIRST)
    admin = server.administration(f"kw_{user}", user)
    answer = it.client().put("/environments/production/connections/admin", json=definition(admin))
    assert answer.status_code == 201, answer.text
    rotation = {"strategy": strategy, "drain_minimum": "1s", "drain_limit": "1s"}
    body = definition(server.access(user, FIRST), administered_by="admin", rotation=rotation)
    body |= {"login": {"username": user}, "kept_in": {"reference": reference, **kept}}
    answer = it.client().put("/environments/production/connections/shop/db", json=body)
    assert answer.status_code == 201, answer.text


def turn(it: Keywright) -> dict[str, Any]:
    """Rotate by hand, and wait until it has ended."""
    client = it.client()
    asked = client.post("/environments/production/rotations", json={"connection": "shop/db"}).json()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        rotation: dict[str, Any] = client.get(f"/rotations/{asked['id']}").json()
        if rotation["ended_at"] or rotation["stage"] == "stuck":
            return rotation
        time.sleep(0.1)
    return rotation


def fetch(it: Keywright) -> dict[str, Any]:
    """The credential that applications get."""
    answer = it.client().get("/environments/production/credentials/shop/db")
    assert answer.status_code == 200, answer.text
    credential: dict[str, Any] = answer.json()
    return credential


def test_single_in_openbao(bao: OpenBao, new_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new password is written there, other keys stay, and nothing of it stays sealed here."""
    bao.api("POST", "secret/data/back/single", {"data": {"password": FIRST, "note": "stays"}})
    store = VaultStore(VaultSession(bao.address, TokenLogin(bao.root_token)))
    with keeping("vault", store, monkeypatch) as it:
        register(it, new_postgresql, "single", "vault:secret/back/single", "kept_vault")
        assert fetch(it)["password"] == FIRST
        assert turn(it)["stage"] == "retired"
        kept = bao.api("GET", "secret/data/back/single")["data"]["data"]
        assert kept["note"] == "stays"
        assert kept["password"] != FIRST
        credential = fetch(it)
        assert credential["password"] == kept["password"]
        with new_postgresql.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_alternating_in_aws(aws: Aws, old_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """User name and password are keys of one secret, and change together."""
    client = aws.client("secretsmanager")
    value = json.dumps({"user": "kept_aws", "password": FIRST, "host": "db"})
    client.create_secret(Name="back/alternating", SecretString=value)
    store = AwsSecretsStore(aws.session("secretsmanager"))
    with keeping("aws-sm", store, monkeypatch) as it:
        register(it, old_postgresql, "alternating", "aws-sm:back/alternating", "kept_aws", username_key="user")
        for expected in ("kept_aws_a", "kept_aws_b"):
            rotation = turn(it)
            assert rotation["stage"] == "retired", rotation
            kept = json.loads(_current(client, "back/alternating"))
            assert kept["user"] == expected
            assert kept["host"] == "db"
            assert fetch(it)["username"] == expected
            assert fetch(it)["password"] == kept["password"]


def test_somebody_elses_change_is_not_overwritten(
    bao: OpenBao, new_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store holds another password than the database: nothing is changed in either."""
    bao.api("POST", "secret/data/back/other", {"data": {"password": FIRST}})
    store = VaultStore(VaultSession(bao.address, TokenLogin(bao.root_token)))
    with keeping("vault", store, monkeypatch) as it:
        register(it, new_postgresql, "single", "vault:secret/back/other", "kept_other")
        bao.api("POST", "secret/data/back/other", {"data": {"password": "somebody-elses"}})
        rotation = turn(it)
        assert rotation["stage"] == "abandoned"
        assert "changed outside of Keywright" in rotation["reason"]
        assert bao.api("GET", "secret/data/back/other")["data"]["data"] == {"password": "somebody-elses"}


def test_a_secret_with_a_rotation_of_its_own_is_left_alone(
    aws: Aws, new_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two turning one secret would never agree."""
    client = aws.client("secretsmanager")
    client.create_secret(Name="back/turned", SecretString=json.dumps({"password": FIRST}))
    store = AwsSecretsStore(aws.session("secretsmanager"))
    with keeping("aws-sm", store, monkeypatch) as it:
        register(it, new_postgresql, "single", "aws-sm:back/turned", "kept_turned")
        monkeypatch.setattr(store, "turned_elsewhere", lambda reference: True)
        rotation = turn(it)
        assert rotation["stage"] == "abandoned"
        assert "rotation of its own" in rotation["reason"]


def _current(client: Any, name: str) -> str:
    # The stage is named: without it moto answers with the version that was put first.
    return str(client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"])
