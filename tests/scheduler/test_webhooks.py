"""Webhooks: signed, tried again, given up, replayed; who owns them; and that a crash loses none."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import WebhookVerificationError

from scheduler import shares
from service.core.webhook import LIVES, Answer, Outcome, State, again_after
from service.keeper import webhooks as keeping
from service.ledger import deliveries as stored
from service.ledger import signals
from tests.rigs.keywright import Keywright, running_keywright, running_keywrightd, wait_until
from tests.rigs.postgresql import PostgresServer
from tests.rigs.receiver import Receiver, receiver
from tests.rigs.snapshots import compare

PLACE = "/environments/production"
SETTINGS: dict[str, Any] = {"webhook_plain": True, "webhook_networks": "127.0.0.0/8"}
ENVIRON = {"KEYWRIGHT_WEBHOOK_PLAIN": "true", "KEYWRIGHT_WEBHOOK_NETWORKS": "127.0.0.0/8"}


@dataclass
class Stand:
    """A server whose clock a test moves, and whose courier sends."""

    it: Keywright
    owner: httpx2.Client
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def pass_(self, **time: float) -> None:
        """So much time goes by."""
        self.now += timedelta(**time)

    def webhook(self, url: str, name: str = "hook", **more: Any) -> dict[str, Any]:
        """A new one, of production."""
        answer = self.owner.post("/webhooks", json={"name": name, "url": url, "environment": "production"} | more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def put(self, *names: str) -> None:
        """Variables with a new version."""
        for name in names:
            put(self.owner, name)

    def deliveries(self, hook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
        """The youngest first."""
        answer = self.owner.get(f"/webhooks/{hook['id']}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def settled(self, hook: dict[str, Any], number: int, **wanted: Any) -> None:
        """Wait until so many deliveries are like this."""
        like = wanted.items()
        wait_until(
            lambda: sum(like <= each.items() for each in self.deliveries(hook, limit="500")) == number,
            lambda: f"not {number} of {wanted}: {self.deliveries(hook)}",
            60,
        )


def put(client: httpx2.Client, name: str, place: str = PLACE) -> None:
    answer = client.put(f"{place}/variables/{name}", json={"value": "hush-hush"})
    assert answer.status_code in (200, 201), answer.text


@contextmanager
def standing(**settings: Any) -> Iterator[Stand]:
    now: list[Stand] = []
    began = datetime.now(UTC)
    with running_keywright(now=lambda: now[0].now if now else began, **SETTINGS | settings) as it:
        made = Stand(it, it.client(), began)
        now.append(made)
        made.owner.post("/environments", json={"name": "production"}).raise_for_status()
        it.service.courier._every = 0.05
        it.service.courier.start()
        yield made


@pytest.fixture
def stand() -> Iterator[Stand]:
    with standing() as made:
        yield made


@pytest.fixture
def target() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_what_is_changed_is_sent_and_signed(stand: Stand, target: Receiver) -> None:
    hook = stand.webhook(target.url, kinds=["variable"], folder="shop")
    assert hook["secret"].startswith("whsec_")
    stand.owner.post("/environments", json={"name": "staging"}).raise_for_status()
    put(stand.owner, "shop/OTHER", "/environments/staging")
    stand.put("shop/A", "mail/A", "shop/B")
    target.wait(2)
    stand.settled(hook, 2, state="delivered", outcome="accepted", status=200, attempts=1)
    sent = target.verified(hook["secret"])
    assert {(each["kind"], each["resource"], each["version"]) for each in sent} == {
        ("variable.put", "shop/A", 1),
        ("variable.put", "shop/B", 1),
    }
    events = {event["id"]: event["action"] for event in stand.owner.get("/events?limit=500").json()["items"]}
    assert all(events[each["id"]] == "variable.put" for each in sent)
    for came in target.came:
        assert b"hush" not in came.body
        assert set(came.headers) == {
            *("host", "content-length", "content-type", "user-agent"),
            *("webhook-id", "webhook-timestamp", "webhook-signature"),
        }
    with pytest.raises(WebhookVerificationError):
        target.verified("whsec_" + "A" * 44)
    assert target.came[0].id in {each["message"] for each in stand.deliveries(hook)}


def test_while_a_secret_is_replaced_both_sign(stand: Stand, target: Receiver) -> None:
    hook = stand.webhook(target.url)
    new = stand.owner.post(f"/webhooks/{hook['id']}/secrets").json()
    assert new["secret"] != hook["secret"]
    stand.put("shop/A")
    target.wait(1)
    assert target.verified(hook["secret"]) == target.verified(new["secret"])
    stand.pass_(hours=24, seconds=1)
    stand.put("shop/B")
    target.wait(2)
    assert len(target.came[1].headers["webhook-signature"].split()) == 1
    for delivery in stand.deliveries(hook):
        assert "secret" not in delivery


def test_a_target_that_fails_is_tried_again_with_the_same_id(stand: Stand, target: Receiver) -> None:
    target.answers = lambda number: 200 if number == 3 else 500
    hook = stand.webhook(target.url)
    stand.put("shop/A")
    stand.settled(hook, 1, state="waiting", outcome="rejected", status=500, attempts=1)
    due = datetime.fromisoformat(stand.deliveries(hook)[0]["next_at"]) - stand.now
    assert timedelta(seconds=3) < due < timedelta(seconds=8)
    for attempts in (2, 3):
        stand.pass_(minutes=1)
        stand.settled(hook, 1, attempts=attempts)
    stand.settled(hook, 1, state="delivered", attempts=3)
    assert len({came.id for came in target.came}) == 1
    assert len({came.body for came in target.came}) == 1


def test_waits_grow_to_hours_and_are_spread() -> None:
    waits = [again_after(attempts, 0.5) for attempts in range(1, 40)]
    assert waits[0] == timedelta(seconds=5)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=4)
    assert again_after(1, 0) < again_after(1, 0.5) < again_after(1, 1)


def test_after_a_day_it_is_dead_and_can_be_replayed(stand: Stand, target: Receiver) -> None:
    target.answers = lambda _: 500
    hook = stand.webhook(target.url)
    stand.put("shop/A")
    target.wait(1)
    for _ in range(200):
        (delivery,) = stand.deliveries(hook)
        if delivery["state"] == "dead":
            break
        if datetime.fromisoformat(delivery["next_at"]) > stand.now:
            stand.pass_(minutes=30)
        time.sleep(0.02)
    (dead,) = stand.deliveries(hook, state="dead")
    assert 4 <= dead["attempts"] == len(target.came) < 20
    assert (dead["status"], dead["next_at"]) == (500, None)
    assert 'keywright_deliveries{state="dead"} 1.0' in httpx2.get(f"{stand.it.url}/metrics", trust_env=False).text
    target.answers = lambda _: 200
    answer = stand.owner.post(f"/webhooks/{hook['id']}/replays", json={"delivery": dead["id"]})
    assert (answer.status_code, answer.json()) == (202, {"queued": 1, "complete": True, "until": None})
    stand.settled(hook, 1, state="delivered", id=dead["id"])
    assert len({came.id for came in target.came}) == 1


def test_everything_from_a_time_on_is_replayed(stand: Stand, target: Receiver) -> None:
    stand.put("shop/BEFORE")
    stand.pass_(minutes=1)
    since = stand.now.isoformat()
    stand.pass_(minutes=1)
    stand.put("shop/A")
    hook = stand.webhook(target.url)
    stand.put("shop/B")
    target.wait(1)
    stand.settled(hook, 1, state="delivered")
    answer = stand.owner.post(f"/webhooks/{hook['id']}/replays", json={"since": since})
    assert answer.json() == {"queued": 2, "complete": True, "until": None}
    target.wait(3)
    stand.settled(hook, 2, state="delivered")
    sent = Counter(each["resource"] for each in target.verified(hook["secret"]))
    assert sent == {"shop/A": 1, "shop/B": 2}
    assert len({came.id for came in target.came}) == 2  # the repeated one is recognisable
    wrong = [{}, {"since": since, "delivery": "ab"}, {"since": "yesterday"}, {"since": None}, {"since": since, "x": 1}]
    for body in wrong:
        assert stand.owner.post(f"/webhooks/{hook['id']}/replays", json=body).status_code == 422, body
    assert stand.owner.post(f"/webhooks/{hook['id']}/replays", json={"delivery": "ab"}).status_code == 404


def test_a_large_replay_goes_on_where_it_ended(stand: Stand, target: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_REPLAYED", 3)
    monkeypatch.setattr(keeping, "_PAGE", 2)
    for number in range(5):
        stand.put(f"shop/V{number}")
        stand.pass_(seconds=1)
    hook = stand.webhook(target.url)
    stand.it.service.keeper.deliveries.make()
    asked: dict[str, Any] = {"since": "2020-01-01T00:00:00Z"}
    answers = []
    while not answers or not answers[-1]["complete"]:
        answers.append(stand.owner.post(f"/webhooks/{hook['id']}/replays", json=asked).json())
        asked = {"since": answers[-1]["until"]}
    assert [answer["queued"] for answer in answers] == [3, 3]  # the last one of the first is there again
    target.wait(5)
    assert {each["resource"] for each in target.verified(hook["secret"])} == {f"shop/V{number}" for number in range(5)}


def test_a_target_that_is_gone_is_asked_no_more(stand: Stand, target: Receiver) -> None:
    target.answers = lambda _: 410
    hook = stand.webhook(target.url)
    stand.put("shop/A")
    stand.settled(hook, 1, state="dead", status=410)
    now = stand.owner.get(f"/webhooks/{hook['id']}").json()
    assert (now["enabled"], now["disabled_because"]) == (False, "its target answered 410: Gone")
    event = stand.owner.get("/events?action=webhook.disable").json()["items"][0]
    assert (event["actor"], event["resource"]) == ("scheduler", "hook")
    stand.put("shop/B")
    for place in ("tests", "replays"):
        body = {"since": "2020-01-01T00:00:00Z"} if place == "replays" else None
        assert stand.owner.post(f"/webhooks/{hook['id']}/{place}", json=body).status_code == 409
    target.answers = lambda _: 200
    answer = stand.owner.patch(f"/webhooks/{hook['id']}", json={"enabled": True}, headers={"If-Match": '"1"'})
    assert answer.status_code == 412
    stand.owner.patch(f"/webhooks/{hook['id']}", json={"enabled": True}).raise_for_status()
    stand.put("shop/C")
    target.wait(2)
    assert [each["resource"] for each in target.verified(hook["secret"])] == ["shop/A", "shop/C"]


def test_a_slow_target_delays_no_other(stand: Stand, target: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST", 8)
    with receiver() as slow:
        slow.waits = threading.Event()
        stand.webhook(slow.url, "slow")
        hook = stand.webhook(target.url, "quick")
        stand.put(*(f"shop/V{number}" for number in range(10)))
        target.wait(10)
        stand.settled(hook, 10, state="delivered")
        assert len(slow.came) == shares.EACH
        slow.waits.set()
        slow.wait(10)


def test_what_waits_for_a_target_is_bounded(stand: Stand, target: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_WAITING", 3)
    target.waits = threading.Event()
    hook = stand.webhook(target.url)
    stand.put(*(f"shop/V{number}" for number in range(8)))
    stand.settled(hook, 5, state="dead", outcome="overfull", attempts=0)
    target.waits.set()
    stand.settled(hook, 3, state="delivered")


def test_tests_arrive(stand: Stand, target: Receiver) -> None:
    hook = stand.webhook(target.url)
    answer = stand.owner.post(f"/webhooks/{hook['id']}/tests")
    assert (answer.status_code, answer.json()["kind"]) == (202, "webhook.test")
    target.wait(1)
    (sent,) = target.verified(hook["secret"])
    assert (sent["id"], sent["kind"], sent["webhook"]) == (None, "webhook.test", hook["id"])


def test_who_does_not_own_what_it_listens_to_sees_nothing_of_it(stand: Stand, target: Receiver) -> None:
    it, owner = stand.it, stand.owner
    owner.post("/environments", json={"name": "staging"}).raise_for_status()
    on = {"kind": "folder", "environment": "production", "path": "shop"}
    own, edit = (it.client(it.token(level, on | {"level": level})) for level in ("own", "edit"))
    other = it.client(it.token("other", {"level": "own", "kind": "environment", "environment": "staging"}))
    body = {"name": "mine", "url": target.url, "environment": "production", "folder": "shop"}
    assert edit.post("/webhooks", json=body).status_code == 403
    assert other.post("/webhooks", json=body).status_code == 404
    for wider in ({"folder": ""}, {"folder": "mail"}, {"environment": None, "folder": ""}):
        assert own.post("/webhooks", json=body | wider).status_code == 404, wider
    mine = own.post("/webhooks", json=body)
    assert mine.status_code == 201, mine.text
    stand.webhook(target.url, "whole")
    owner.post("/webhooks", json={"name": "all", "url": target.url}).raise_for_status()
    listed = {name: [each["name"] for each in client.get("/webhooks").json()["items"]]
              for name, client in (("owner", owner), ("own", own), ("edit", edit), ("other", other))}  # fmt: skip
    assert listed == {"owner": ["all", "mine", "whole"], "own": ["mine"], "edit": [], "other": []}
    again = other.post("/webhooks", json={"name": "mine", "url": target.url, "environment": "staging"})
    assert again.status_code == 201  # a name is of its environment: a conflict would tell of another one's
    pages = [owner.get("/webhooks", params={"limit": 1}).json()]
    while pages[-1]["next"]:
        pages.append(owner.get("/webhooks", params={"limit": 1, "cursor": pages[-1]["next"]}).json())
    assert [it["name"] for page in pages for it in page["items"]] == ["all", "mine", "mine", "whole"]
    path = f"/webhooks/{mine.json()['id']}"
    for client in (edit, other):
        answers = [
            client.get(path),
            client.patch(path, json={"enabled": False}),
            client.delete(path),
            client.post(f"{path}/secrets"),
            client.get(f"{path}/deliveries"),
            client.post(f"{path}/replays", json={"since": "2020-01-01T00:00:00Z"}),
            client.post(f"{path}/tests"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 7
    assert owner.post("/webhooks", json=body).status_code == 409
    owner.delete(PLACE).raise_for_status()
    assert [each["name"] for each in owner.get("/webhooks").json()["items"]] == ["all", "mine"]


def test_bad_webhooks_change_nothing(stand: Stand) -> None:
    body = {"name": "w", "url": "https://example.com/", "environment": "production"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"url": "https://user:secret-in-url@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"kinds": ["credential.fetch"]}, "kinds"),
        ({"folder": "../x"}, "folder"),
        ({"folder": "shop", "environment": None}, "environment"),
        ({"name": "a/b"}, "name"),
    ]
    for more, field_ in wrong:
        answer = stand.owner.post("/webhooks", json=body | more)
        assert (answer.status_code, answer.json()["field"]) == (422, field_), more
        assert "secret-in-url" not in answer.text
    assert stand.owner.get("/webhooks").json()["items"] == []


def test_a_webhook_can_be_made_once_with_a_key(stand: Stand, target: Receiver) -> None:
    body = {"name": "w", "url": target.url, "environment": "production"}
    made = [stand.owner.post("/webhooks", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert made[0].json() == made[1].json()


def test_secrets_are_sealed_where_they_rest(stand: Stand, target: Receiver, tmp_path: Path) -> None:
    hook = stand.webhook(target.url)
    new = stand.owner.post(f"/webhooks/{hook['id']}/secrets").json()
    stand.put("shop/A")
    target.wait(1)
    events = stand.owner.get("/events?limit=500").text
    rest = b"".join(path.read_bytes() for path in stand.it.data.glob("ledger.sqlite*"))
    for secret in (hook["secret"], new["secret"]):
        assert secret not in events
        assert secret.removeprefix("whsec_").encode() not in rest
    assert target.url not in events


def test_what_is_old_goes(stand: Stand, target: Receiver) -> None:
    hook = stand.webhook(target.url)
    stand.put("shop/A")
    stand.settled(hook, 1, state="delivered")
    stand.pass_(days=8)
    stand.put("shop/B")
    stand.settled(hook, 2, state="delivered")
    stand.it.service.courier.watch()
    assert len(stand.deliveries(hook)) == 1
    with stand.it.service.ledger.read() as tx:
        assert [signal.resource for signal in signals.behind(tx.sql, 0, 10)] == ["shop/B"]
        assert signals.dropped(tx.sql) > 0


def test_what_waits_for_long_is_told(stand: Stand, target: Receiver) -> None:
    target.answers = lambda _: 500
    stand.webhook(target.url)
    stand.put("shop/A")
    target.wait(1)
    stand.pass_(hours=3)
    stand.it.service.courier.watch()
    told = httpx2.get(f"{stand.it.url}/readyz", trust_env=False).json()
    assert told["ready"]
    assert "1 deliveries to webhooks wait, the oldest for 3 hours" in told["warnings"]
    assert (
        'keywright_delivery_attempts_total{outcome="rejected"}'
        in httpx2.get(f"{stand.it.url}/metrics", trust_env=False).text
    )


def test_one_that_lost_its_lease_settles_nothing(stand: Stand) -> None:
    stand.it.service.courier.stop()
    hook = stand.webhook("http://127.0.0.1:9/")
    stand.put("shop/A")
    keeper = stand.it.service.keeper.deliveries
    keeper.make()
    (late,) = keeper.claim(hook["id"], 5)
    assert keeper.claim(hook["id"], 5) == []
    stand.pass_(minutes=5)
    (held,) = keeper.claim(hook["id"], 5)
    keeper.settle(keeper.parcel(late), Answer(Outcome.ACCEPTED, 200))
    assert stand.deliveries(hook)[0]["state"] == State.WAITING
    keeper.settle(keeper.parcel(held), Answer(Outcome.ACCEPTED, 200))
    assert stand.deliveries(hook)[0]["state"] == State.DELIVERED
    assert timedelta(hours=24) < LIVES < timedelta(hours=48)


def test_what_was_under_way_when_it_was_killed_is_sent_again() -> None:
    with receiver() as target, running_keywrightd(**ENVIRON) as it:
        target.waits = threading.Event()
        with it.client() as owner:
            owner.post("/environments", json={"name": "production"}).raise_for_status()
            body = {"name": "hook", "url": target.url, "environment": "production"}
            hook = owner.post("/webhooks", json=body).json()
            for number in range(6):
                put(owner, f"shop/V{number}")
        target.wait(shares.EACH)
        it.kill()
        target.waits.set()
        it.start()
        target.wait(shares.EACH + 6)
        with it.client() as owner:
            path = f"/webhooks/{hook['id']}/deliveries"
            wait_until(
                lambda: [each["state"] for each in owner.get(path).json()["items"]] == ["delivered"] * 6, "not all", 60
            )
        sent = Counter(each["resource"] for each in target.verified(hook["secret"]))
        assert set(sent) == {f"shop/V{number}" for number in range(6)}
        assert sum(sent.values()) == shares.EACH + 6
        assert len({came.id for came in target.came}) == 6


def test_a_pinned_instance_sends_what_is_of_its_environments(target: Receiver) -> None:
    with standing() as stand:
        it, owner = stand.it, stand.owner
        it.service.courier.stop()
        owner.post("/environments", json={"name": "staging"}).raise_for_status()
        hook = stand.webhook(target.url)
        for name, environment in (("other", "staging"), ("all", None)):
            body = {"name": name, "url": target.url, "environment": environment}
            owner.post("/webhooks", json=body).raise_for_status()
        put(owner, "shop/S", "/environments/staging")
        stand.put("shop/A")
        settings = SETTINGS | {"environments": ("production",), "data": it.data, "owner": it.owner}
        with running_keywright(**settings) as pinned:
            keeper = pinned.service.keeper.deliveries
            keeper.make()
            assert [due.webhook_id for due in keeper.due()] == [hook["id"]]
            pinned.service.courier.look()
            target.wait(1)
        stand.pass_(hours=1)  # the other one's clock was not ours
        it.service.courier.start()
        target.wait(4)
        assert b"shop/A" in target.came[0].body
        assert len({came.id for came in target.came}) == 4


def test_of_several_replicas_one_sends(new_postgresql: PostgresServer, tmp_path: Path) -> None:
    new_postgresql.execute("CREATE DATABASE webhooks_ledger")
    server = new_postgresql
    url = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/webhooks_ledger"
    tmp_path.chmod(0o700)
    try:
        with ExitStack() as stack:
            target = stack.enter_context(receiver())
            one = stack.enter_context(running_keywright(ledger_url=url, data=tmp_path, **SETTINGS))
            other = stack.enter_context(running_keywright(ledger_url=url, data=tmp_path, owner=one.owner, **SETTINGS))
            clients = [it.client() for it in (one, other)]
            clients[0].post("/environments", json={"name": "production"}).raise_for_status()
            hook = clients[0].post("/webhooks", json={"name": "hook", "url": target.url}).json()
            for it in (one, other):
                it.service.courier._every = 0.05
                it.service.courier.start()
            for number in range(30):
                put(clients[number % 2], f"shop/V{number}")
            target.wait(30)
            path = f"/webhooks/{hook['id']}/deliveries?limit=500"
            wait_until(
                lambda: [each["state"] for each in clients[0].get(path).json()["items"]] == ["delivered"] * 30,
                "not all",
                60,
            )
            assert len(target.came) == len({came.id for came in target.came}) == 30
            target.verified(hook["secret"])
            for it in (one, other):
                it.service.courier.stop()
                compare(it.service)
    finally:
        new_postgresql.execute("DROP DATABASE webhooks_ledger WITH (FORCE)")
