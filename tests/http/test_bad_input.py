"""Bad input of every kind: a problem that says what and where, repeats nothing, and nothing is changed."""

import json
from typing import Any

import httpx2
import pytest

from tests.http.raw import request, sent
from tests.rigs.keywright import Keywright, dump
from tests.rigs.ports import free_port

PLACE = "/api/v1/environments/production"
HUSH = "hush-hush"
LONE = r'"\ud800"'
PUT_DB = {"engine": "postgresql", "endpoints": [{"host": "db.test"}], "database": "shop", "tls": {"mode": "disable"}}


@pytest.fixture(autouse=True)
def unchanged(it: Keywright) -> Any:
    before = dump(it.service)
    yield
    assert dump(it.service) == before, "something was changed by what was refused"


def problem(answer: tuple[int, dict[str, str], bytes], status: int, field: str | None = None) -> dict[str, Any]:
    """What every refusal has in common."""
    got, headers, body = answer
    assert got == status, (got, body[:300])
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    said: dict[str, Any] = json.loads(body)
    assert said["status"] == status
    assert said["type"].startswith("urn:keywright:problem:")
    assert said["detail"]
    assert said["request_id"] == headers["x-request-id"]
    assert HUSH not in body.decode()
    if field is not None:
        assert said["field"] == field, said
    return said


BODIES = {
    "unknown field": ("PUT", "/variables/x", '{"value": "hush-hush", "secrt": "hush-hush"}', "secrt"),
    "no kind": ("PUT", "/variables/x", "{}", "body"),
    "two kinds": ("PUT", "/variables/x", '{"value": "hush-hush", "template": "hush-hush"}', "body"),
    "kind is null": ("PUT", "/variables/x", '{"value": null}', "value"),
    "a number": ("PUT", "/variables/x", '{"value": 5}', "value"),
    "a list": ("PUT", "/variables/x", '{"value": ["hush-hush"]}', "value"),
    "no bool": ("PUT", "/variables/x", '{"value": "hush-hush", "secret": "yes"}', "secret"),
    "not JSON": ("PUT", "/variables/x", '{"value": "hush-hush"', "body"),
    "a bare text": ("PUT", "/variables/x", '"hush-hush"', "body"),
    "twice": ("PUT", "/variables/x", '{"value": "hush-hush", "value": "hush-hush"}', "body"),
    "twice, within": ("PUT", "/variables/x", '{"value": {"hush-hush": 1, "hush-hush": 2}}', "body"),
    "NaN": ("PUT", "/variables/x", '{"value": {"a": NaN}}', "body"),
    "too large a number": ("PUT", "/variables/x", '{"value": {"a": 1e999}}', "value"),
    "thousands of digits": ("PUT", "/variables/x", '{"value": {"a": ' + "9" * 5000 + "}}", "body"),
    "nested": ("PUT", "/variables/x", '{"value": ' + '{"a":' * 40 + "1" + "}" * 41, "value"),
    "nested beyond all": ("PUT", "/variables/x", '{"value": ' + "[" * 100_000 + "]" * 100_000 + "}", "body"),
    "lone surrogate in a value": ("PUT", "/variables/x", f'{{"value": {LONE}}}', "value"),
    "lone surrogate inside": ("PUT", "/variables/x", f'{{"value": {{"hush-hush": [{LONE}]}}}}', "value"),
    "lone surrogate as a name inside": ("PUT", "/variables/x", f'{{"value": {{{LONE}: 1}}}}', "value"),
    "lone surrogate as a field": ("PUT", "/variables/x", f'{{"value": "hush-hush", {LONE}: 1}}', "body"),
    "lone surrogate in a reason": ("POST", "/rotations", f'{{"connection": "shop/db", "reason": {LONE}}}', "reason"),
    "lone surrogate in a name": ("POST", "/rotations", f'{{"connection": {LONE}}}', "connection"),
    "NUL in a reason": ("POST", "/rotations", '{"connection": "shop/db", "reason": "a\\u0000b"}', "reason"),
    "a circle of one": ("PUT", "/variables/x", '{"template": "a ${x}"}', "template"),
    "an unknown name": ("PUT", "/variables/x", '{"template": "${no/such}"}', "template"),
    "an unknown connection": ("PUT", "/variables/x", '{"template": "${connection:no#url}"}', "template"),
    "an unknown part": ("PUT", "/variables/x", '{"template": "${connection:shop/db#hush}"}', "template"),
    "never closed": ("PUT", "/variables/x", '{"template": "${shop/HOST"}', "template"),
    "a secret in what is plain": (
        "PUT",
        "/variables/x",
        '{"template": "${shop/PASSWORD}", "secret": false}',
        "secret",
    ),
    "outside of what is allowed": ("PUT", "/variables/x", '{"reference": "env:HOME"}', "reference"),
    "a closed store": ("PUT", "/variables/x", '{"reference": "file:/etc/passwd"}', "reference"),
    "walks": ("PUT", "/variables/x", '{"reference": "vault:secret/../shop"}', "reference"),
    "no store": ("PUT", "/variables/x", '{"reference": "http:hush-hush"}', "reference"),
    "version zero": ("POST", "/activations", '{"variable": "shop/HOST", "version": 0}', "version"),
    "version far": ("POST", "/activations", '{"variable": "shop/HOST", "version": 99999999999999999999}', "version"),
    "version text": ("POST", "/activations", '{"variable": "shop/HOST", "version": "1"}', "version"),
    "no body": ("POST", "/activations", "", "body"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_refused(it: Keywright, name: str) -> None:
    method, path, body, field = BODIES[name]
    problem(sent(it.url, request(method, PLACE + path, it.owner, body.encode())), 422, field)


CONNECTIONS: dict[str, tuple[Any, int, str | None]] = {
    "lone surrogate in a user name": (r'{"login": {"username": "\ud800", "password": "hush-hush"}}', 422, "login"),
    "lone surrogate in a password": (r'{"login": {"username": "app", "password": "\ud800"}}', 422, "login"),
    "lone surrogate in an option": (r'{"options": {"application_name": "\ud800"}}', 422, "options"),
    "NUL in a password": ({"login": {"username": "app", "password": "hush-hush\0"}}, 422, "login.password"),
    "an option of ours": ({"options": {"password": HUSH}}, 422, "options.password"),
    "a huge option": ({"options": {"a": 10**30}}, 422, "options.a"),
    "wrong password": ({"login": {"username": "app_of_development", "password": HUSH}}, 422, "login.password"),
    "unreachable": ({"endpoints": [{"host": "nowhere.test"}]}, 504, None),
    "two primaries": ({"endpoints": [{"host": "db.test"}, {"host": "db.test", "port": 1}]}, 422, "endpoints"),
    "no host": ({"endpoints": [{"host": "a b"}]}, 422, "endpoints.0.host"),
    "port": ({"endpoints": [{"host": "db.test", "port": 65536}]}, 422, "endpoints.0.port"),
    "engine": ({"engine": "oracle"}, 422, "engine"),
    "ca": ({"tls": {"mode": "require", "ca": HUSH}}, 422, "tls.ca"),
    "nobody administers": ({"rotation": {"strategy": "alternating"}}, 422, "administered_by"),
    "administered by what is not there": ({"administered_by": "no/such"}, 422, "administered_by"),
    "another engine's strategy": (
        {"administered_by": "shop/admin", "rotation": {"strategy": "overlapping"}},
        422,
        "rotation.strategy",
    ),
    "checked too often": (
        {"administered_by": "shop/admin", "rotation": {"strategy": "single", "check_every": "59s"}},
        422,
        "rotation.check_every",
    ),
    "cron": (
        {"administered_by": "shop/admin", "rotation": {"strategy": "single", "cron": "61 * * * *"}},
        422,
        "rotation.cron",
    ),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_connection_is_refused(it: Keywright, name: str) -> None:
    given, status, field = CONNECTIONS[name]
    login = {"login": {"username": "app", "password": "first-password"}}
    body = f"{json.dumps(PUT_DB)[:-1]}, {given[1:]}" if isinstance(given, str) else json.dumps(PUT_DB | login | given)
    said = problem(sent(it.url, request("PUT", f"{PLACE}/connections/new", it.owner, body.encode())), status)
    if field:
        assert said["field"] == field, said


PATHS = {
    "/variables//etc//x": 422,
    "/variables/../x": 422,
    "/variables/a/../../x": 422,
    "/variables/%2e%2e/x": 422,
    "/variables/a%00b": 422,
    "/variables/a%0Ab": 404,
    "/variables/%FF%FE": 422,
    "/variables/%ED%A0%80": 422,
    "/variables/": 422,
    "/variables/a/": 422,
    "/variables/" + "a" * 201: 422,
    "/variables/" + "a" * 9000: 414,
    "/values?names=a,,b": 422,
    "/values?names=%FF": 422,
    "/values?names=a%00": 422,
    "/values?names=" + "a" * 8300: 414,
    "/values?folder=..": 422,
    "/values": 422,
    "/values?names=a&folder=b": 422,
    "/values?names=a&names=b": 422,
    "/variables?fodler=shop": 422,
    "/variables?limit=0": 422,
    "/variables?limit=501": 422,
    "/variables?limit=1_0": 422,
    "/variables?limit=" + "9" * 3000: 422,
    "/variables?cursor=%21": 422,
    "/variables?cursor=_w": 422,
    "/variables?cursor=AA": 422,
    "/values/shop/HOST?wait=NaN": 422,
    "/values/shop/HOST?wait=61": 422,
    "/values/shop/HOST?wait=-1": 422,
    "/rotations?stage=hush-hush": 422,
    "/rotations?connection=..": 422,
    "/nowhere": 404,
}


@pytest.mark.parametrize("path", PATHS)
def test_an_address_is_refused(it: Keywright, path: str) -> None:
    problem(sent(it.url, request("GET", PLACE + path, it.owner)), PATHS[path])


def test_a_million_characters_in_the_head(it: Keywright) -> None:
    problem(sent(it.url, request("GET", f"{PLACE}/variables/" + "a" * 1_000_000, it.owner)), 431)
    problem(sent(it.url, request("GET", PLACE, "k" * 1_000_000)), 431)


def test_what_is_not_http(it: Keywright) -> None:
    for nothing in (b"\0\0\0\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n"):
        problem(sent(it.url, nothing), 400)


def test_invalid_utf8_in_the_body(it: Keywright) -> None:
    said = request("PUT", f"{PLACE}/variables/x", it.owner, b'{"value": "\xff\xfe"}')
    problem(sent(it.url, said), 422, "body")
    said = request("PUT", f"{PLACE}/variables/x", it.owner, '{"value": "x"}'.encode("utf-16"))
    problem(sent(it.url, said), 422, "body")


def test_a_body_of_another_type(it: Keywright) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        body = b'{"value": "hush-hush"}'
        problem(sent(it.url, request("PUT", f"{PLACE}/variables/x", it.owner, body, f"Content-Type: {kind}")), 415)


def test_too_large_a_body_is_refused_declared_or_chunked(it: Keywright) -> None:
    body = b'{"value": "' + b"h" * 300_000 + b'"}'
    problem(sent(it.url, request("PUT", f"{PLACE}/variables/x", it.owner, body)), 413)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:150_000], body[150_000:])) + b"0\r\n\r\n"
    chunked = request("PUT", f"{PLACE}/variables/x", it.owner, chunks, "Transfer-Encoding: chunked")
    problem(sent(it.url, chunked), 413)


def test_too_large_a_value(it: Keywright, owner: httpx2.Client) -> None:
    answer = owner.put("/environments/production/variables/x", json={"value": "ä" * 40_000})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:keywright:problem:too-large")
    answer = owner.put("/environments/production/variables/x", json={"value": "a" * 70_000})
    assert (answer.status_code, answer.json()["field"]) == (422, "value")


HEADERS = {
    "If-Match: hush-hush": "If-Match",
    'If-Match: "3': "If-Match",
    'If-Match: W/"1"': "If-Match",
    "If-Match: -1": "If-Match",
    'If-Match: "99999999999999999999"': "If-Match",
    "If-Match: \xb2": "If-Match",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_refused(it: Keywright, header: str) -> None:
    said = request("PUT", f"{PLACE}/variables/shop/HOST", it.owner, b'{"value": "x"}', header)
    problem(sent(it.url, said), 422, HEADERS[header])


@pytest.mark.parametrize("key", ["", "a b", "k" * 201, "\xe4"])
def test_an_idempotency_key_is_refused(it: Keywright, key: str) -> None:
    body = b'{"name": "never", "grants": [{"level": "use", "kind": "everything"}]}'
    said = request("POST", "/api/v1/tokens", it.owner, body, f"Idempotency-Key: {key}")
    problem(sent(it.url, said), 422, "Idempotency-Key")


def test_the_authorization_header(it: Keywright) -> None:
    right = f"Authorization: Bearer {it.owner}"
    for lines in (
        "",
        "Authorization:",
        "Authorization: Bearer",
        f"Authorization: {it.owner}",
        f"Authorization: Basic {it.owner}",
        f"{right}x",
        f"{right}\r\n{right}",
        f"Authorization: Bearer nobody\r\n{right}",
        "Authorization: Bearer \xff\xfe",
        "Authorization: Bearer " + "k" * 10_000,
    ):
        line = f"{lines}\r\n" if lines else ""
        answer = sent(it.url, f"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n{line}\r\n".encode("latin-1"))
        problem(answer, 401)
        assert answer[1]["www-authenticate"] == 'Bearer realm="keywright"'
    for scheme in ("bearer", "BEARER", "Bearer "):
        said = f"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: {scheme} {it.owner}\r\n\r\n"
        assert sent(it.url, said.encode())[0] == 200


def test_a_wider_circle_is_refused(it: Keywright, owner: httpx2.Client) -> None:
    place = "/environments/production/variables"
    try:
        assert owner.put(f"{place}/a", json={"value": "x"}).status_code == 201
        assert owner.put(f"{place}/b", json={"template": "${a}"}).status_code == 201
        answer = owner.put(f"{place}/a", json={"template": "${b}"})
        assert (answer.status_code, answer.json()["field"]) == (422, "template")
        assert "circle" in answer.json()["detail"]
    finally:
        owner.delete(f"{place}/b")
        owner.delete(f"{place}/a")


def test_a_port_where_nobody_listens(it: Keywright, owner: httpx2.Client) -> None:
    endpoint = {"host": "127.0.0.1", "port": free_port()}
    login = {"username": "app", "password": HUSH}
    answer = owner.put(
        "/environments/production/connections/new", json=PUT_DB | {"endpoints": [endpoint], "login": login}
    )
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:keywright:problem:target-unreachable"
    assert HUSH not in answer.text


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "QUERY"])
def test_another_method_is_told_which_there_are(it: Keywright, method: str) -> None:
    answer = sent(it.url, request(method, f"{PLACE}/variables/shop/HOST", it.owner))
    problem(answer, 405)
    assert answer[1]["allow"] == "HEAD, GET, PUT, DELETE, OPTIONS"


def test_options_and_head(it: Keywright, owner: httpx2.Client) -> None:
    answer = owner.options("/environments")
    assert (answer.status_code, answer.headers["allow"]) == (204, "HEAD, GET, POST, OPTIONS")
    head, get = owner.head("/environments/production"), owner.get("/environments/production")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == get.headers["content-length"]
