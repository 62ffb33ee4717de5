"""The rules of the wire that clients rely on without a method for them, on OpenBao and on Keywright."""

from typing import Any

import pytest

from tests.vault.pair import Pair, Side

MERGE = "application/merge-patch+json"
BODY = {"data": {"password": "first", "port": "5432"}}


def write(pair: Pair, path: str, *bodies: Any) -> None:
    """The same secret on both."""

    def call(side: Side) -> None:
        for body in bodies or (BODY,):
            assert side.ask("POST", f"secret/data/{path}", body).status_code == 200

    pair.prepare(call)


def test_put_and_post_are_the_same(pair: Pair) -> None:
    for method in ("PUT", "POST"):
        pair.both(f"{method} a secret", lambda side, m=method: side.ask(m, "secret/data/production/wire/put", BODY))


def test_list_and_get_with_a_question_are_the_same(pair: Pair) -> None:
    write(pair, "production/wire/listed/one")
    for name, method, path in (
        ("LIST a folder", "LIST", "secret/metadata/production/wire/listed"),
        ("LIST a folder with a slash", "LIST", "secret/metadata/production/wire/listed/"),
        ("GET list=true", "GET", "secret/metadata/production/wire/listed?list=true"),
    ):
        (answer,) = pair.both(name, lambda side, m=method, p=path: side.ask(m, p)).answers
        assert answer.json()["data"]["keys"] == ["one"]


def test_a_patch_says_what_it_is(pair: Pair) -> None:
    path = "secret/data/production/wire/patched"
    write(pair, "production/wire/patched")
    change = {"data": {"port": None, "host": "db"}}
    (wrong,) = pair.both("PATCH as JSON", lambda side: side.ask("PATCH", path, change)).answers
    assert wrong.status_code == 415
    pair.both("PATCH", lambda side: side.ask("PATCH", path, change, Content_Type=MERGE))
    (read,) = pair.both("GET what was patched", lambda side: side.ask("GET", path)).answers
    assert read.json()["data"]["data"] == {"password": "first", "host": "db"}
    late = change | {"options": {"cas": 1}}
    (answer,) = pair.both("PATCH late", lambda side: side.ask("PATCH", path, late, Content_Type=MERGE)).answers
    assert answer.status_code == 400
    absent = "secret/data/production/wire/nothing"
    (answer,) = pair.both("PATCH nothing", lambda side: side.ask("PATCH", absent, change, Content_Type=MERGE)).answers
    assert answer.status_code == 404
    described = {"custom_metadata": {"owner": "shop"}}
    there = "secret/metadata/production/wire/patched"
    pair.both("PATCH metadata", lambda side: side.ask("PATCH", there, described, Content_Type=MERGE))


def test_subkeys(pair: Pair) -> None:
    write(pair, "production/wire/keys", {"data": {"a": {"b": {"c": "x"}}, "d": "y", "e": [1]}})
    for name, query in {"subkeys": "", "subkeys of depth 1": "?depth=1", "subkeys of a version": "?version=1"}.items():
        pair.both(name, lambda side, q=query: side.ask("GET", f"secret/subkeys/production/wire/keys{q}"))
    pair.both("subkeys of nothing", lambda side: side.ask("GET", "secret/subkeys/production/wire/none"))


@pytest.mark.parametrize("value", ["text", 5, 1.5, True, None, ["a", 1], {"deep": {"er": "x"}}, "", "ü€𝄞"])
def test_values_of_every_kind_come_back(pair: Pair, value: Any) -> None:
    write(pair, "production/wire/kinds", {"data": {"value": value, "other": "x"}})
    (answer,) = pair.both("GET a value", lambda side: side.ask("GET", "secret/data/production/wire/kinds")).answers
    assert answer.json()["data"]["data"] == {"value": value, "other": "x"}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("no data", {}),
        ("data that is null", {"data": None}),
        ("data that is text", {"data": "text"}),
        ("data that is a list", {"data": ["a"]}),
        ("a version that is text", {"data": {"a": "b"}, "options": {"cas": "x"}}),
        ("options that are text", {"data": {"a": "b"}, "options": "x"}),
        ("a body that is a list", ["data"]),
    ],
)
def test_what_is_no_secret(pair: Pair, name: str, body: Any) -> None:
    path = f"secret/data/production/wire/{name.replace(' ', '-')}"
    pair.both(f"write {name}", lambda side: side.ask("POST", path, body))
    pair.both(f"read after {name}", lambda side: side.ask("GET", path))


def test_an_empty_secret(pair: Pair) -> None:
    path = "secret/data/production/wire/empty"
    pair.both("write an empty secret", lambda side: side.ask("POST", path, {"data": {}}))
    pair.both("read an empty secret", lambda side: side.ask("GET", path))


def test_how_a_token_comes(pair: Pair) -> None:
    def bearer(side: Side) -> Any:
        return side.ask("GET", "auth/token/lookup-self", token=None, Authorization=f"Bearer {side.token}")

    pair.both("a bearer", bearer)
    (none,) = pair.both("no token", lambda side: side.ask("GET", "auth/token/lookup-self", token=None)).answers
    assert none.status_code == 403
    (read,) = pair.both(
        "read without a token", lambda side: side.ask("GET", "secret/data/production/x", token=None)
    ).answers
    assert read.status_code == 403
    (wrong,) = pair.both("a wrong token", lambda side: side.ask("GET", "secret/data/production/x", token="x")).answers
    assert "permission denied" in wrong.json()["errors"]


def test_namespaces(pair: Pair) -> None:
    def ask(side: Side, namespace: str) -> Any:
        return side.ask("GET", "auth/token/lookup-self", X_Vault_Namespace=namespace)

    pair.both("the root namespace", lambda side: ask(side, ""))
    pair.both("the root namespace by name", lambda side: ask(side, "root"))
    pair.both("an unknown namespace", lambda side: ask(side, "nowhere"))
    nowhere = {"X_Vault_Namespace": "nowhere"}

    def log_in(side: Side) -> Any:
        given = {name: side.words[name] for name in ("role_id", "secret_id")}
        return side.ask("POST", "auth/approle/login", given, token=None, **nowhere)

    pair.both("log in in an unknown namespace", log_in)
    pair.both("health in an unknown namespace", lambda side: side.ask("GET", "sys/health", **nowhere))
    path = "secret/data/production/wire/put"
    pair.both("read in an unknown namespace", lambda side: side.ask("GET", path, X_Vault_Namespace="nowhere"))


def test_a_namespace_is_an_environment(pair: Pair) -> None:
    """On Keywright the namespace stands for what is the first part of the path without one."""

    def place(side: Side) -> str:
        return "wire/spaced" if side is pair.keywright else "production/wire/spaced"

    def ask(side: Side, method: str, path: str, body: Any = None) -> Any:
        return side.ask(method, path, body, X_Vault_Namespace="production" if side is pair.keywright else "")

    pair.both("write in a namespace", lambda side: ask(side, "POST", f"secret/data/{place(side)}/db", BODY))
    (read,) = pair.both("read in a namespace", lambda side: ask(side, "GET", f"secret/data/{place(side)}/db")).answers
    assert read.json()["data"]["data"] == BODY["data"]
    pair.both("list in a namespace", lambda side: ask(side, "LIST", f"secret/metadata/{place(side)}"))
    pair.both("read from outside", lambda side: side.ask("GET", "secret/data/production/wire/spaced/db"))


def test_what_is_nowhere(pair: Pair) -> None:
    for path in ("nowhere/at/all", "secret", "secret/nothing/production/x", "sys/nothing", "auth/nothing/login"):
        pair.both(f"GET {path}", lambda side, p=path: side.ask("GET", p))
    pair.both("log in nowhere", lambda side: side.ask("POST", "auth/nothing/login", {"role": "x"}, token=None))


def test_health_for_load_balancers(pair: Pair) -> None:
    for query in ("", "?standbyok=true", "?activecode=299", "?sealedcode=200&uninitcode=200", "?standbycode=200"):
        for method in ("GET", "HEAD"):
            pair.both(
                f"{method} health with codes",
                lambda side, m=method, q=query: side.ask(m, f"sys/health{q}", token=None),
            )


@pytest.mark.parametrize(
    "body", [{}, {"increment": None}, {"increment": 60}, {"increment": "60"}, {"increment": "1m"}, None]
)
def test_a_renewal_takes_any_increment(pair: Pair, body: Any) -> None:
    def renew(side: Side) -> Any:
        given = {"role_id": side.words["role_id"], "secret_id": side.words["secret_id"]}
        token = side.ask("POST", "auth/approle/login", given, token=None).json()["auth"]["client_token"]
        return side.ask("POST", "auth/token/renew-self", body, token=token)

    assert pair.both("renew" if not body else "renew with an increment", renew).answers[-1].status_code == 200


def test_wrapping_asks_for_a_time(pair: Pair) -> None:
    write(pair, "production/wire/wrapped")
    for ttl in ("60", "60s", "1m"):
        (answer,) = pair.both(
            f"wrap for {ttl}",
            lambda side, t=ttl: side.ask("GET", "secret/data/production/wire/wrapped", X_Vault_Wrap_TTL=t),
        ).answers
        assert answer.json()["wrap_info"]["ttl"] == 60
    pair.both(
        "wrap for a word", lambda side: side.ask("GET", "secret/data/production/wire/wrapped", X_Vault_Wrap_TTL="x")
    )
    pair.both(
        "wrap what is absent", lambda side: side.ask("GET", "secret/data/production/wire/no", X_Vault_Wrap_TTL="60s")
    )
