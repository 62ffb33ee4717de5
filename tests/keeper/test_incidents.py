"""Incidents: at their rate, within the limits, over restarts, and only by whom they may be begun."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.incident import State
from service.core.rotation import Stage
from service.keeper.events import Question
from service.keeper.incidents import Account, Wanted
from service.keeper.tokens import SYSTEM
from service.ledger.tables import connections
from tests.keeper.times import Times, add, begun
from tests.ledger.homes import Home, machine
from tests.ledger.rows import connection, environment
from tests.rigs.keywright import dump

SECOND = timedelta(seconds=1)
ACTIONS = {f"incident.{word}" for word in ("begin", "cancel", "resume", "end")}


def furnished(home: Home, number: int = 4, **settings: str) -> Times:
    """`shop/0` and so on, `shop/admin` without a policy, and `bank/db`."""
    times = Times(home, **settings)
    for it in range(number):
        times.due(f"shop/{it}", 60 * 24, host=f"db{it}")
    times.due("bank/db", 60 * 24)
    with times.service.ledger.change() as tx:
        connection(tx, "shop/admin", "db0")
    return times


def wanted(folder: str = "shop", *, emergency: bool = False, per_minute: int = 60) -> Wanted:
    return Wanted(folder, "a leak", emergency, per_minute)


def begin(times: Times, **words: Any) -> str:
    return times.service.keeper.incidents.begin(SYSTEM, "production", wanted(**words)).incident.id


def look(times: Times, incident_id: str) -> Account:
    return times.service.keeper.incidents.get(SYSTEM, incident_id)


def tick(times: Times, seconds: int = 1) -> list[str]:
    """Let time pass; the connections whose rotations have begun."""
    for _ in range(seconds):
        times.service.keeper.incidents.work(SYSTEM)
        times.now += SECOND
    return sorted(begun(times.service))


def actions(times: Times) -> list[str]:
    found = times.service.keeper.events.ask(SYSTEM, Question(limit=500))
    return [it["action"] for it in reversed(found) if it["action"] in ACTIONS]


def test_it_begins_at_its_rate_and_another_process_goes_on(sqlite_home: Home) -> None:
    times = furnished(sqlite_home)
    incident = begin(times)
    assert tick(times) == ["shop/0"]
    assert tick(times) == ["shop/0", "shop/1"]
    times.service.close()
    times.again()
    assert tick(times) == ["shop/0", "shop/1", "shop/2"]
    times.end("shop/1", stage=Stage.DRAINING)
    progress = look(times, incident).progress
    assert (progress.total, progress.waiting) == (5, 1)
    assert progress.stages == {Stage.PLANNED: 2, Stage.DRAINING: 1}
    assert [(it.connection, it.reason) for it in progress.skipped] == [("shop/admin", "it has no rotation policy")]
    tick(times, 3)
    times.end()
    tick(times)
    ended = look(times, incident)
    assert (ended.incident.state, ended.progress.stages) == (State.ENDED, {Stage.RETIRED: 4})
    assert all(len(all_) == 1 for all_ in begun(times.service).values())


def test_a_pause_is_not_made_good_in_one_burst(sqlite_home: Home) -> None:
    """Nobody worked for an hour: the rate begins anew, but for a few seconds."""
    times = furnished(sqlite_home, 12)
    begin(times)
    times.now += timedelta(hours=1)
    assert len(tick(times)) == 6
    assert len(tick(times)) == 7


def test_it_begins_no_more_than_can_be_worked_on(sqlite_home: Home) -> None:
    """Two on one server, five in all; and what hangs on one server does not keep the others waiting."""
    times = furnished(sqlite_home, 8, KEYWRIGHT_WORKERS="2", KEYWRIGHT_PARALLEL="5")
    for number in range(5):
        times.due(f"shop/a{number}", 60 * 24, host="hangs")  # a hundred would be the same
    incident = begin(times, per_minute=6000)
    first = tick(times, 3)
    assert len(first) == 5
    times.end(*(name for name in first if not name.startswith("shop/a")))
    assert len(tick(times)) == 10
    for _ in range(10):
        times.end(*(f"shop/{number}" for number in range(8)))
        tick(times)
    assert [name for name in begun(times.service) if name.startswith("shop/a")] == ["shop/a0", "shop/a1"]
    assert look(times, incident).progress.waiting == 3


def test_an_open_rotation_is_joined_and_made_an_emergency(sqlite_home: Home) -> None:
    times = furnished(sqlite_home, 1)
    asked, _ = times.service.keeper.rotations.ask(SYSTEM, "production", "shop/0", "")
    incident = begin(times, emergency=True)
    tick(times)
    assert times.service.keeper.rotations.get(SYSTEM, asked.rotation.id).rotation.emergency
    times.end()
    tick(times)
    assert look(times, incident).incident.state is State.ENDED
    assert len(begun(times.service)["shop/0"]) == 1


def test_what_has_its_password_already_is_rotated_once_more(sqlite_home: Home) -> None:
    """A rotation that drains was published before the incident: what it published may be known too."""
    times = furnished(sqlite_home, 1)
    times.service.keeper.rotations.ask(SYSTEM, "production", "shop/0", "")
    times.end(stage=Stage.DRAINING)
    incident = begin(times)
    tick(times, 5)
    assert look(times, incident).progress.waiting == 1
    assert len(begun(times.service)["shop/0"]) == 1
    times.end()
    tick(times)
    assert len(begun(times.service)["shop/0"]) == 2
    assert look(times, incident).incident.state is State.RUNNING
    times.end()
    tick(times)
    assert look(times, incident).incident.state is State.ENDED


def test_stuck_ones_end_it_and_are_told_of(sqlite_home: Home) -> None:
    times = furnished(sqlite_home, 2)
    incident = begin(times)
    tick(times, 2)
    times.end("shop/0")
    times.end("shop/1", stage=Stage.STUCK)
    tick(times)
    ended = look(times, incident)
    assert ended.incident.state is State.ENDED
    assert [(it.connection, it.stage) for it in ended.progress.troubles] == [("shop/1", Stage.STUCK)]
    assert actions(times) == ["incident.begin", "incident.end"]


def test_a_cancelled_one_begins_no_more_until_it_is_resumed(sqlite_home: Home) -> None:
    times = furnished(sqlite_home)
    incidents, incident = times.service.keeper.incidents, begin(times)
    tick(times)
    incidents.cancel(SYSTEM, incident)
    assert tick(times, 5) == ["shop/0"]
    with pytest.raises(Conflict):
        incidents.cancel(SYSTEM, incident)
    incidents.resume(SYSTEM, incident)
    assert len(tick(times, 3)) == 4
    times.end()
    tick(times)
    with pytest.raises(Conflict):
        incidents.resume(SYSTEM, incident)
    assert actions(times) == [
        "incident.begin",
        "incident.cancel",
        "incident.cancel",
        "incident.resume",
        "incident.end",
        "incident.resume",
    ]


def test_a_rehearsal_tells_the_order_and_changes_nothing(sqlite_home: Home) -> None:
    times = furnished(sqlite_home)
    before = dump(times.service)
    plan = times.service.keeper.incidents.rehearse(SYSTEM, "production", wanted("", per_minute=30))
    assert plan.connections == ("bank/db", "shop/0", "shop/1", "shop/2", "shop/3")
    assert plan.lasts == timedelta(seconds=8)
    assert [it.connection for it in plan.skipped] == ["shop/admin"]
    assert dump(times.service) == before


def test_who_may_not_edit_all_of_it_begins_nothing(sqlite_home: Home) -> None:
    times = furnished(sqlite_home, 3)
    incidents = times.service.keeper.incidents
    user = machine(times.service, "user", ("use", "environment", "production", ""))
    mixed = machine(
        times.service,
        "mixed",
        ("use", "folder", "production", "shop"),
        ("edit", "connection", "production", "shop/0"),
        ("edit", "connection", "production", "shop/1"),
    )
    editor = machine(times.service, "editor", ("edit", "folder", "production", "shop"))
    stranger = machine(times.service, "stranger", ("own", "folder", "production", "bank"))
    before = dump(times.service)
    with pytest.raises(Forbidden, match="4 of its 4 connections"):
        incidents.begin(user, "production", wanted())
    with pytest.raises(Forbidden, match="2 of its 4 connections"):
        incidents.begin(mixed, "production", wanted())
    with pytest.raises(Forbidden, match="'own'"):
        incidents.begin(editor, "production", wanted(emergency=True))
    with pytest.raises(Absent) as unseen:
        incidents.begin(stranger, "production", wanted())
    with pytest.raises(Absent) as absent:
        incidents.begin(stranger, "production", wanted("shap"))
    assert str(unseen.value) == str(absent.value).replace("shap", "shop")
    with pytest.raises(Invalid):
        incidents.begin(editor, "production", wanted(per_minute=0))
    assert dump(times.service) == before
    mine = incidents.begin(editor, "production", wanted()).incident.id
    assert incidents.get(user, mine).incident.id == mine
    with pytest.raises(Forbidden):
        incidents.cancel(user, mine)
    with pytest.raises(Absent):
        incidents.get(stranger, mine)
    assert incidents.listed(stranger, "production", "", 10) == []


def test_a_connection_that_changed_meanwhile(sqlite_home: Home) -> None:
    """Deleted, it is in the plan no more; without a policy, it is skipped."""
    times = furnished(sqlite_home, 3)
    incident = begin(times)
    with times.service.ledger.change() as tx:
        tx.sql.execute(connections.delete().where(connections.c.name == "shop/0"))
        tx.sql.execute(connections.update().where(connections.c.name == "shop/1").values(policy=None))
    assert tick(times, 3) == ["shop/2"]
    assert len(look(times, incident).progress.skipped) == 2
    with times.service.ledger.read() as tx:
        assert tx.sql.execute(select(connections.c.name).where(connections.c.name == "shop/0")).first() is None


def test_what_another_process_did_meanwhile_is_seen(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked a moment ago; what it saw has begun since then, and the rate allows no other yet."""
    times = furnished(sqlite_home)
    begin(times)
    assert tick(times) == ["shop/0"]
    times.end()
    tick(times)
    times.now -= SECOND / 2
    monkeypatch.setattr(times.service.keeper.incidents, "_ready", lambda tx, incident: [1, 2, 3])
    times.service.keeper.incidents.work(SYSTEM)
    assert {name: len(all_) for name, all_ in begun(times.service).items()} == {"shop/0": 1, "shop/1": 1}
    times.end()
    times.now += SECOND
    monkeypatch.setattr(times.service.keeper.incidents, "_ready", lambda tx, incident: [1, 2])
    times.service.keeper.incidents.work(SYSTEM)
    assert {name: len(all_) for name, all_ in begun(times.service).items()} == {"shop/0": 1, "shop/1": 1}


def test_several_processes_begin_nothing_twice(pg_home: Home) -> None:
    """Replicas tick at the same time: each connection gets one rotation, none is left out."""
    pg_home.by_hand = True
    services = [pg_home.service(KEYWRIGHT_WORKERS="64", KEYWRIGHT_PARALLEL="256") for _ in range(3)]
    with services[0].ledger.change() as tx:
        environment(tx)
    for number in range(20):
        with services[0].ledger.read() as tx:
            later = tx.now + timedelta(days=1)
        add(services[0], f"shop/{number:02}", later, "db", every="7d")
    services[0].keeper.incidents.begin(SYSTEM, "production", wanted(per_minute=6000))

    def work(number: int) -> None:
        while len(begun(services[number])) < 20:
            services[number].keeper.incidents.work(SYSTEM)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = begun(services[0])
    assert sorted(map(len, found.values())) == [1] * 20
