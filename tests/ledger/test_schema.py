"""The schema: the migration makes what `tables.py` says, all or nothing, and no other revision is served."""

import secrets
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, inspect, text

from service.core.errors import Unavailable
from service.ledger import schema
from service.ledger.ledger import Ledger
from service.ledger.tables import metadata
from tests.ledger.homes import OWNER, Home, Templates, wall_clock


def test_migrations_make_exactly_the_tables(home: Home) -> None:
    ledger = home.ledger()
    assert schema.differences(ledger) == []
    with ledger.connected() as sql:
        found = inspect(sql)
        assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
        # What the comparison above does not look at.
        assert [check["name"] for check in found.get_check_constraints("head")] == ["ck_head_one_row"]
        for table in metadata.tables.values():
            cascades = {
                (*key["constrained_columns"], key["options"].get("ondelete"))
                for key in found.get_foreign_keys(table.name)
            }
            assert cascades == {(key.parent.name, key.ondelete) for key in table.foreign_keys}


def test_names_are_ordered_by_their_bytes(home: Home) -> None:
    with home.ledger().connected() as sql:
        names = "SELECT name FROM environments ORDER BY name"
        for number, name in enumerate(("b", "a", "B", "_", "a-b", "a0")):
            row = {"id": str(number), "name": name}
            sql.execute(text("INSERT INTO environments VALUES (:id, :name, '{}', '[]', 1, 0, 0, 0, '{}')"), row)
        assert list(sql.execute(text(names)).scalars()) == ["B", "_", "a", "a-b", "a0", "b"]


def test_the_revision_is_the_newest_file() -> None:
    files = Path(schema.__file__).with_name("migrations").joinpath("versions").glob("[0-9]*.py")
    assert max(file.name for file in files).partition("_")[0] == schema.REVISION


@pytest.mark.parametrize("other", ["0000", "0002"])
def test_another_revision_is_refused_with_a_sentence(home: Home, other: str) -> None:
    ledger = home.ledger()
    with ledger.connected() as sql:
        sql.execute(text("UPDATE alembic_version SET version_num = :other"), {"other": other})
        sql.commit()
    with pytest.raises(Unavailable, match=f"revision {other} and this program needs {schema.REVISION}: take a copy"):
        schema.ready(ledger)
    with pytest.raises(Unavailable, match="this program does not know"):
        schema.migrate(ledger)
    assert schema.revision(ledger) == other


def test_looking_at_a_new_ledger_makes_no_file(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'new.sqlite'}", now=wall_clock, randomness=secrets.token_bytes)
    assert schema.revision(ledger) is None
    ledger.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, templates: Templates) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    name = f"empty_{secrets.token_hex(6)}"
    templates.server.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    return templates.postgresql_url(name)


@pytest.mark.parametrize("statement", [4, 12, 25])
def test_an_interrupted_migration_leaves_nothing(empty: str, statement: int) -> None:
    ledger = Ledger(empty, now=wall_clock, randomness=secrets.token_bytes)
    made = 0

    class Died(BaseException):
        pass

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def die(connection: object, cursor: object, text: str, *_: object) -> None:
        nonlocal made
        made += text.lstrip().startswith(("CREATE", "INSERT"))
        if made == statement:
            raise Died

    with pytest.raises(Died):
        schema.ready(ledger)
    event.remove(ledger.engine, "before_cursor_execute", die)
    assert schema.revision(ledger) is None
    with ledger.connected() as sql:
        assert inspect(sql).get_table_names() == []
    schema.ready(ledger)
    assert schema.differences(ledger) == []
    ledger.close()


def test_several_processes_may_find_the_same_empty_database(empty: str) -> None:
    ledgers = [Ledger(empty, now=wall_clock, randomness=secrets.token_bytes) for _ in range(3)]
    failures: list[BaseException] = []
    together = threading.Barrier(3)

    def start(ledger: Ledger) -> None:
        try:
            together.wait(10)
            schema.ready(ledger)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the test shows it
            failures.append(failure)

    threads = [threading.Thread(target=start, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert schema.differences(ledgers[0]) == []
    for ledger in ledgers:
        ledger.close()


def test_deleted_secrets_are_overwritten_in_the_file(sqlite_home: Home) -> None:
    ledger = sqlite_home.ledger()
    with ledger.connected() as sql:
        assert sql.execute(text("PRAGMA secure_delete")).scalar_one() == 1
        assert sql.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL: an answer follows its commit
        assert sql.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    with sqlite3.connect(sqlite_home.file) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_a_postgresql_without_an_encoding_serves(templates: Templates) -> None:
    """`initdb` in a bare environment makes such databases."""
    templates.server.execute(f"CREATE DATABASE bare OWNER {OWNER} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    ledger = Ledger(templates.postgresql_url("bare"), now=wall_clock, randomness=secrets.token_bytes)
    try:
        schema.ready(ledger)
        with ledger.connected() as sql:
            row = {"id": "1", "name": "größe"}
            sql.execute(text("INSERT INTO environments VALUES (:id, :name, '{}', '[]', 1, 0, 0, 0, '{}')"), row)
            assert list(sql.execute(text("SELECT name FROM environments")).scalars()) == ["größe"]
    finally:
        ledger.close()
        templates.server.execute("DROP DATABASE bare")
