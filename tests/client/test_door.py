"""Requests and answers over real sockets: errors by name, pages, redirects, proxies, TLS."""

import socket
import ssl
import threading
import time
import traceback
from pathlib import Path

import httpx2
import keywright
import pytest
import trustme
from keywright import errors
from keywright.answers import reply
from keywright.door import Door

from tests.client.server import TOKEN, Asked, Server, Told, free_port, problem, serve


def door(server: Server, **more: object) -> Door:
    return Door(server.address, lambda: TOKEN, **{"timeout": 5.0, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("slug", "status", "kind"),
    [
        ("invalid", 422, errors.Invalid),
        ("unauthenticated", 401, errors.Unauthenticated),
        ("forbidden", 403, errors.Forbidden),
        ("absent", 404, errors.Absent),
        ("conflict", 409, errors.Conflict),
        ("outdated", 412, errors.Outdated),
        ("too-large", 413, errors.TooLarge),
        ("store-absent", 424, errors.StoreFailed),
        ("store-refused", 424, errors.StoreFailed),
        ("store-malformed", 424, errors.StoreFailed),
        ("store-unreachable", 504, errors.StoreFailed),
        ("unavailable", 503, errors.Unavailable),
    ],
)
def test_every_problem_has_its_error(server: Server, slug: str, status: int, kind: type[Exception]) -> None:
    server.route("GET", "/me", problem(slug, status, "what, where, what to do", field="name", request_id="r-9"))
    with pytest.raises(errors.KeywrightError) as caught, door(server) as asked:
        asked.get("/me")
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.status, error.slug) == ("what, where, what to do", status, slug)
    assert (error.field, error.request_id) == ("name", "r-9")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (Told(200, b"<html>sign in to the wifi</html>"), errors.Unexpected),
        (Told(200, b"[" * 100_000), errors.Unexpected),
        (Told(503, b"[" * 100_000), errors.Unavailable),
        (Told(404, b"nothing here"), errors.Unexpected),
        (Told(404, {"detail": "Not Found"}), errors.Unexpected),
        (Told(400, b""), errors.Unexpected),
        (Told(502, b"<html>"), errors.Unavailable),
        (Told(500, b""), errors.Unavailable),
        (Told(429, b""), errors.Unavailable),
        (Told(403, b""), errors.Forbidden),
    ],
)
def test_an_answer_that_is_not_keywrights(server: Server, told: Told, kind: type[errors.KeywrightError]) -> None:
    server.route("GET", "/me", told)
    with pytest.raises(errors.KeywrightError) as caught, door(server) as asked:
        asked.get("/me")
    assert type(caught.value) is kind
    assert "wifi" not in str(caught.value)


@pytest.mark.parametrize("date", ["soon", "Mon, 01 Jan 9999999999999999999999 00:00:00 GMT"])
def test_without_a_date_our_own_clock_counts(date: str) -> None:
    before = time.time()
    told = reply("https://a", httpx2.Response(200, json={}, headers={"Date": date}))
    assert before <= told.at <= time.time()


def test_text_from_the_server_loses_its_control_characters(server: Server) -> None:
    server.route("GET", "/me", problem("conflict", 409, "first\x1b]0;owned\x07\nsecond\u202e\x9b31m"))
    with pytest.raises(errors.Conflict) as caught, door(server) as asked:
        asked.get("/me")
    assert str(caught.value) == "first]0;owned second31m"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(server: Server, status: int) -> None:
    with serve() as other:
        server.route("GET", "/me", Told(status, b"", {"Location": f"{other.address}/api/v1/me"}))
        with pytest.raises(errors.Unexpected, match="redirect"), door(server) as asked:
            asked.get("/me")
        assert other.asked == []


def test_a_list_is_followed_through_its_pages(server: Server) -> None:
    pages = {"": ([{"name": "a"}], "2"), "2": ([{"name": "b"}], "3"), "3": ([{"name": "c"}], None)}

    def page(asked: Asked) -> Told:
        assert asked.query["folder"] == "shop"
        entries, after = pages[asked.query.get("cursor", "")]
        return Told(body={"items": entries, "next": after})

    server.route("GET", "/things", page)
    with door(server) as asked:
        assert [e["name"] for e in asked.items("/things", {"folder": "shop"})] == ["a", "b", "c"]


@pytest.mark.parametrize("body", [[], {"items": None}, {"items": ["a"]}, {"items": [], "next": "again"}])
def test_a_list_that_is_none_or_never_ends(server: Server, body: object) -> None:
    server.route("GET", "/things", Told(body=body))
    with pytest.raises(errors.Unexpected), door(server) as asked:
        list(asked.items("/things"))
    assert len(server.asked) <= 2


def test_nobody_listening_is_unreachable_and_tells_no_token() -> None:
    with pytest.raises(errors.Unreachable) as caught, Door(f"http://127.0.0.1:{free_port()}", lambda: TOKEN) as asked:
        asked.get("/me")
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def test_no_answer_in_time_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(errors.Unreachable, match=r"within 0\.2 seconds"),
            Door(address, lambda: TOKEN, timeout=0.2) as d,
        ):
            d.get("/me")


@pytest.mark.parametrize(("method", "connections"), [("get", 2), ("put", 1)])
def test_a_cut_connection_is_tried_again_only_for_questions(method: str, connections: int) -> None:
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            for _ in range(connections):
                peer, _ = listener.accept()
                came.append(peer.recv(65536))
                peer.close()

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(errors.Unreachable, match="broke"), Door(address, lambda: TOKEN, timeout=5) as asked:
            asked.get("/me") if method == "get" else asked.put("/me", {})
        thread.join(5)
        assert len(came) == connections
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_tls_needs_the_named_authority(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with serve(context) as secured:
        secured.route("GET", "/me", Told(body={"name": "me"}))
        with door(secured, ca=str(file)) as asked:
            assert asked.get("/me").body == {"name": "me"}
        with pytest.raises(errors.Unreachable, match="CERTIFICATE_VERIFY_FAILED"), door(secured) as asked:
            asked.get("/me")


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_authority_is_invalid(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.Invalid, match=r"ca\.pem"):
        Door("https://127.0.0.1:1", lambda: TOKEN, ca=str(file))


def test_a_proxy_never_sees_loopback_nor_plain_http(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, dead)
    server.route("GET", "/me", Told(body={"name": "me"}))
    with door(server) as asked:
        assert asked.get("/me").body == {"name": "me"}
    monkeypatch.setenv("KEYWRIGHT_ALLOW_PLAIN", "1")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.1)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(errors.Unreachable), Door("http://keywright.invalid", lambda: TOKEN, timeout=2) as d:
            d.get("/me")
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_proxy_is_used_for_https_and_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            peer, _ = proxy.accept()
            came.append(peer.recv(65536))
            peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            peer.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(errors.Unreachable), Door("https://keywright.invalid", lambda: TOKEN, timeout=5) as asked:
            asked.get("/me")
        thread.join(5)
    assert came[0].startswith(b"CONNECT keywright.invalid:443")
    assert TOKEN.encode() not in came[0]


def test_every_error_is_exported() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds <= set(keywright.__all__)
    assert all(name in (errors.__doc__ or "") for name in kinds)
