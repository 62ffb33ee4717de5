"""hvac's logins and what a token may do for itself, on OpenBao and on Keywright."""

from collections.abc import Callable
from typing import Any

import hvac
import pytest

from tests.vault.pair import Pair, Side

LOGINS: dict[str, Callable[[Side, hvac.Client], Any]] = {
    "approle": lambda side, client: client.auth.approle.login(side.words["role_id"], side.words["secret_id"]),
    "jwt": lambda side, client: client.auth.jwt.jwt_login("app", side.words["jwt"]),
    "kubernetes": lambda side, client: client.auth.kubernetes.login("app", side.words["kubernetes jwt"]),
}


def fresh(side: Side, method: str = "approle") -> hvac.Client:
    """A client that has logged in on its own, so that it may throw its token away."""
    client = side.client(None)
    LOGINS[method](side, client)
    return client


@pytest.mark.parametrize("method", LOGINS)
def test_a_machine_logs_in(pair: Pair, method: str) -> None:
    answer = pair.both(f"log in by {method}", lambda side: LOGINS[method](side, side.client(None)))
    assert answer.value["auth"]["renewable"] is True
    assert answer.value["auth"]["lease_duration"] == 3600
    looked = pair.both(f"look a token of {method} up", lambda side: fresh(side, method).auth.token.lookup_self())
    assert 3500 < looked.value["data"]["ttl"] <= 3600


@pytest.mark.parametrize(
    ("name", "login", "raised"),
    [
        ("wrong secret id", lambda s, c: c.auth.approle.login(s.words["role_id"], "wrong"), "InvalidRequest"),
        ("wrong role id", lambda s, c: c.auth.approle.login("wrong", "wrong"), "InvalidRequest"),
        ("spoilt jwt", lambda s, c: c.auth.jwt.jwt_login("app", s.words["jwt"] + "x"), "InvalidRequest"),
        ("unknown jwt role", lambda s, c: c.auth.jwt.jwt_login("none", s.words["jwt"]), "InvalidRequest"),
        ("bad kubernetes jwt", lambda s, c: c.auth.kubernetes.login("app", "garbage"), "Forbidden"),
        ("unknown kubernetes role", lambda s, c: c.auth.kubernetes.login("none", s.words["jwt"]), "Forbidden"),
    ],
)
def test_a_login_that_is_refused(pair: Pair, name: str, login: Callable[[Side, hvac.Client], Any], raised: str) -> None:
    outcome = pair.both(name, lambda side: login(side, side.client(None)))
    assert type(outcome.error).__name__ == raised


def test_a_token_looks_itself_up(pair: Pair) -> None:
    pair.both("look itself up", lambda side: side.hvac.auth.token.lookup_self())
    assert pair.both("is it authenticated", lambda side: side.hvac.is_authenticated()).value is True
    looked = pair.both("look up by the old name", lambda side: side.hvac.lookup_token())
    assert looked.value["data"]["id"]


@pytest.mark.parametrize("increment", [None, 600, "600s", "10m"])
def test_a_token_renews_itself(pair: Pair, increment: int | str | None) -> None:
    renewed = pair.both(
        "renew" if increment is None else "renew with an increment",
        lambda side: fresh(side).auth.token.renew_self(increment=increment),
    )
    # Keywright never makes a token shorter by renewing it.
    assert 3590 < renewed.value["auth"]["lease_duration"] <= 3600


def test_a_token_revokes_itself(pair: Pair) -> None:
    def revoked(side: Side) -> hvac.Client:
        client = fresh(side)
        client.auth.token.revoke_self()
        return client

    pair.both("revoke itself", revoked)
    dead = pair.both("use a revoked token", lambda side: revoked(side).auth.token.lookup_self())
    assert isinstance(dead.error, hvac.exceptions.Forbidden)
    assert "permission denied" in str(dead.error)
    assert pair.both("is it authenticated still", lambda side: revoked(side).is_authenticated()).value is False
    pair.both("log out", lambda side: fresh(side).logout(revoke_token=True))


@pytest.mark.parametrize("token", ["", "s.nonsense", "kw_0000000000000000_" + "x" * 43])
def test_a_token_that_is_none(pair: Pair, token: str) -> None:
    name = f"a token that is none, {len(token)} long"
    refused = pair.both(name, lambda side: side.client(token).secrets.kv.v2.read_secret_metadata("production/x"))
    assert isinstance(refused.error, hvac.exceptions.Forbidden)
    assert "permission denied" in str(refused.error)
