"""Tags, waiting, repeated requests, and many at once."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import structlog

from service.log import configure
from service.settings import read
from tests.rigs.keywright import Keywright

PLACE = "/environments/production"


def fetches(owner: httpx2.Client, action: str) -> list[str]:
    found = owner.get("/events", params={"action": action, "limit": 500}).json()["items"]
    return [event["outcome"] for event in found]


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/values/shop/HOST", "value.fetch"),
        ("/values?names=shop/HOST,shop/PASSWORD", "value.fetch"),
        ("/values?folder=shop", "value.fetch"),
        ("/credentials/shop/db", "credential.fetch"),
    ],
)
def test_what_is_known_already_is_not_sent_and_not_recorded(owner: httpx2.Client, path: str, action: str) -> None:
    first = owner.get(PLACE + path)
    assert first.status_code == 200, first.text
    tag = first.headers["etag"]
    before = fetches(owner, action)
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = owner.get(PLACE + path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-store"
    assert fetches(owner, action) == before
    assert owner.get(PLACE + path, headers={"If-None-Match": '"x"'}).status_code == 200
    assert len(fetches(owner, action)) == len(before) + 1


def test_a_refused_poll_is_recorded(it: Keywright, owner: httpx2.Client) -> None:
    stranger = it.client(it.token("stranger"))
    for path, action in (("/values/shop/HOST", "value.fetch"), ("/credentials/shop/db", "credential.fetch")):
        before = fetches(owner, action)
        assert stranger.get(PLACE + path, headers={"If-None-Match": '"x"'}, params={"wait": 1}).status_code == 404
        assert fetches(owner, action) == ["refused", *before]


def test_waiting_ends_with_the_change(it: Keywright, owner: httpx2.Client) -> None:
    owner.put(f"{PLACE}/variables/wait/A", json={"value": "one"})
    first = owner.get(f"{PLACE}/values/wait/A")
    waiter = it.client()
    answers = []

    def wait() -> None:
        known = {"If-None-Match": first.headers["etag"]}
        answers.append(waiter.get(f"{PLACE}/values/wait/A", params={"wait": 50}, headers=known))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)  # it waits by now, or the change is there before it does: the answer is the same
    owner.put(f"{PLACE}/variables/wait/B", json={"value": "unconcerned"})
    assert not answers
    owner.put(f"{PLACE}/variables/wait/A", json={"value": "two"})
    thread.join(20)
    assert [(a.status_code, a.json()["value"]) for a in answers] == [(200, "two")]


def test_waiting_ends_with_its_time(owner: httpx2.Client) -> None:
    tag = owner.get(f"{PLACE}/values/shop/HOST").headers["etag"]
    answer = owner.get(f"{PLACE}/values/shop/HOST", params={"wait": 0.2}, headers={"If-None-Match": tag})
    assert answer.status_code == 304


def test_who_loses_its_grant_while_it_waits_is_refused(it: Keywright, owner: httpx2.Client) -> None:
    grant = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
    waiter = it.client(it.token("waiter", grant))
    tag = waiter.get(f"{PLACE}/values/shop/HOST").headers["etag"]
    token_id = waiter.get("/me").json()["id"]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            waiter.get, f"{PLACE}/values/shop/HOST", params={"wait": 50}, headers={"If-None-Match": tag}
        )
        time.sleep(0.3)
        owner.delete(f"/tokens/{token_id}")
        owner.put(f"{PLACE}/variables/shop/HOST", json={"value": "elsewhere"})
        assert answer.result(20).status_code == 401


def test_preconditions(owner: httpx2.Client) -> None:
    place = f"{PLACE}/variables/pre/A"
    nothing = owner.put(place, json={"value": "x"}, headers={"If-Match": "*"})
    assert (nothing.status_code, nothing.json()["type"]) == (412, "urn:keywright:problem:outdated")
    first = owner.put(place, json={"value": "x"}, headers={"If-Match": '"0"'})
    assert first.status_code == 201
    second = owner.put(place, json={"value": "y"}, headers={"If-Match": first.headers["etag"]})
    assert second.status_code == 200
    for outdated in (first.headers["etag"], '"99"', '"0"'):
        assert owner.put(place, json={"value": "z"}, headers={"If-Match": outdated}).status_code == 412
        assert owner.delete(place, headers={"If-Match": outdated}).status_code == 412
    assert owner.delete(place, headers={"If-Match": "*"}).status_code == 204


def test_a_repeated_request_does_nothing_twice(it: Keywright, owner: httpx2.Client) -> None:
    key = {"Idempotency-Key": "once-1"}
    body = {"name": "repeated", "grants": [{"level": "use", "kind": "everything"}]}
    first = owner.post("/tokens", json=body, headers=key)
    again = owner.post("/tokens", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = owner.post("/tokens", json=body | {"name": "other"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:keywright:problem:conflict")
    assert (
        it.client(it.token("chief", {"level": "own", "kind": "everything"}))
        .post("/tokens", json=body | {"name": "another-caller"}, headers=key)
        .status_code
        == 201
    )
    assert len(fetches(owner, "token.add")) >= 3
    assert fetches(owner, "reply.repeat") == ["refused", "allowed"], "no answer without a record"


def test_fifty_at_once(it: Keywright, owner: httpx2.Client) -> None:
    def one(number: int) -> int:
        if number % 2:
            return owner.get(f"{PLACE}/values?folder=shop").status_code
        return owner.put(f"{PLACE}/variables/many/V{number % 8}", json={"value": str(number)}).status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(one, range(200)))
    assert set(statuses) <= {200, 201}
    assert owner.get("/events/verify").json()["whole"] is True
    versions = [owner.get(f"{PLACE}/variables/many/V{n}").json()["newest"] for n in (0, 2, 4, 6)]
    assert sum(versions) == 100


def test_nothing_may_be_kept_by_caches(it: Keywright, owner: httpx2.Client) -> None:
    answers = [
        owner.get("/me"),
        owner.get("/nowhere"),
        owner.get("/environments/nowhere"),
        owner.put(f"{PLACE}/variables/..", json={}),
        owner.delete(f"{PLACE}/variables/nowhere"),
        owner.options("/me"),
        it.nobody().get("/me"),
        it.nobody().get("/openapi.json"),
        *(httpx2.get(f"{it.url}/{name}", trust_env=False) for name in ("healthz", "readyz", "metrics", "")),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store", answer
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers


@pytest.fixture
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_defect_is_answered_and_logged_without_its_words(
    it: Keywright,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_logging: None,
    log_format: str,
) -> None:
    def broken(caller: object, name: str) -> None:
        inner = f"hush-{name}"
        raise RuntimeError(inner + "-hush")

    configure(read({}, log_format=log_format))
    monkeypatch.setattr(it.service.keeper.environments, "get", broken)
    monkeypatch.setattr(
        "service.http.problems.log", structlog.get_logger("http")
    )  # the first one was configured before
    answer = it.client().get("/environments/production")
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert answer.headers["content-type"] == "application/problem+json"
    told = capsys.readouterr().err
    assert "hush-" not in answer.text + told.replace('f"hush-{name}"', "")
    assert "a defect" in told
    assert "test_waiting" in told, "the frames are told"
