"""Data keys: turned while others write, interrupted anywhere, wrapped anew; and starts with the wrong master key."""

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from providers.keys.file import FileKey, create
from service.core.errors import Absent, Forbidden, KeyMissing, KeywrightError, KeyWrong, SealBroken, WrapError
from service.core.keyring import SYSTEM as SYSTEM_ID
from service.core.sealed import key_number
from service.core.secret import Secret
from service.core.variable import VersionState
from service.keeper import keys
from service.keeper.keys import Keyrings, Progress
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger import environments
from service.ledger.tables import credentials, data_keys, versions
from service.settings import read
from service.wiring import Service, build
from tests.ledger.homes import Home, environment, machine, owner, put

COUNT = 12


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_BATCH", 5)


def filled(home: Home) -> Service:
    """An environment with variables and a connection, all sealed under key 1."""
    service = home.service()
    environment(service)
    for number in range(COUNT):
        put(service, f"shop/v{number}", f"value-{number}")
    connect(service, home, "shop/db")
    return service


def connect(service: Service, home: Home, name: str) -> None:
    home.database.create("app", "app-password")
    wanted = {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test", "port": 5432}],
        "database": "shop",
        "tls": {"mode": "disable"},
        "login": {"username": "app"},
    }
    service.keeper.connections.put(
        SYSTEM, "production", name, registration(wanted, Secret("app-password")), if_match=None
    )


def all_readable(service: Service, extra: tuple[str, ...] = ()) -> None:
    names = tuple(f"shop/v{number}" for number in range(COUNT))
    found, _ = service.keeper.values.fetch(SYSTEM, "production", Wanted(names + extra))
    assert [f.value.reveal() for f in found if isinstance(f.value, Secret)] == [
        f"value-{name.removeprefix('shop/v')}" for name in names + extra
    ]
    answer = service.keeper.credentials.one(SYSTEM, "production", "shop/db")
    assert answer.entries[0].account.password.reveal() == "app-password"


def sealed_under(service: Service) -> set[int]:
    with service.ledger.read() as tx:
        held = [*tx.sql.execute(select(versions.c.sealed)).scalars()]
        held += tx.sql.execute(select(credentials.c.sealed)).scalars()
    return {key_number(sealed) for sealed in held if sealed is not None}


def key_numbers(service: Service) -> list[int]:
    with service.ledger.read() as tx:
        wanted = environments.find(tx, "production")
        assert wanted is not None
        return [key.number for key in environments.keys(tx, wanted.id)]


def rotated(service: Service) -> list[Progress]:
    return list(service.keeper.keyrings.rotate(SYSTEM, "production"))


def test_rotate_reseals_everything_and_drops_the_former_key(home: Home) -> None:
    service = filled(home)
    progress = rotated(service)
    assert sealed_under(service) == {2}
    assert key_numbers(service) == [2]
    assert progress[-1] == Progress("production", COUNT + 1, done=True)
    assert not any(step.done for step in progress[:-1])
    all_readable(service)
    all_readable(home.service())


def steps(service: Service) -> Iterator[Progress]:
    return service.keeper.keyrings.rotate(SYSTEM, "production")


def test_interrupted_at_any_batch_and_resumed(home: Home) -> None:
    service = filled(home)
    length = len(rotated(service))
    assert length > 4
    for killed_after in range(1, length):
        going = steps(service)
        for _ in range(killed_after):
            next(going)
        going.close()  # type: ignore[attr-defined]
        again = home.service()  # the process died: nothing of its memory is left
        all_readable(again)
        newest = max(key_numbers(again))
        former = sealed_under(again) - {newest}
        assert former <= set(key_numbers(again)), "a key was dropped that still seals something"
        list(again.keeper.keyrings.reseal(SYSTEM, "production"))
        assert sealed_under(again) == {newest}
        assert key_numbers(again) == [newest]
        all_readable(again)


def test_new_writes_during_resealing(home: Home) -> None:
    service = filled(home)
    extra = []
    for turn, _ in enumerate(steps(service)):
        name = f"shop/v{100 + turn}"
        put(service, name, f"value-{100 + turn}")
        extra.append(name)
    assert sealed_under(service) == {2}
    assert key_numbers(service) == [2]
    all_readable(home.service(), tuple(extra))


def test_another_process_seals_under_the_newest_key_too(pg_home: Home) -> None:
    """Its memory still holds the former key alone: what it sealed under that would be lost for ever."""
    service = filled(pg_home)
    other = pg_home.service()
    all_readable(other)  # it has key 1 in memory now
    for turn, _ in enumerate(steps(service)):
        put(other, f"shop/v{200 + turn}", f"value-{200 + turn}")
    put(other, "shop/v300", "value-300")
    connect(other, pg_home, "shop/other")
    assert sealed_under(service) == {2}
    assert key_numbers(service) == [2]
    all_readable(pg_home.service(), ("shop/v200", "shop/v300"))
    all_readable(other, ("shop/v200", "shop/v300"))
    all_readable(service, ("shop/v200", "shop/v300"))


def test_two_that_turn_at_once_lose_nothing(pg_home: Home) -> None:
    service, other = filled(pg_home), pg_home.service()
    one, two = steps(service), steps(other)
    while sealed_under(service) != {2}:
        next(one)
    next(two)  # a third key, and the first batch under it, just before the first process drops what is old
    assert sealed_under(service) == {2, 3}
    list(one)
    all_readable(pg_home.service())
    list(two)
    all_readable(pg_home.service())
    assert sealed_under(service) == {3}
    assert key_numbers(service) == [3]


def test_what_was_destroyed_while_it_is_resealed_stays_destroyed(pg_home: Home) -> None:
    """A batch reads and writes under `head`: nothing that is decided in between is undone by it."""
    service, other = filled(pg_home), pg_home.service()
    put(service, "shop/v0", "value-0")  # version 1 is not the live one any more
    waiting: list[str] = []

    @event.listens_for(service.ledger.engine, "after_cursor_execute")
    def meanwhile(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT versions.variable_id") and not waiting:
            waiting.append("started")
            # Waits for the batch (and then destroys), or destroys at once what the batch has just read.
            pool.submit(other.keeper.variables.set_state, SYSTEM, "production", "shop/v0", 1, VersionState.DESTROYED)
            for _ in range(200):
                with other.ledger.read() as tx:
                    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    if tx.sql.execute(text(blocked)).scalar_one():
                        return
                    gone = select(versions.c.state).where(versions.c.state == "destroyed")
                    if tx.sql.execute(gone).first():
                        return

    with ThreadPoolExecutor(1) as pool:
        rotated(service)
    with service.ledger.read() as tx:
        gone = tx.sql.execute(select(versions.c.sealed).where(versions.c.state == "destroyed")).scalars().all()
    assert gone == [None]


def test_only_an_owner_of_everything_turns_keys(home: Home) -> None:
    service = filled(home)
    editor = machine(service, "editor", ("own", "environment", "production", ""))
    with pytest.raises(Absent):
        list(service.keeper.keyrings.rotate(editor, "production"))
    with pytest.raises(Absent):
        list(service.keeper.keyrings.reseal(editor, "production"))
    user = machine(service, "user", ("use", "everything", None, ""))
    with pytest.raises(Forbidden):
        service.keeper.keyrings.rewrap(user, FileKey(home.folder / "key", secrets.token_bytes))
    assert key_numbers(service) == [1]


def test_deleting_an_environment_shreds_its_keys(home: Home) -> None:
    service = filled(home)
    rotated(service)
    with service.ledger.read() as tx:
        found = environments.find(tx, "production")
    assert found is not None
    service.keeper.environments.delete(SYSTEM, "production", if_match=None)
    with service.ledger.read() as tx:
        assert [key.environment_id for key in environments.keys(tx)] == ["system"]
        assert environments.keys(tx, found.id) == []
        assert tx.sql.execute(select(versions)).all() == []
        with pytest.raises(Absent):
            service.keeper.keyrings.sealer(tx, found.id)


# Wrapped anew.


def test_rewrap_and_the_former_key_opens_nothing(home: Home) -> None:
    service = filled(home)
    create(home.folder / "new", secrets.token_bytes)
    count = service.keeper.keyrings.rewrap(SYSTEM, FileKey(home.folder / "new", secrets.token_bytes))
    assert count == 2  # the installation's and the environment's
    all_readable(service)
    with pytest.raises(KeyWrong):
        home.service()
    home.key = f"file:{home.folder / 'new'}"
    all_readable(home.service())


def test_rewrap_by_the_command_to_an_environment_variable(sqlite_home: Home) -> None:
    filled(sqlite_home)
    sqlite_home.close()
    master = base64.b64encode(hashlib.sha256(b"a master key for tests").digest()).decode()
    said = keywrightd(sqlite_home, "keys", "rewrap", "env:MASTER_FOR_TEST", MASTER_FOR_TEST=master)
    assert (said.returncode, said.stderr) == (0, "")
    assert "KEYWRIGHT_KEY=env:MASTER_FOR_TEST" in said.stdout
    with pytest.raises(KeyWrong):
        sqlite_home.service()
    sqlite_home.key = "env:MASTER_FOR_TEST"
    cut = keywrightd(sqlite_home, "events", "verify", "--end", "ab" * 32, MASTER_FOR_TEST=master)
    assert cut.returncode == 3
    assert "cut" in cut.stdout


def test_a_process_that_missed_the_rewrap_makes_no_key_that_would_be_lost(pg_home: Home) -> None:
    service, other = filled(pg_home), pg_home.service()
    create(pg_home.folder / "new", secrets.token_bytes)
    service.keeper.keyrings.rewrap(SYSTEM, FileKey(pg_home.folder / "new", secrets.token_bytes))
    with pytest.raises(KeyWrong, match="restart it"):
        environment(other, "staging")
    with pytest.raises(KeyWrong, match="restart it"):
        rotated(other)
    environment(service, "staging")
    pg_home.key = f"file:{pg_home.folder / 'new'}"
    all_readable(pg_home.service())
    assert key_numbers(service) == [1]


class Forgetful(FileKey):
    """Wraps, and gives something else back."""

    def unwrap(self, wrapped: bytes, context: object) -> bytes:
        return bytes(32)


def test_a_rewrap_that_cannot_be_undone_changes_nothing(home: Home) -> None:
    service = filled(home)
    create(home.folder / "new", secrets.token_bytes)
    with pytest.raises(KeyWrong, match="nothing was changed"):
        service.keeper.keyrings.rewrap(SYSTEM, Forgetful(home.folder / "new", secrets.token_bytes))
    all_readable(home.service())


# Starts.


def keywrightd(home: Home, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    variables = {"PATH": os.defpath, "PYTHONWARNINGS": "error"} | home.settings_map() | more
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=variables,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _wrong(path: Path) -> None:
    path.unlink()
    create(path, secrets.token_bytes)


def _missing(path: Path) -> None:
    path.unlink()


def _open(path: Path) -> None:
    path.chmod(0o640)


@pytest.mark.parametrize("spoil", [_wrong, _missing, _open], ids=["wrong", "missing", "mode"])
def test_a_start_without_the_right_key_says_one_sentence_and_writes_nothing(
    sqlite_home: Home, spoil: Callable[[Path], None]
) -> None:
    filled(sqlite_home)
    sqlite_home.close()
    before = sqlite_home.file.read_bytes()
    spoil(sqlite_home.folder / "key")
    with pytest.raises(WrapError) as refused:
        sqlite_home.service()
    assert "\n" not in refused.value.message
    assert sqlite_home.file.read_bytes() == before
    if spoil is _wrong:  # what the command makes of it is the same for all three
        said = keywrightd(sqlite_home, "init")
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == f"keywrightd: {refused.value.message}\n"
        assert sqlite_home.file.read_bytes() == before


@pytest.mark.parametrize("key", ["file:{folder}/absent", "env:ABSENT_FOR_TEST"])
def test_a_new_ledger_without_its_key_is_not_made_half(tmp_path: Path, key: str) -> None:
    data = tmp_path / "data"
    with pytest.raises(KeyMissing):
        build(read({"KEYWRIGHT_DATA": str(data), "KEYWRIGHT_KEY": key.format(folder=tmp_path)}))
    assert list(data.iterdir()) == []
    built = build(read({"KEYWRIGHT_DATA": str(data)}))  # and it can still be made
    assert built.new
    built.close()


def test_a_new_ledger_makes_its_key_and_a_second_start_uses_it(tmp_path: Path) -> None:
    settings = read({"KEYWRIGHT_DATA": str(tmp_path / "data")})
    first = build(settings)
    assert first.new
    first.close()
    assert (tmp_path / "data" / "master.key").stat().st_mode & 0o777 == 0o600
    second = build(settings)
    assert not second.new
    second.close()
    (tmp_path / "data" / "master.key").unlink()
    with pytest.raises(KeyMissing, match="bring it back"):
        build(settings)
    assert not (tmp_path / "data" / "master.key").exists()


def test_two_that_open_a_new_ledger_at_once_agree_on_its_key(pg_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    together, made, add = threading.Barrier(4), Keyrings._made, environments.add_key

    def all_have_made_one(self: Keyrings, *given: Any) -> Any:
        if given[0] == SYSTEM_ID:
            together.wait(10)
        return made(self, *given)

    def slowly(*given: Any) -> None:
        time.sleep(0.2)  # the others come this far meanwhile, unless something holds them
        add(*given)

    monkeypatch.setattr(Keyrings, "_made", all_have_made_one)
    monkeypatch.setattr(environments, "add_key", slowly)
    with ThreadPoolExecutor(4) as pool:
        services = list(pool.map(lambda _: pg_home.service(), range(4)))
    with services[0].ledger.read() as tx:
        assert tx.sql.execute(select(data_keys.c.number)).scalars().all() == [1]
    assert len({service.keeper.keyrings.tag_key() for service in services}) == 1
    for service in services:
        put_environment = f"e{services.index(service)}"
        environment(service, put_environment)
    assert services[0].keeper.events.verify(owner(services[0])).broken_at is None


def test_a_moved_ciphertext_does_not_open(home: Home) -> None:
    """Whoever can write to the ledger cannot put one variable's value in another's place."""
    service = filled(home)
    with service.ledger.connected() as sql:
        rows = sql.execute(select(versions.c.variable_id, versions.c.sealed)).all()
        update = text("UPDATE versions SET sealed = :sealed WHERE variable_id = :id")
        sql.execute(update, {"sealed": rows[0].sealed, "id": rows[1].variable_id})
        sql.commit()
    failures: list[KeywrightError] = []
    for number in range(COUNT):
        try:
            service.keeper.values.fetch(SYSTEM, "production", Wanted((f"shop/v{number}",)))
        except SealBroken as broken:
            failures.append(broken)
    assert len(failures) == 1
