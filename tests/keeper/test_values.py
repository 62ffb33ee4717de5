"""Fetching values of every kind."""

import json

import pytest

from service.core.errors import (
    Absent,
    Invalid,
    StoreAbsent,
    StoreMalformed,
    StoreRefused,
    StoreUnreachable,
    TooLarge,
)
from service.core.reference import Reference
from service.core.secret import Secret
from service.core.variable import ValueKind
from service.keeper.references import FRESH
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.keeper.values import MOST, Fetched, Wanted
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine, put, tag

TEMPLATE, REFERENCE = ValueKind.TEMPLATE, ValueKind.REFERENCE


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened)
    return opened


def fetch(service: Service, *names: str, caller: object = SYSTEM) -> list[Fetched]:
    return service.keeper.values.fetch(caller, "production", Wanted(names))[0]  # type: ignore[arg-type]


def text(service: Service, name: str) -> str:
    found = fetch(service, name)[0].value
    assert isinstance(found, Secret)
    return found.reveal()


def test_literals(service: Service) -> None:
    put(service, "shop/S", "ünïcödé\n\0 \U0001f511")
    put(service, "shop/O", {"b": [1, 2.5, None, True], "a": {"ä": "ö"}})
    assert text(service, "shop/S") == "ünïcödé\n\0 \U0001f511"
    assert fetch(service, "shop/O")[0].value == {"b": [1, 2.5, None, True], "a": {"ä": "ö"}}


def test_references(service: Service, home: Home) -> None:
    home.store.put("shop/db", json.dumps({"password": "hunter2", "deep": {"a/b": ["x"]}}))
    put(service, "shop/whole", "vault:shop/db", kind=REFERENCE)
    put(service, "shop/one", "vault:shop/db#password", kind=REFERENCE)
    put(service, "shop/deep", "vault:shop/db#/deep/a~1b", kind=REFERENCE)
    put(service, "shop/none", "vault:shop/db#none", kind=REFERENCE)
    put(service, "shop/within", "vault:shop/db#/password/x", kind=REFERENCE)
    assert json.loads(text(service, "shop/whole"))["password"] == "hunter2"
    assert text(service, "shop/one") == "hunter2"
    assert text(service, "shop/deep") == '["x"]'
    with pytest.raises(StoreAbsent):
        fetch(service, "shop/none")
    with pytest.raises(StoreMalformed):
        fetch(service, "shop/within")
    found = fetch(service, "shop/one")[0]
    assert (found.kind, found.version, found.secret) == (REFERENCE, 1, True)
    assert 0 <= found.age < FRESH


def test_templates(service: Service, home: Home) -> None:
    home.database.create("app", "p@ss/word")
    wanted = {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test", "port": 5432}],
        "database": "shop",
        "tls": {"mode": "disable"},
        "login": {"username": "app"},
    }
    service.keeper.connections.put(
        SYSTEM, "production", "shop/db", registration(wanted, Secret("p@ss/word")), if_match=None
    )
    home.store.put("tier", "gold")
    put(service, "shop/HOST", "web", secret=False)
    put(service, "shop/TIER", "vault:tier", kind=REFERENCE)
    put(service, "shop/O", {"a": 1})
    every = "|".join(f"${{connection:shop/db#{f}}}" for f in ("username", "password", "host", "port", "database"))
    put(service, "shop/T", "$${x} ${shop/HOST}-${shop/TIER}-${shop/HOST} $ {} " + every, kind=TEMPLATE)
    assert text(service, "shop/T") == "${x} web-gold-web $ {} app|p@ss/word|db.test|5432|shop"
    put(service, "shop/URL", "${connection:shop/db#url}", kind=TEMPLATE)
    assert text(service, "shop/URL") == "postgresql://app:p%40ss%2Fword@db.test:5432/shop?sslmode=disable"
    assert fetch(service, "shop/T")[0].age >= 0
    put(service, "shop/bad", "${shop/O}", kind=TEMPLATE)
    with pytest.raises(Invalid, match="object"):
        fetch(service, "shop/bad")
    # What a value happens to contain is not a placeholder.
    put(service, "shop/HOST", "${shop/TIER}", secret=False)
    assert text(service, "shop/T").startswith("${x} ${shop/TIER}-gold")


def test_a_template_that_grows_too_long(service: Service) -> None:
    put(service, "shop/A", "ä" * 30_000)
    put(service, "shop/T", "${shop/A}${shop/A}", kind=TEMPLATE)
    with pytest.raises(TooLarge):
        fetch(service, "shop/T")


def test_by_name_all_or_none_and_by_folder_what_may_be_used(service: Service) -> None:
    for name in ("shop/a", "shop/deep/b", "shopping/x", "blog/c"):
        put(service, name, name)
    reader = machine(service, "reader", ("use", "folder", "production", "shop"))
    assert [f.name for f in fetch(service, "shop/deep/b", "shop/a", "shop/a", caller=reader)] == [
        "shop/deep/b",
        "shop/a",
    ]
    for beyond in ("shopping/x", "blog/c", "nothing"):
        with pytest.raises(Absent):
            fetch(service, "shop/a", beyond, caller=reader)

    def folder(name: str) -> list[str]:
        found, _ = service.keeper.values.fetch(reader, "production", Wanted(folder=name))
        return [f.name for f in found]

    assert folder("") == folder("shop") == ["shop/a", "shop/deep/b"]
    assert folder("shop/deep") == ["shop/deep/b"]
    assert folder("blog") == folder("nowhere") == []


def test_how_much_may_be_asked(sqlite_home: Home) -> None:
    service = sqlite_home.service()
    environment(service)
    for wanted in (Wanted(), Wanted(("a b",)), Wanted(folder="../x")):
        with pytest.raises(Invalid):
            service.keeper.values.fetch(SYSTEM, "production", wanted)
    with pytest.raises(TooLarge):
        fetch(service, *(f"v{number}" for number in range(MOST + 1)))


def test_a_folder_counts_only_what_the_caller_may_use(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.keeper.values.MOST", 3)
    service = home.service()
    environment(service)
    for number in range(7):
        put(service, f"blog/v{number}", "x")
        put(service, f"shop/{'mine' if number < 3 else 'other'}/v{number}", "x")
    reader = machine(service, "reader", ("use", "folder", "production", "shop/mine"))
    assert len(service.keeper.values.fetch(reader, "production", Wanted(folder=""))[0]) == 3
    with pytest.raises(TooLarge):
        service.keeper.values.fetch(SYSTEM, "production", Wanted(folder="shop"))


def test_the_tag_follows_the_value(service: Service, home: Home) -> None:
    home.store.put("x", "one")
    put(service, "shop/R", "vault:x", kind=REFERENCE)
    put(service, "shop/A", "a")
    keeper = service.keeper

    def follow(*names: str) -> str:
        found = tag(service, SYSTEM, "production", Wanted(names))
        assert keeper.values.fetch(SYSTEM, "production", Wanted(names))[1] == found
        return found

    first = follow("shop/A"), follow("shop/R"), follow("shop/A", "shop/R")
    assert len(set(first)) == 3
    assert (follow("shop/A"), follow("shop/R"), follow("shop/A", "shop/R")) == first
    put(service, "shop/A", "b")
    assert follow("shop/A") != first[0]
    assert follow("shop/R") == first[1]
    service.keeper.values._references.forget(Reference("vault", "x"))
    home.store.put("x", "two")
    assert follow("shop/R") != first[1]


def test_polls_are_not_recorded_but_their_refusals_are(service: Service) -> None:
    put(service, "shop/A", "a")
    with service.ledger.read() as tx:
        before = tx.sql.exec_driver_sql("SELECT seq FROM head").scalar_one()
    tag(service, SYSTEM, "production", Wanted(("shop/A",)))
    with pytest.raises(Absent):
        tag(service, SYSTEM, "production", Wanted(("shop/B",)))
    with service.ledger.read() as tx:
        assert tx.sql.exec_driver_sql("SELECT seq FROM head").scalar_one() == before + 1


def test_what_a_store_answers_is_told(service: Service, home: Home) -> None:
    put(service, "shop/R", "vault:x", kind=REFERENCE)
    references = service.keeper.values._references
    with pytest.raises(StoreAbsent):
        fetch(service, "shop/R")
    for spoil, expected in (
        (lambda: home.store.refused.add("x"), StoreRefused),
        (lambda: setattr(home.store, "down", True), StoreUnreachable),
    ):
        references.forget(Reference("vault", "x"))
        spoil()
        with pytest.raises(expected) as told:
            fetch(service, "shop/R")
        assert "vault:x" in told.value.message
    home.stores.pop("vault")
    references.forget(Reference("vault", "x"))
    with pytest.raises(StoreUnreachable, match="not configured"):
        fetch(service, "shop/R")


def test_a_value_larger_than_the_limit_is_not_passed_on(service: Service, home: Home) -> None:
    home.store.put("x", "v" * 70_000)
    put(service, "shop/R", "vault:x", kind=REFERENCE)
    with pytest.raises(StoreMalformed, match="longer"):
        fetch(service, "shop/R")
