"""Promise 13: a second way in to an administration login that turns itself exists outside of the ledger."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.core.connection import Access, Account, Endpoint, Probe, Rejected
from service.core.errors import EscrowError
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper.budget import FAILED_LOGINS
from service.keeper.escrows import ALONE
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from tests.rigs.rotating import Stand, stand
from tests.scheduler.test_administration import escrowed, works


@pytest.fixture
def here() -> Iterator[Stand]:
    """A login that administers itself under `single`, and an escrow."""
    with stand(Strategy.SINGLE, itself=True, settings={"escrow": "escrow"}) as made:
        yield made


def findings(here: Stand) -> list[str]:
    """What the health of the administration connection says."""
    state, said = here.service.keeper.connections.get(SYSTEM, "production", "admin").health
    assert state == "warned"
    assert "TLS is off" in said[0]
    return said[1:]


def keywrightd(here: Stand, *words: str) -> str:
    """What the command answers, on the stand's folder."""
    program = shutil.which("keywrightd", path=str(Path(sys.executable).parent))
    assert program
    environ = {"KEYWRIGHT_ESCROW": str(here.folder / "escrow"), "LC_ALL": "C.UTF-8"}
    command = [program, *words, "--data", str(here.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environ).stdout


def test_it_is_kept_from_the_beginning(here: Stand) -> None:
    """As soon as the connection is registered."""
    assert escrowed(here) == [Account("admin", Secret("admin-password"))]
    assert findings(here) == []


@pytest.mark.parametrize("strategy", Strategy)
def test_the_escrow_knows_a_password_before_the_database_does(strategy: Strategy) -> None:
    """Whatever the database is asked for is in the file by then, and the former one as well."""
    with stand(strategy, itself=True, settings={"escrow": "escrow"}) as here:
        asked = []

        def watch(name: str) -> None:
            change = getattr(here.fake, name)

            def watched(*arguments: Any) -> Any:
                new = [each for each in arguments if isinstance(each, Secret)]
                held = escrowed(here)
                assert set(map(Secret.reveal, new)) <= {account.password.reveal() for account in held}
                assert any(works(here, account) for account in held)
                asked.append(name)
                return change(*arguments)

            setattr(here.fake, name, watched)

        for name in ("join", "add_password", "set_password", "change_own"):
            watch(name)
        for _ in range(2):
            here.ask()
            assert here.run().rotation.stage is Stage.RETIRED
        assert len(asked) >= 2
        assert works(here, escrowed(here)[0])


def test_without_it_the_login_is_not_turned(here: Stand) -> None:
    """It waits, with the reason; the database has not heard of anything."""
    (here.folder / "escrow").unlink()
    (here.folder / "escrow").mkdir()
    here.ask()
    story = here.run(seconds=60)
    assert story.rotation.stage is Stage.ANNOUNCED
    assert "the administration login is not turned: the escrow file" in story.lines[-1].sentence
    assert here.fake.log == []
    (here.folder / "escrow").rmdir()
    assert here.run(seconds=900).rotation.stage is Stage.RETIRED
    assert works(here, escrowed(here)[0])


def test_what_was_proven_dead_is_forgotten(here: Stand) -> None:
    """After the publication the file holds the live password, and the former one only while it may still matter."""
    for _ in range(2):
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert [works(here, account) for account in escrowed(here)] == [True]


def test_an_older_ledger_does_not_overwrite_the_only_password(here: Stand) -> None:
    """It was brought back from a backup: the file knows what it does not."""
    here.service.close()
    shutil.copy(here.folder / "ledger.sqlite", here.folder / "backup")
    here.open()
    here.ask()
    assert here.run().rotation.stage is Stage.RETIRED
    here.service.close()
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (here.folder / name).unlink(missing_ok=True)
    shutil.copy(here.folder / "backup", here.folder / "ledger.sqlite")
    here.open()
    here.service.keeper.escrows.check_all()
    assert any(works(here, account) for account in escrowed(here))
    assert "`keywrightd escrow open admin` shows it" in findings(here)[0]


def test_what_the_check_finds(here: Stand) -> None:
    """The file is gone and made anew; it cannot be; the login was turned outside; nobody answers."""
    check = here.service.keeper.escrows.check_all
    (here.folder / "escrow").unlink()
    check()
    assert escrowed(here) == [Account("admin", Secret("admin-password"))]
    assert findings(here) == []
    here.fake.create("admin", "of-somebody-else")
    check()
    assert "no password in the escrow logs in" in findings(here)[0]
    here.fake.unreachable.add(here.fake.everywhere)
    check()
    assert "no password in the escrow logs in" in findings(here)[0]
    here.fake.unreachable.clear()
    here.fake.create("admin", "admin-password")
    check()
    assert findings(here) == []
    (here.folder / "escrow").write_text("damaged")
    check()
    assert "not up to date" in findings(here)[0]


def test_a_check_trips_no_lock_out(here: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is repeated, few rejected logins are risked."""
    probe, rejected = here.fake.probe, []

    def counting(access: Access, endpoint: Endpoint) -> Probe:
        outcome = probe(access, endpoint)
        rejected.extend([outcome] * isinstance(outcome, Rejected))
        return outcome

    here.ask()
    here.work()
    monkeypatch.setattr(here.fake, "probe", counting)
    here.fake.create("admin", "of-somebody-else")
    for _ in range(10):
        here.service.keeper.escrows.check_all()
        here.now += timedelta(minutes=1)
    assert len(rejected) <= FAILED_LOGINS + 1
    assert "no password in the escrow logs in" in findings(here)[0]


def test_a_connection_is_recorded_and_its_escrow_fails(here: Stand) -> None:
    """The answer says both; putting it again makes it good."""
    (here.folder / "escrow").unlink()
    (here.folder / "escrow").mkdir()
    target = here._target() | {"administered_by": "admin"}
    with pytest.raises(EscrowError, match=r"is recorded \(revision 2\), but not kept in escrow") as refused:
        here.service.keeper.connections.put(SYSTEM, "production", "admin", registration(target, None), if_match=None)
    assert str(here.folder) not in refused.value.message
    assert refused.value.place == str(here.folder / "escrow")
    here.service.keeper.escrows.check_all()
    assert str(here.folder) not in str(findings(here))


def test_a_file_that_others_may_open_is_remarked(here: Stand) -> None:
    (here.folder / "escrow").chmod(0o644)
    here.service.keeper.escrows.check_all()
    assert findings(here) == ["others than its owner may open the escrow file (mode 0644): chmod 600"]
    program = shutil.which("keywrightd", path=str(Path(sys.executable).parent))
    environ = {"KEYWRIGHT_ESCROW": str(here.folder / "escrow"), "LC_ALL": "C.UTF-8"}
    command = [str(program), "escrow", "list", "--data", str(here.folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environ)
    assert f"(mode 0644): chmod 600: {here.folder / 'escrow'}" in said.stderr
    (here.folder / "escrow").chmod(0o600)
    here.service.keeper.escrows.check_all()
    assert findings(here) == []


def test_a_login_that_administers_itself_alone_is_warned_of() -> None:
    """Neither an escrow nor another administration connection to that server."""
    with stand(Strategy.SINGLE, itself=True) as here:
        assert findings(here) == [ALONE]
        here.fake.create("spare", "spare-password")
        target = here._target() | {"login": {"username": "spare"}}
        put = here.service.keeper.connections.put
        put(SYSTEM, "production", "spare", registration(target, Secret("spare-password")), if_match=None)
        assert findings(here) == [ALONE]
        target |= {"administered_by": "spare"}
        put(SYSTEM, "production", "spare", registration(target, Secret("spare-password")), if_match=None)
        assert findings(here) == []


def test_the_ledger_is_lost(here: Stand) -> None:
    """File and master key are enough; the list shows no password."""
    here.ask()
    assert here.run().rotation.stage is Stage.RETIRED
    here.service.close()
    for file in here.folder.glob("ledger*"):
        file.unlink()
    listed = keywrightd(here, "escrow", "list")
    assert "production:admin postgresql://db.test:5432/shop" in listed
    opened = json.loads(keywrightd(here, "escrow", "open", "admin", "--json"))
    first = opened["accounts"][0]
    assert first["username"] == "admin"
    assert here.fake.valid("admin", first["password"])
    assert first["password"] not in listed
    assert sorted(os.listdir(here.folder)) == [".escrow.lock", "escrow", "master.key"]
