"""Posting to targets: where to it goes, where it does not, and that it ends."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from providers import webhooks
from providers.webhooks import WebhookPost
from service.core.errors import Invalid
from service.core.webhook import Answer, Outcome, reachable, target
from tests.rigs.receiver import receiver
from tests.rigs.stub import Answer as Reply
from tests.rigs.stub import stub

HERE = ("127.0.0.0/8", "::1/128")
CLOSED = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "192.0.0.8",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "168.63.129.16", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
OPEN = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_not_public_is_closed(address: str) -> None:
    assert not reachable(address, ())


@pytest.mark.parametrize("address", OPEN)
def test_what_is_public_is_open(address: str) -> None:
    assert reachable(address, ())


@pytest.mark.parametrize(
    ("address", "opened", "reached"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("64:ff9b::a01:203", "10.1.0.0/16", True),
        ("64:ff9b::a01:203", "64:ff9b::/96", False),  # what is carried is judged as well
        ("::1", "::1/128", True),
        ("127.0.0.1", "::1/128", False),
        ("fd00::1", "fd00::/8", True),
    ],
)
def test_networks_are_opened_one_by_one(address: str, opened: str, reached: bool) -> None:
    assert reachable(address, (opened,)) is reached


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https:///x", "https://user@example.com/",
        "https://user:password@example.com/", "https://@example.com/", "https://example.com/#x", "https://example.com:0/",
        "https://example.com:99999/", "https://example.com/a b", "https://example.com\\@127.0.0.1/", "https://exämple.com/",
        "https://example.com/\n", "https://[::1", "https://example.com/" + "x" * 2000, "file:///etc/passwd", "",
    ],
)  # fmt: skip
def test_addresses_that_no_webhook_may_have(url: str) -> None:
    with pytest.raises(Invalid):
        target(url, plain=False)


def test_plain_addresses_need_a_setting() -> None:
    assert target("http://127.0.0.1:8080/x?y", plain=True) == "http://127.0.0.1:8080/x?y"
    assert target("https://example.com:8443", plain=False) == "https://example.com:8443"
    with receiver() as it:
        assert WebhookPost(HERE).post(it.url, {}, b"{}") == Answer(Outcome.FORBIDDEN)
        assert it.came == []


def test_it_arrives_as_it_was_sent() -> None:
    with receiver() as it:
        post = WebhookPost(HERE, plain=True)
        assert post.post(f"{it.url}?a=b%20c", {"webhook-id": "msg_1"}, b'{"a":1}') == Answer(Outcome.ACCEPTED, 200)
        (came,) = it.came
        assert (came.path, came.id, came.body) == ("/hook?a=b%20c", "msg_1", b'{"a":1}')
        it.answers = lambda _: 503
        assert post.post(it.url, {}, b"{}") == Answer(Outcome.REJECTED, 503)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "127.1", "[::1]", "[::ffff:7f00:1]"]
)
def test_nothing_here_is_reached_by_any_spelling(host: str) -> None:
    with receiver() as it:
        url = it.url.replace("127.0.0.1", host)
        assert WebhookPost((), plain=True).post(url, {}, b"{}").outcome in (Outcome.FORBIDDEN, Outcome.UNREACHABLE)
        assert it.came == []


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public address when it is judged, and here a moment later."""
    asked: list[str] = []
    connected: list[Any] = []
    resolve = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host == "rebinding.test":
            asked.append(host)
            return resolve("203.0.113.7" if len(asked) == 1 else "127.0.0.1", port, *more, **named)
        return resolve(host, port, *more, **named)

    def connecting(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(webhooks, "reachable", lambda address, _: address == "203.0.113.7")
    with receiver() as it, monkeypatch.context() as patched:
        patched.setattr(socket, "create_connection", connecting)
        url = it.url.replace("127.0.0.1", "rebinding.test")
        assert WebhookPost((), plain=True).post(url, {}, b"{}") == Answer(Outcome.UNREACHABLE)
        assert it.came == []
    assert (asked, connected) == (["rebinding.test"], ["203.0.113.7"])


def test_redirects_are_not_followed() -> None:
    with receiver() as inner, receiver() as it:
        it.answers, it.headers = lambda _: 307, {"Location": inner.url}
        assert WebhookPost(HERE, plain=True).post(it.url, {}, b"{}") == Answer(Outcome.REJECTED, 307)
        assert (len(it.came), inner.came) == (1, [])


def test_proxies_of_the_surroundings_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with stub(lambda _: Reply(200)) as (proxy, asked), receiver() as it:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        assert WebhookPost(HERE, plain=True).post(it.url, {}, b"{}") == Answer(Outcome.ACCEPTED, 200)
        assert (len(it.came), asked) == (1, [])


def test_targets_are_verified_by_their_names(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with receiver(context) as it:
        assert WebhookPost(HERE, ca=ca).post(it.url, {}, b"{}") == Answer(Outcome.ACCEPTED, 200)
        other = it.url.replace("localhost", "127.0.0.1")
        assert WebhookPost(HERE, ca=ca).post(other, {}, b"{}") == Answer(Outcome.UNREACHABLE)
        assert WebhookPost(HERE).post(it.url, {}, b"{}") == Answer(Outcome.UNREACHABLE)
        assert len(it.came) == 1
    with pytest.raises(Invalid, match="KEYWRIGHT_WEBHOOK_CA"):
        WebhookPost(ca=tmp_path / "none")


@contextmanager
def silent() -> Iterator[str]:
    """Accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_an_attempt_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "WITHIN", 0.5)
    post = WebhookPost(HERE, plain=True)
    with silent() as url:
        assert post.post(url, {}, b"{}") == Answer(Outcome.UNREACHABLE)
        assert post.post(url.replace("http:", "https:"), {}, b"{}") == Answer(Outcome.UNREACHABLE)
    assert post.post(url, {}, b"{}") == Answer(Outcome.UNREACHABLE)
    with receiver() as it:
        it.drips = True  # each byte in time, and all of them never
        assert post.post(it.url, {}, b"{}") == Answer(Outcome.UNREACHABLE)


def test_of_a_large_answer_no_more_is_read_than_a_little() -> None:
    with stub(lambda _: Reply(200, b"x" * 5_000_000)) as (url, asked):
        assert WebhookPost(HERE, plain=True).post(url, {}, b"{}") == Answer(Outcome.ACCEPTED, 200)
        assert len(asked) == 1


def test_several_at_once_share_nothing() -> None:
    with receiver() as it:
        post = WebhookPost(HERE, plain=True)
        threads = [threading.Thread(target=post.post, args=(it.url, {}, b"{}")) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(it.came) == 20
