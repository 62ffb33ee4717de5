"""What is open, or under way, when somebody is put out: it ends, or comes to nothing, on every replica."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from service.ledger import users
from tests.http.oauth.conftest import DEVICE_GRANT, hidden
from tests.http.scim.conftest import USER
from tests.people.leavers.conftest import (
    EDIT,
    ENDS,
    PLACE,
    TEAM,
    USE,
    Leaver,
    Replicas,
    all_wait,
    exchanged,
    get,
    hashing_of,
    shows,
    ways,
)
from tests.rigs.keywright import Keywright
from tests.rigs.listening import Way
from tests.rigs.listens import listens

DISABLED = ENDS[:2]
each_end = pytest.mark.parametrize("how", ENDS)
each_disabling = pytest.mark.parametrize("how", DISABLED)
CHOSEN = "walnut harbour pencil ostrich"


def texts(leaver: Leaver) -> list[str]:
    """Everything that it can show."""
    return [leaver.session(), leaver.own_token(), leaver.login()]


@each_end
def test_a_stream_tells_nothing_of_what_comes_later(replicas: Replicas, how: str) -> None:
    leaver = replicas.person(USE)
    with ExitStack() as stack:
        clients = [it.client(text) for text in texts(leaver) for it in replicas.each]
        streams = [stack.enter_context(listens(client)) for client in clients]
        replicas.write("before")
        for stream in streams:
            stream.wait(lambda stream=stream: "variable.put" in stream.kinds)
        leaver.ends(how)
        replicas.write("after")
        if how in DISABLED:
            assert all(stream.ended.wait(60) for stream in streams)
        else:  # it is somebody still, and is told of what it is given
            replicas.owner.put("/environments/production/variables/for/ALL", json={"value": "x"}).raise_for_status()
            grant = {"level": "use", "kind": "folder", "environment": "production", "path": "for"}
            replicas.owner.post("/grants", json={"user": leaver.email, **grant}).raise_for_status()
            replicas.owner.put("/environments/production/variables/for/ALL", json={"value": "y"}).raise_for_status()
            for stream in streams:
                stream.wait(lambda stream=stream: any(it["resource"] == "for/ALL" for it in stream.heard))
        told = [[it["resource"] for it in stream.heard if it["kind"] == "variable.put"] for stream in streams]
        assert [names.count("shop/PASSWORD") for names in told] == [1] * len(streams)


WAITS = (f"{PLACE}/values/shop/PASSWORD?wait=", f"{PLACE}/values?names=shop/PASSWORD&wait=")
each_wait = pytest.mark.parametrize("target", WAITS, ids=["lane", "route"])


@each_wait
@each_end
def test_who_waits_for_a_change_is_refused_when_it_comes(replicas: Replicas, how: str, target: str) -> None:
    leaver = replicas.person(USE)
    shown = shows(leaver.session())
    with ways(replicas) as each:
        begin_to_wait(each, target, shown, 50)
        all_wait(replicas)
        leaver.ends(how)
        replicas.write(f"told to nobody {how}")
        answers = [way.answer() for way in each]
    assert [answer.status for answer in answers] == [401 if how in DISABLED else 404] * len(each)


@each_wait
@each_end
def test_who_waits_in_vain_is_not_told_that_nothing_changed(replicas: Replicas, how: str, target: str) -> None:
    leaver = replicas.person(USE)
    with ways(replicas) as each:
        begin_to_wait(each, target, shows(leaver.session()), 2)
        all_wait(replicas)
        leaver.ends(how)
        answers = [way.answer() for way in each]
    assert [answer.status for answer in answers] == [401 if how in DISABLED else 404] * len(each)


def begin_to_wait(each: list[Way], target: str, shown: str, seconds: int) -> None:
    """At each, for what it does not know yet."""
    for way in each:
        way.say(get(target.removesuffix("?wait=").removesuffix("&wait="), shown))
        tag = way.answer().headers["etag"]
        way.say(get(f"{target}{seconds}", shown, f"If-None-Match: {tag}"))


@each_disabling
def test_a_code_is_of_no_use(replicas: Replicas, how: str) -> None:
    for at, it in enumerate(replicas.each):
        leaver = replicas.person(USE)
        code = leaver.code(at)
        leaver.ends(how)
        answer = exchanged(it, code)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert not sessions_of(it, leaver)


@each_disabling
def test_a_computer_that_was_let_in_and_did_not_ask_yet_gets_nothing(replicas: Replicas, how: str) -> None:
    for at, it in enumerate(replicas.each):
        leaver = replicas.person(USE)
        with httpx2.Client(base_url=it.url, timeout=90, trust_env=False) as computer:
            begun = computer.post("/oauth/device-authorization", data={"client_id": "keywright", "host": "h"}).json()
            browser = leaver.browser((at + 1) % len(replicas.each))
            page = browser.get("/oauth/device")
            typed = hidden(page.text) | {"code": begun["user_code"]}
            done = browser.post("/oauth/device", data=typed | {"decision": "allow"})
            assert "It is let in" in done.text
            leaver.ends(how)
            asks = {"grant_type": DEVICE_GRANT, "client_id": "keywright", "device_code": begun["device_code"]}
            answer = computer.post("/oauth/token", data=asks)
        assert (answer.status_code, "access_token" in answer.json()) == (400, False)
        assert not sessions_of(it, leaver)


@pytest.mark.parametrize("what", ["sign-in", "new password of its own", "first password by an invitation"])
@each_disabling
def test_a_password_that_is_being_looked_at_lets_nobody_in(
    replicas: Replicas, how: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = replicas.each[2]
    leaver = replicas.person(USE)
    invitation = replicas.owner.post(f"/users/{leaver.id}/invitations").raise_for_status().json()["text"]
    path, body = "/session/new-password", {"text": invitation, "password": CHOSEN}
    client = there.nobody()
    if not what.startswith("first"):
        client.post(path, json=body).raise_for_status()
        path, body = "/session", {"email": leaver.email, "password": CHOSEN}
    if what.startswith("new"):
        client = there.client(leaver.session())
        path, body = "/session/password", {"old": CHOSEN, "new": f"{CHOSEN} too"}
    client.cookies.clear()
    looking, go_on = threading.Event(), threading.Event()
    hashing, name = hashing_of(there), "right" if what == "sign-in" else "hashed"
    original: Callable[..., object] = getattr(hashing, name)

    def looked(*given: object) -> object:
        looking.set()
        assert go_on.wait(60)
        return original(*given)

    monkeypatch.setattr(hashing, name, looked)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, path, json=body)
        assert looking.wait(60)
        before = kept(there, leaver)
        leaver.ends(how)
        go_on.set()
        assert answer.result(60).status_code == 401, answer.result().text
    assert kept(there, leaver) == before
    assert not sessions_of(there, leaver)


VARIABLE = "/environments/production/variables/shop/LATE"
PERSON = {"schemas": [USER], "userName": "late", "emails": [{"value": "late@people.example", "primary": True}]}
LATE = {
    "native": ("PUT", f"/api/v1{VARIABLE}", {"value": "late"}, EDIT, (401, 404)),
    "Vault": ("PUT", "/v1/secret/data/production/shop/LATE", {"data": {"value": "late"}}, EDIT, (403, 404)),
    "SCIM": ("POST", "/scim/v2/Users", PERSON, TEAM, (401, 404)),
}
"""By each door that is asked with a body: the request, who may ask it, and what it is answered by then."""


@pytest.mark.parametrize("door", LATE)
@each_end
def test_a_request_whose_body_comes_later_does_nothing(replicas: Replicas, how: str, door: str) -> None:
    method, path, said, group, (disabled, ungranted) = LATE[door]
    body = json.dumps(said)
    leaver = replicas.person(group)
    replicas.owner.delete(VARIABLE)
    head = [f"{method} {path} HTTP/1.1", "Host: x", shows(leaver.session()), "Content-Type: application/json"]
    head += [f"Content-Length: {len(body)}", "Expect: 100-continue", "", ""]
    with ways(replicas) as each:
        for way in each:
            way.say("\r\n".join(head).encode())
            assert way.answer(bare=True).status == 100  # who asks was made out, and its body is waited for
        leaver.ends(how)
        for way in each:
            way.say(body.encode())
        answers = [way.answer() for way in each]
    assert [answer.status for answer in answers] == [disabled if how in DISABLED else ungranted] * len(each)
    assert replicas.owner.get(VARIABLE).status_code == 404
    assert not replicas.provider.found("Users", f'userName eq "{PERSON["userName"]}"')


def sessions_of(it: Keywright, leaver: Leaver) -> list[object]:
    """Those that are open."""
    answer = it.client().get("/sessions", params={"user": leaver.id})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def kept(it: Keywright, leaver: Leaver) -> object:
    """What is kept of its password."""
    with it.service.ledger.read() as tx:
        return users.guarded(tx, leaver.id).hash
