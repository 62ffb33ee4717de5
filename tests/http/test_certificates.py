"""Callers that are known by the certificates of their connections, over real TLS."""

import contextlib
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.http.certificates import Certificates
from service.serving import server_of
from service.settings import read
from service.wiring import Service, build
from tests.rigs.listening import Answer, Listening, Way, listening
from tests.rigs.snapshots import compare

FOLDER = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
FETCHES = (
    "/environments/production/values/shop/A",  # the fast lane
    "/environments/production/values?names=shop/A",
)
UNKNOWN = "kw_0123456789abcdef_" + "x" * 43


class Machine:
    """A certificate of the authority, and a client that shows it."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        made = authority.issue_cert(name)
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        made.configure_cert(self.context)
        der = ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())
        self.sha256 = hashlib.sha256(der).hexdigest()


@dataclass
class Served:
    """A service behind mutual TLS."""

    service: Service
    it: Listening
    authority: trustme.CA
    owner: str
    bare: ssl.SSLContext
    """Of a client that shows no certificate."""

    def machine(self, name: str) -> Machine:
        return Machine(self.authority, name)

    @contextlib.contextmanager
    def over(self, by: Machine | None) -> Iterator[Way]:
        plain = socket.create_connection(self.it.listener.address, timeout=30)
        context = by.context if by else self.bare
        with plain, context.wrap_socket(plain, server_hostname="localhost") as encrypted:
            yield Way(encrypted)

    def ask(
        self,
        path: str,
        token: str | None = None,
        by: Machine | None = None,
        *,
        method: str = "GET",
        body: Mapping[str, Any] | None = None,
        more: str = "",
    ) -> Answer:
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n{more}"
        if token is not None:
            head += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        with self.over(by) as way:
            way.say(f"{head}\r\n".encode() + content)
            return way.answer()

    def made(self, name: str, *machines: Machine, bearer: bool = True) -> dict[str, Any]:
        body = {"name": name, "grants": [FOLDER], "certificates": [each.sha256 for each in machines], "bearer": bearer}
        answer = self.ask("/tokens", self.owner, method="POST", body=body)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    authority = trustme.CA()
    cert, key, client_ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    made = authority.issue_cert("localhost", "127.0.0.1")
    key.write_bytes(made.private_key_pem.bytes())
    cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    authority.cert_pem.write_to_path(str(client_ca))
    bare = ssl.create_default_context()
    authority.configure_trust(bare)
    certificates = Certificates(cert, key, client_ca)
    service = build(read({}, data=folder / "data", refused_rate=0, **settings))
    try:
        first = service.keeper.tokens.first()
        assert first
        with listening(server_of(service, "127.0.0.1", 0, certificates).app, certificates=certificates) as it:
            served = Served(service, it, authority, first.reveal(), bare)
            for path, method, body in (
                ("/environments", "POST", {"name": "production"}),
                ("/environments/production/variables/shop/A", "PUT", {"value": "one"}),
            ):
                assert served.ask(path, served.owner, method=method, body=body).status == 201
            yield served
            compare(service)
    finally:
        service.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as it:
        yield it


def said(answer: Answer) -> tuple[int, dict[str, Any]]:
    """Without what belongs to the one request."""
    return answer.status, {key: value for key, value in answer.json.items() if key != "request_id"}


@pytest.mark.parametrize("path", [*FETCHES, "/me"])
def test_a_bound_token_needs_its_certificate(served: Served, path: str) -> None:
    mine, other = served.machine("shop.test"), served.machine("other.test")
    made = served.made("shop", mine)
    assert (made["certificates"], made["bearer"]) == ([mine.sha256], True)
    assert served.ask(path, made["token"], mine).status == 200
    unknown = said(served.ask(path, UNKNOWN, mine))
    assert unknown[0] == 401
    for by in (None, other):
        assert said(served.ask(path, made["token"], by)) == unknown


@pytest.mark.parametrize("path", [*FETCHES, "/me"])
def test_a_certificate_alone_stands_for_a_caller(served: Served, path: str) -> None:
    mine, other, bound = (served.machine(f"{name}.test") for name in ("mine", "other", "bound"))
    made = served.made("machine", mine, bearer=False)
    assert (made["token"], made["bearer"]) == (None, False)
    served.made("bound", bound)
    assert served.ask(path, None, mine).status == 200
    nobody = said(served.ask(path))
    assert nobody[0] == 401
    for by in (other, bound):
        assert said(served.ask(path, None, by)) == nobody
    # Whoever presents something is judged by that.
    assert served.ask(path, UNKNOWN, mine).status == 401
    assert served.ask(path, "", mine).status == 401
    assert served.ask(path, None, mine, more="Authorization: Basic eDp5\r\n").status == 401
    assert served.ask(path, served.owner, mine, more=f"Authorization: Bearer {served.owner}\r\n").status == 401


def test_it_is_the_caller_in_every_respect(served: Served) -> None:
    mine = served.machine("machine.test")
    made = served.made("machine", mine, bearer=False)
    me = served.ask("/me", None, mine).json
    assert (me["id"], me["name"], me["kind"]) == (made["id"], "machine", "machine")
    assert served.ask("/environments/production/variables/shop/A", None, mine, method="PUT", body={"value": "x"}).status
    assert served.ask(FETCHES[0], None, mine).status == 200
    found = served.ask("/events?actor=machine&action=value.fetch", served.owner).json["items"]
    assert [(event["actor"], event["name"], event["outcome"]) for event in found] == [
        (made["id"], "machine", "allowed")
    ]
    listed = served.ask("/tokens", served.owner).json["items"]
    assert [each["bearer"] for each in listed if each["name"] == "machine"] == [False]
    assert served.ask(f"/tokens/{made['id']}", None, mine, method="DELETE").status == 204
    assert served.ask("/me", None, mine).status == 401


def test_a_certificate_is_replaced(served: Served) -> None:
    former, latter = served.machine("former.test"), served.machine("latter.test")
    made = served.made("shop", former)
    place = f"/tokens/{made['id']}"

    def bound_to(*machines: Machine) -> Answer:
        body = {"certificates": [each.sha256.upper() for each in machines]}
        return served.ask(place, served.owner, method="PATCH", body=body)

    answer = bound_to(former, latter)
    assert (answer.status, answer.json["certificates"]) == (200, [former.sha256, latter.sha256])
    assert "token" not in answer.json
    for by in (former, latter):
        assert served.ask("/me", made["token"], by).status == 200
    assert bound_to(latter).status == 200
    assert served.ask("/me", made["token"], former).status == 401
    assert served.ask("/me", made["token"], latter).status == 200


@pytest.mark.parametrize("certificates", [["ab"], ["xy" * 32], ["ab" * 32, "cd" * 32, "ef" * 32], "ab" * 32, None])
def test_what_is_no_certificate(served: Served, certificates: object) -> None:
    body = {"name": "shop", "certificates": certificates}
    answer = served.ask("/tokens", served.owner, method="POST", body=body)
    assert answer.status == 422
    assert answer.json["field"].startswith("certificates")
    answer = served.ask("/tokens", served.owner, method="POST", body={"name": "shop", "bearer": False})
    assert (answer.status, answer.json["field"]) == (422, "certificates")


def test_who_waits_and_is_bound_to_another_certificate_is_refused(served: Served) -> None:
    mine = served.machine("shop.test")
    made = served.made("shop", mine)
    tag = served.ask(FETCHES[0], made["token"], mine).headers["etag"]
    path = f"{FETCHES[0]}?wait=50"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.ask, path, made["token"], mine, more=f"If-None-Match: {tag}\r\n")
        body = {"certificates": ["ab" * 32]}
        assert served.ask(f"/tokens/{made['id']}", served.owner, method="PATCH", body=body).status == 200
        assert asked.result(30).status == 401


def test_the_rate_of_a_caller_holds_without_a_token_too(tmp_path: Path) -> None:
    with serving(tmp_path, caller_rate=1) as served:
        mine, other = served.machine("one.test"), served.machine("other.test")
        with served.over(mine) as way:
            status = 401
            while status == 401:
                way.say(b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
                status = way.answer().status
        assert status == 429
        assert served.ask("/me", None, other).status == 401
