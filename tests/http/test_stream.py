"""The stream of signals: what is told, to whom, from where on, and how it ends."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import service
from service.core.errors import Unrecorded
from service.core.event import Event, Outcome
from service.core.rotation import Stage
from service.core.signal import KINDS, TOLD
from service.core.variable import ValueKind
from service.http import streams, taking, wire
from service.keeper import signals
from service.keeper.tokens import SYSTEM
from service.keeper.variables import NewValue
from service.ledger import environments, outgoing, tables
from service.ledger import signals as stored
from tests.rigs.keywright import Keywright, Keywrightd, running_keywright, wait_until
from tests.rigs.listens import Listens, listens

PLACE = "/environments/production"
MANY = 15_000
"""Signals that fill whatever a system buffers for a client that takes nothing."""
USE = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}


@pytest.fixture
def it() -> Iterator[Keywright]:
    with running_keywright() as served:
        assert served.client().post("/environments", json={"name": "production"}).status_code == 201
        yield served


def put(client: httpx2.Client, name: str, value: str = "hush-hush", place: str = PLACE, **more: Any) -> None:
    answer = client.put(f"{place}/variables/{name}", json={"value": value} | more)
    assert answer.status_code in (200, 201), answer.text


def names(it: Listens) -> list[str]:
    return [signal["resource"] for signal in it.heard]


def test_changes_are_told_in_order_and_nothing_else_is(it: Keywright) -> None:
    owner = it.client()
    with listens(it.client()) as heard:
        put(owner, "shop/A")
        owner.get(f"{PLACE}/values/shop/A").raise_for_status()
        owner.get(f"{PLACE}/values/shop/B")
        put(owner, "shop/A", "other", activate=False)
        owner.post(f"{PLACE}/activations", json={"variable": "shop/A", "version": 2}).raise_for_status()
        for version, state in ((1, "deleted"), (2, "deleted")):
            body = {"variable": "shop/A", "version": version, "state": state}
            owner.post(f"{PLACE}/versions", json=body).raise_for_status()
        owner.delete(f"{PLACE}/variables/shop/A").raise_for_status()
        heard.wait(lambda: "variable.delete" in heard.kinds)
    told = [(signal["kind"], signal.get("version")) for signal in heard.heard]
    assert told == [("variable.put", 1), ("variable.activate", 2), ("version.delete", 2), ("variable.delete", None)]
    ids = [int(signal["id"]) for signal in heard.heard]
    assert ids == sorted(set(ids))
    events = {event["id"]: event for event in owner.get("/events", params={"limit": 500}).json()["items"]}
    for signal in heard.heard:
        event = events[signal["id"]]
        assert (event["action"], event["resource"], event["at"]) == (signal["kind"], signal["resource"], signal["at"])
        assert signal.keys() <= {"id", "at", "kind", "environment", "resource", *TOLD}
    for secret in ("hush", "other", "127.0.0.1", '"owner"', it.owner):
        assert secret not in heard.text


def test_a_stream_is_resumed_behind_the_last_id(it: Keywright) -> None:
    owner = it.client()
    with listens(it.client()) as heard:
        put(owner, "shop/A")
        heard.wait(lambda: names(heard) == ["shop/A"])
    for name in ("shop/B", "shop/C"):
        put(owner, name)
    with listens(it.client(), heard.last) as again:
        again.wait(lambda: len(again.heard) == 2)
        put(owner, "shop/D")
        again.wait(lambda: len(again.heard) == 3)
    assert names(again) == ["shop/B", "shop/C", "shop/D"]
    with listens(it.client(), "0") as all_:
        all_.wait(lambda: len(all_.heard) == 4)


def test_one_who_heard_nothing_knows_where_to_resume(it: Keywright) -> None:
    owner = it.client()
    with listens(it.client(), kind="connection") as heard:
        assert heard.last.isdecimal()
    put(owner, "shop/A")
    with listens(it.client(), heard.last) as again:
        again.wait(lambda: names(again) == ["shop/A"])


def test_many_signals_are_read_page_by_page_and_none_is_missed(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PAGE", 3)
    monkeypatch.setattr(streams, "KEPT", 2)
    owner = it.client()
    wanted = [f"shop/V{number}" for number in range(20)]
    for name in wanted[:10]:
        put(owner, name)
    with listens(it.client(), "0") as old, listens(it.client(), "0", kind="variable.put") as chosen:
        for name in wanted[10:]:
            put(owner, name)
        old.wait(lambda: len(old.heard) >= 20)
        chosen.wait(lambda: len(chosen.heard) >= 20)
    assert names(old) == names(chosen) == wanted


def test_what_is_asked_for_is_what_is_told(it: Keywright) -> None:
    owner = it.client()
    owner.post("/environments", json={"name": "staging"}).raise_for_status()
    with (
        listens(it.client(), environment="staging") as staging,
        listens(it.client(), kind="version,variable.delete") as chosen,
    ):
        put(owner, "shop/A")
        put(owner, "shop/S", place="/environments/staging")
        owner.delete(f"{PLACE}/variables/shop/A").raise_for_status()
        chosen.wait(lambda: len(chosen.heard) >= 1)
        staging.wait(lambda: len(staging.heard) >= 1)
    assert (chosen.kinds, names(staging)) == (["variable.delete"], ["shop/S"])
    for query, field in (("kind=variable.fetch", "kind"), ("kind=A", "kind"), ("kinds=variable", "query")):
        answer = owner.get(f"/stream?{query}")
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    answer = owner.get("/stream", headers={"Last-Event-ID": "last"})
    assert (answer.status_code, answer.json()["field"]) == (422, "Last-Event-ID")
    assert owner.get("/stream?environment=none").status_code == 404


def test_grants_are_applied_to_each_signal(it: Keywright) -> None:
    owner = it.client()
    owner.post("/environments", json={"name": "staging"}).raise_for_status()
    narrow = it.token("narrow", USE)
    with listens(it.client(narrow)) as heard:
        for name, place in (
            ("shop/A", PLACE),
            ("mail/A", PLACE),
            ("shop/B", "/environments/staging"),
            ("shop/C", PLACE),
        ):
            put(owner, name, place=place)
        heard.wait(lambda: len(heard.heard) >= 2)
        assert names(heard) == ["shop/A", "shop/C"]
        grant = next(g for g in owner.get("/grants").json()["items"] if g["path"] == "shop")
        owner.delete(f"/grants/{grant['id']}").raise_for_status()
        put(owner, "shop/D")
        mail = USE | {"token": "narrow", "path": "mail"}
        owner.post("/grants", json=mail).raise_for_status()
        put(owner, "mail/B")
        heard.wait(lambda: len(heard.heard) >= 3)
        assert names(heard)[2:] == ["mail/B"]
    stranger = it.client(it.token("stranger"))
    assert stranger.get("/stream?environment=production").status_code == 404
    with listens(stranger, "0") as nothing:
        put(owner, "shop/E")
        assert nothing.heard == []


def test_grants_are_those_of_the_ledger_at_that_moment(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else brings what is in memory up to date here: neither a fetch, nor a look by the recorder's thread."""
    monkeypatch.setattr(streams, "BEATS_EVERY", 0.2)
    keeper, narrow = it.service.keeper, it.client(it.token("narrow", USE))
    grant = next(g for g in it.client().get("/grants").json()["items"] if g["path"] == "shop")
    with listens(narrow) as heard, listens(it.client()) as all_:
        monkeypatch.setattr(keeper.recorder, "_look_around", lambda: time.sleep(0.05))
        keeper.granting.remove(SYSTEM, grant["id"])
        value = NewValue(ValueKind.LITERAL, "hush")
        keeper.variables.put(SYSTEM, "production", "shop/A", value, secret=None, activate=True, if_match=None)
        all_.wait(lambda: names(all_) == ["shop/A"])
        heard.wait(lambda: int(heard.last) >= int(all_.heard[0]["id"]))
        assert heard.heard == []


def test_a_revoked_token_ends_its_stream_and_no_other(it: Keywright) -> None:
    owner, brief = it.client(), it.client(it.token("brief", USE))
    with listens(it.client()) as other, listens(brief) as heard:
        token_id = brief.get("/me").json()["id"]
        owner.delete(f"/tokens/{token_id}").raise_for_status()
        put(owner, "shop/A")
        assert heard.ended.wait(60)
        other.wait(lambda: names(other) == ["shop/A"])
        assert heard.heard == []
    assert brief.get("/stream").status_code == 401


def test_a_token_that_expires_ends_its_stream() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with running_keywright(now=lambda: now[0]) as it, listens(it.client(it.token("brief", expires_in="1h"))) as heard:
        now[0] += timedelta(hours=2)
        assert heard.ended.wait(60)


def test_signals_of_an_environment_that_is_gone_are_not_told_to_those_of_the_next(it: Keywright) -> None:
    owner = it.client()
    put(owner, "shop/OLD")
    owner.delete(PLACE).raise_for_status()
    owner.post("/environments", json={"name": "production"}).raise_for_status()
    narrow = it.client(it.token("narrow", USE))
    with listens(narrow, "0") as heard, listens(it.client(), "0") as all_:
        put(owner, "shop/NEW")
        heard.wait(lambda: len(heard.heard) >= 1)
        all_.wait(lambda: len(all_.heard) >= 2)
    assert (names(heard), names(all_)) == (["shop/NEW"], ["shop/OLD", "shop/NEW"])


def test_an_environment_is_closed_to_other_addresses_while_one_listens(it: Keywright) -> None:
    owner = it.client()
    with listens(it.client(it.token("narrow", USE))) as heard:
        environment = next(iter(it.service.keeper.recorder.snapshot._environments.values()))
        with it.service.ledger.change() as tx:  # through the door nobody can shut itself out
            environments.replace(tx, replace(environment, allowlist=("192.0.2.0/24",)))
        it.service.keeper.recorder.changed()
        with it.service.ledger.change() as tx:
            tx.events.append(Event(tx.now, SYSTEM, "variable.put", Outcome.ALLOWED, "production", "shop/A", {}))
        it.service.keeper.door.changed()
        owner.post("/environments", json={"name": "other"}).raise_for_status()
        with listens(it.client(it.token("all", {"level": "use", "kind": "everything"})), heard.last) as other:
            put(owner, "x", place="/environments/other")
            other.wait(lambda: names(other) == ["x"])
        assert heard.heard == []


def test_beginning_is_recorded_or_refused(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = it.client()
    with listens(it.client(), "0", environment="production", kind="variable"):
        pass
    event = owner.get("/events", params={"action": "signal.stream"}).json()["items"][0]
    assert (event["outcome"], event["environment"], event["detail"]) == (
        "allowed",
        "production",
        {"kinds": "variable", "behind": 0},
    )

    def fails(*_: Any, **__: Any) -> bool:
        raise Unrecorded("the disk is full")

    monkeypatch.setattr(it.service.ledger, "record_at_once", fails)
    monkeypatch.setattr(it.service.ledger, "record", fails)
    assert owner.get("/stream").status_code == 503


def test_what_is_not_known_any_more_is_said(it: Keywright) -> None:
    owner = it.client()
    put(owner, "shop/A")
    with listens(it.client(), "999999") as ahead:
        ahead.wait(lambda: ahead.kinds == ["reset"])
        put(owner, "shop/B")
        ahead.wait(lambda: ahead.kinds == ["reset", "variable.put"])
    assert ahead.heard[0] == {"id": ahead.heard[0]["id"], "kind": "reset"}
    last = ahead.last
    it.service.keeper.deliveries.make()
    with it.service.ledger.work() as tx:
        assert stored.drop(tx.sql, tx.now + timedelta(days=1), 10) == 2
    with listens(it.client(), "0") as behind, listens(it.client(), last) as current:
        behind.wait(lambda: behind.kinds == ["reset"])
        put(owner, "shop/C")
        current.wait(lambda: current.kinds == ["variable.put"])


def test_a_ledger_that_lost_its_end_is_noticed(it: Keywright) -> None:
    """After a fail-over numbers may be given out anew: whoever heard of the former ones must look at everything."""
    owner = it.client()
    put(owner, "shop/A")
    with it.service.ledger.read() as tx:
        head = tx.sql.execute(tables.head.select()).one()
    with listens(it.client()) as heard:
        put(owner, "shop/LOST")
        heard.wait(lambda: names(heard) == ["shop/LOST"])
        with it.service.ledger.work() as tx:
            tx.sql.execute(tables.batches.delete().where(tables.batches.c.first > head.seq))
            tx.sql.execute(outgoing.signals.delete().where(outgoing.signals.c.seq > head.seq))
            tx.sql.execute(tables.head.update().values(seq=head.seq, hash=head.hash))
        it.service.ledger._appender.close()
        heard.wait(lambda: heard.kinds[1:] == ["reset"])
        put(owner, "shop/B")
        heard.wait(lambda: heard.kinds[2:] == ["variable.put"])


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EACH", 2)
    with running_keywright(streams=3) as it:
        other = it.client(it.token("other", {"level": "use", "kind": "everything"}))
        with listens(it.client()), listens(it.client()):
            answer = it.client().get("/stream")
            assert (answer.status_code, answer.json()["type"]) == (429, "urn:keywright:problem:too-many")
            assert answer.headers["retry-after"] == "1"
            with listens(other):
                assert "keywright_streams 3.0" in httpx2.get(f"{it.url}/metrics", trust_env=False).text
                third = it.client(it.token("third"))
                assert third.get("/stream").status_code == 503
        wait_until(lambda: it.client(other.headers["authorization"][7:]).get("/me").status_code == 200, "no answer")
        wait_until(
            lambda: "keywright_streams 0.0" in httpx2.get(f"{it.url}/metrics", trust_env=False).text, "still open"
        )
        with listens(it.client()):
            pass


def test_a_machine_takes_a_part_of_the_streams_whatever_tokens_it_has() -> None:
    with running_keywright(streams=8) as it:
        owner = it.client()
        body = {"name": "shop/web", "grants": [{"level": "use", "kind": "everything"}]}
        assert owner.post("/machines", json=body).status_code == 201
        made = [owner.post("/machine-tokens", json={"machine": "shop/web"}).json()["token"] for _ in range(3)]
        first, second, third = (it.client(token) for token in made)
        with listens(first), listens(second):
            answer = third.get("/stream")
            assert (answer.status_code, answer.json()["type"]) == (429, "urn:keywright:problem:too-many")
            assert "one machine" in answer.json()["detail"]
            with listens(owner):
                pass
        wait_until(
            lambda: "keywright_streams 0.0" in httpx2.get(f"{it.url}/metrics", trust_env=False).text, "still open"
        )
        with listens(third):
            pass
        wait_until(lambda: not it._server.app.state.feed._each, "what ended is counted")  # type: ignore[union-attr]


def test_an_idle_stream_lives_and_says_so(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEATS_EVERY", 0.3)
    for limit in ("HEAD_WITHIN", "BODY_WITHIN", "KEEPS", "GONE_AFTER", "LINGERS"):
        monkeypatch.setattr(wire, limit, 0)
    with listens(it.client()) as heard:
        first = heard.last
        heard.wait(lambda: heard.comments >= 8)
        put(it.client(), "shop/A")
        heard.wait(lambda: names(heard) == ["shop/A"])
        assert int(heard.last) > int(first)


def test_streams_hold_no_thread_and_no_place_among_requests() -> None:
    with running_keywright(requests=10) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production"}).raise_for_status()
        tokens = [it.token(f"t{number}", USE) for number in range(3)]
        put(owner, "shop/A")
        before = threading.active_count()
        ways = [_raw(it, tokens[number % 3]) for number in range(45)]
        try:
            put(owner, "shop/B")
            for way in ways:
                _until(way, b"shop/B")
            assert threading.active_count() <= before + 4
        finally:
            for way in ways:
                way.close()


def test_who_reads_nothing_is_cut_and_resumes_without_a_gap(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "WITHIN", 1)
    owner, name = it.client(), "shop/" + "x" * 190
    way = _raw(it, it.owner, receives=4096)
    place = next(line for line in way.recv(4096).splitlines() if line.startswith(b"id:"))[4:].decode()
    feed = it._server.app.state.feed  # type: ignore[union-attr]
    number = 0

    def cut() -> bool:
        nonlocal number
        if number >= MANY:
            return not feed.open
        with it.service.ledger.change() as tx:
            for _ in range(500):
                number += 1
                detail = {"version": number}
                tx.events.append(Event(tx.now, SYSTEM, "variable.put", Outcome.ALLOWED, "production", name, detail))
        it.service.keeper.door.changed()
        return not feed.open

    wait_until(cut, "it is still there", 90)
    way.close()
    with listens(it.client(), place) as heard:
        heard.wait(lambda: len(heard.heard) >= number)
    assert [signal["version"] for signal in heard.heard] == list(range(1, number + 1))
    assert owner.get("/me").status_code == 200


def test_a_drain_ends_streams_in_order(it: Keywright) -> None:
    with listens(it.client()) as heard:
        put(it.client(), "shop/A")
        heard.wait(lambda: names(heard) == ["shop/A"])
        assert it._server is not None
        it._server.stop()
        assert heard.ended.wait(60)


def test_head_has_no_stream(it: Keywright) -> None:
    answer = it.client().head("/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_nothing_is_missed_over_kills(keywrightd: Keywrightd) -> None:
    with keywrightd.client() as owner:
        owner.post("/environments", json={"name": "production"}).raise_for_status()
    last, seen, sure = "0", list[str](), list[str]()
    for round_ in range(2):
        with keywrightd.client() as owner, keywrightd.client() as client, listens(client, last) as heard:
            for number in range(5):
                put(owner, f"shop/R{round_}_{number}")
                sure.append(f"shop/R{round_}_{number}")
            if round_ != 1:  # once it is killed before anything may have been sent
                heard.wait(lambda: len(heard.heard) >= 1)
            keywrightd.kill()
        last = heard.last
        seen += names(heard)
        keywrightd.start()
    with keywrightd.client() as client, listens(client, last) as heard:
        heard.wait(lambda: len(seen) + len(heard.heard) >= len(sure))
    assert seen + names(heard) == sure


def test_every_kind_is_an_action_that_something_does() -> None:
    root = Path(service.__file__).parent
    text = "\n".join(p.read_text() for p in root.rglob("*.py") if p.name != "signal.py")
    made = {f"rotation.{stage.value}" for stage in Stage} | {"version.delete", "version.destroy"}
    assert [kind for kind in KINDS if kind not in made and f'"{kind}"' not in text] == []


def _raw(it: Keywright, token: str, receives: int = 0) -> socket.socket:
    """A client of a few lines, which reads only when it is told to."""
    host, _, port = it.url.removeprefix("http://").partition(":")
    way = socket.socket()
    if receives:
        way.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    way.settimeout(60)
    way.connect((host, int(port)))
    way.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    way.recv(1, socket.MSG_PEEK)
    return way


def _until(way: socket.socket, text: bytes) -> None:
    heard = b""
    while text not in heard:
        more = way.recv(65536)
        assert more, heard
        heard += more
    assert json.loads(heard[heard.index(b"data: ") + 6 :].splitlines()[0])
