"""The library against a real server."""

import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from keywright import Absent, Client, Invalid, Unauthenticated, Unexpected, Unreachable

from tests.client.children import in_a_child
from tests.client.server import PASSWORD, TOKEN, Asked, Server, Told, credential, entry, free_port, problem, serve

SHOP = "/environments/development/credentials/shop/db"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, TOKEN, "development", max_age=0) as client:
        yield client


def test_values(server: Server, client: Client) -> None:
    server.values = {"shop/db/HOST": "db1", "shop/limits": {"rows": 5}, "mail/HOST": "mx"}
    assert client.value("shop/db/HOST") == "db1"
    assert client.value("shop/limits") == {"rows": 5}
    assert client.values(folder="shop/") == {"shop/db/HOST": "db1", "shop/limits": {"rows": 5}}
    assert client.values(folder="") == server.values
    assert client.values(["mail/HOST", "shop/limits"]) == {"mail/HOST": "mx", "shop/limits": {"rows": 5}}
    with pytest.raises(Absent, match="look at the name"):
        client.value("shop/none")


def test_many_names_are_asked_for_in_several_questions(server: Server, client: Client) -> None:
    server.values = {f"shop/{'x' * 150}/{number}": str(number) for number in range(60)}
    assert client.values(server.values) == server.values
    asked = [a for a in server.asked if a.path.endswith("/values")]
    assert len(asked) > 1
    assert max(len(a.query["names"]) for a in asked) <= 3000


@pytest.mark.parametrize("name", ["../../me", "shop//db", "/shop", "shop/", "a b", "a?b", "a,b", "", "x" * 201])
def test_a_name_that_is_none_never_travels(server: Server, client: Client, name: str) -> None:
    for call in (client.value, client.credential, lambda n: client.values([n])):
        with pytest.raises(Invalid):
            call(name)
    assert server.asked == []


def test_either_names_or_a_folder(client: Client) -> None:
    for given in ({}, {"names": ["a"], "folder": "b"}, {"names": "shop"}):
        with pytest.raises(Invalid):
            client.values(**given)  # type: ignore[arg-type]


def test_a_credential(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential(entry(), entry("draining", "old", username="shop_b")))
    told = client.credential("shop/db")
    assert (told.engine, told.database, told.generation, told.stale) == ("postgresql", "shop", 7, False)
    assert (told.primary.host, told.primary.port, told.tls.mode) == ("db1", 5432, "verify-full")
    assert (told.best.username, told.best.password) == ("shop_a", PASSWORD)
    assert [(e.state, e.username) for e in told.entries] == [("live", "shop_a"), ("draining", "shop_b")]
    assert told.best.good_until is not None
    assert told.best.good_until.tzinfo is not None


def test_a_credential_is_revalidated_and_renewed(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    first = client.credential("shop/db")
    assert client.credential("shop/db") is first
    assert server.asked[-1].headers["if-none-match"] == '"7"'
    server.credentials["shop/db"] = ('"8"', credential(entry(password="turned"), generation=8))
    assert client.credential("shop/db").best.password == "turned"


def test_within_max_age_nobody_is_asked(server: Server) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    with Client(server.address, TOKEN, "development") as client:
        assert client.credential("shop/db") is client.credential("shop/db")
        assert server.count("GET", SHOP) == 1
        client.credential("shop/db", fresh=True)
        assert server.count("GET", SHOP) == 2


def test_a_server_that_went_away_leaves_the_promised_credential() -> None:
    with serve() as server:
        client = Client(server.address, TOKEN, "development", max_age=0, timeout=2)
        server.credentials["shop/db"] = ('"7"', credential())
        server.credentials["shop/past"] = ('"1"', credential(entry(good_for=-1), connection="shop/past"))
        assert not client.credential("shop/db").stale
        client.credential("shop/past")
    with client:
        client.close()  # the pool's sockets, as a restart of the server would
        told = client.credential("shop/db")
        assert told.stale
        assert told.best.password == PASSWORD
        with pytest.raises(Unreachable):
            client.credential("shop/past")
        with pytest.raises(Unreachable):
            client.value("shop/db/HOST")


def test_an_unavailable_server_leaves_it_too_but_a_revoked_token_does_not(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    client.credential("shop/db")
    server.down = problem("unavailable", 503)
    assert client.credential("shop/db").stale
    server.down, server.token = None, "kw_another"
    with pytest.raises(Unauthenticated):
        client.credential("shop/db")


def test_threads_share_one_question(server: Server) -> None:
    together = threading.Barrier(8)
    server.credentials["shop/db"] = ('"7"', credential())
    with Client(server.address, TOKEN, "development") as client, ThreadPoolExecutor(8) as pool:

        def fetch(_: int) -> str:
            together.wait(10)
            return client.credential("shop/db").best.password

        assert set(pool.map(fetch, range(8))) == {PASSWORD}
    assert server.count("GET", SHOP) == 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: a fork beside threads
def test_a_forked_child_has_connections_of_its_own(server: Server, client: Client) -> None:
    server.values = {"a": "b"}
    assert client.value("a") == "b"
    assert in_a_child(lambda: client.value("a") == "b")
    assert client.value("a") == "b"
    parent, child, again = (asked.port for asked in server.asked)
    assert child != parent == again


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: a fork beside threads
def test_a_forked_child_has_locks_of_its_own(server: Server) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    asking, go_on = threading.Event(), threading.Event()

    def slow(_: Asked) -> Told:
        if not asking.is_set():
            asking.set()
            go_on.wait(20)
        return Told(body=credential())

    with Client(server.address, TOKEN, "development") as client:
        server.route("GET", SHOP, slow)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(client.credential, "shop/db")
            assert asking.wait(10)
            try:
                # The parent's thread holds the lock of this credential, and is not there to let go.
                assert in_a_child(lambda: client.credential("shop/db").best.password == PASSWORD)
            finally:
                go_on.set()
            assert held.result(10).best.password == PASSWORD


def test_no_repr_and_no_traceback_holds_a_secret(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    told = client.credential("shop/db")
    shown = repr(told) + str(told) + repr(told.best) + repr(client) + repr(vars(client))
    body = credential()
    body["credentials"][0]["good_until"] = PASSWORD
    server.credentials["shop/db"] = ('"8"', body)
    with pytest.raises(Unexpected) as caught:
        client.credential("shop/db")
    shown += repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("field", ["credentials", "endpoints", "engine", "generation"])
def test_a_credential_of_another_form_is_refused(server: Server, client: Client, field: str) -> None:
    body = credential()
    del body[field]
    server.credentials["shop/db"] = ('"7"', body)
    with pytest.raises(Unexpected):
        client.credential("shop/db")


def test_numbers_without_an_end_are_of_another_form(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential() | {"generation": float("inf")})
    with pytest.raises(Unexpected):
        client.credential("shop/db")


@pytest.mark.parametrize("body", [[], {"value": "x"}, {"name": "a", "value": 5}, {"name": "a", "value": None}])
def test_a_value_of_another_form_is_refused(server: Server, client: Client, body: object) -> None:
    server.route("GET", "/environments/development/values/a", Told(body=body))
    with pytest.raises(Unexpected):
        client.value("a")


def test_plain_http_to_another_machine_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Invalid, match="KEYWRIGHT_ALLOW_PLAIN"):
        Client("http://192.0.2.1", TOKEN, "development")


def test_everything_can_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.values = {"a": "b"}
    monkeypatch.setenv("KEYWRIGHT_ADDR", server.address)
    monkeypatch.setenv("KEYWRIGHT_TOKEN", TOKEN)
    monkeypatch.setenv("KEYWRIGHT_ENVIRONMENT", "development")
    with Client() as client:
        assert client.value("a") == "b"


def test_without_a_server_it_says_where_it_looked() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=address), Client(address, TOKEN, "development") as client:
        client.value("a")
