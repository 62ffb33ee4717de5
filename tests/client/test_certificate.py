"""The client's certificate: shown in place of a token or beside one, and read again when it is replaced."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from keywright import Certificate, Client, Invalid, Unauthenticated
from keywright.discovery import discover
from keywright.door import Door

from tests.client.server import TOKEN, Asked, Server, Told, serve
from tests.client.test_discovery import HTTPS, around


class Files:
    """An authority, and the files that a client reads."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "machine.pem", folder / "machine.key"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.certificate = Certificate(str(self.cert), str(self.key))

    def issue(self, name: str) -> trustme.LeafCert:
        return self.authority.issue_cert(name)

    def renew(self, name: str) -> None:
        made = self.issue(name)
        self.cert.write_bytes(made.cert_chain_pems[0].bytes())
        self.key.write_bytes(made.private_key_pem.bytes())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def shown() -> list[str | None]:
    """The name in the certificate of each request."""
    return []


@pytest.fixture
def secured(files: Files, shown: list[str | None]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files.authority.issue_cert("127.0.0.1").configure_cert(context)
    files.authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    with serve(context) as running:

        def me(asked: Asked) -> Told:
            found = asked.certificate
            shown.append(found["subjectAltName"][0][1] if found else None)
            return Told(body={"name": "me"})

        running.open = True
        running.route("GET", "/me", me)
        yield running


def door(server: Server, files: Files, token: str | None = None, certificate: Certificate | None = None) -> Door:
    source = (lambda: token) if token else None
    return Door(server.address, source, ca=str(files.ca), timeout=5, certificate=certificate)


def test_it_is_shown_in_place_of_a_token_or_beside_one(secured: Server, files: Files, shown: list[str | None]) -> None:
    files.renew("machine.test")
    for token in (None, TOKEN):
        with door(secured, files, token, files.certificate) as asked:
            asked.get("/me")
    with door(secured, files, TOKEN) as asked:
        asked.get("/me")
    assert shown == ["machine.test", "machine.test", None]
    assert [each.headers.get("authorization") for each in secured.asked] == [None, *[f"Bearer {TOKEN}"] * 2]


def test_it_may_be_replaced_while_the_client_lives(secured: Server, files: Files, shown: list[str | None]) -> None:
    files.renew("one.test")
    with door(secured, files, None, files.certificate) as asked:
        asked.get("/me")
        latter = files.issue("two.test")
        files.cert.write_bytes(latter.cert_chain_pems[0].bytes())
        asked.get("/me")  # the key is the former one's still
        files.key.write_bytes(latter.private_key_pem.bytes())
        asked.get("/me")
        files.key.unlink()
        asked.get("/me")
        files.renew("three.test")
        asked.get("/me")
    assert shown == ["one.test", "one.test", "two.test", "two.test", "three.test"]


def test_two_clients_of_one_certificate_both_show_it(secured: Server, files: Files, shown: list[str | None]) -> None:
    files.renew("machine.test")
    with door(secured, files, None, files.certificate) as one, door(secured, files, None, files.certificate) as other:
        one.get("/me")
        other.get("/me")
    assert shown == ["machine.test"] * 2


def test_files_that_cannot_be_used(files: Files) -> None:
    def used() -> None:
        Door("https://127.0.0.1:1", None, ca=str(files.ca), certificate=files.certificate)

    with pytest.raises(Invalid, match=r"machine\.pem .* cannot be used"):
        used()
    files.renew("machine.test")
    files.cert.write_text("nonsense")
    with pytest.raises(Invalid, match="cannot be used"):
        used()
    files.renew("machine.test")
    files.key.write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes())
    with pytest.raises(Invalid, match="cannot be used"):
        used()
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    best = serialization.BestAvailableEncryption(b"hush")
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, best))
    with pytest.raises(Invalid, match="encrypted"):
        used()


def test_where_it_is_found(tmp_path: Path, files: Files) -> None:
    names = {"KEYWRIGHT_CLIENT_CERT": str(files.cert), "KEYWRIGHT_CLIENT_KEY": str(files.key)}
    found = discover(HTTPS, environ=around(tmp_path, **names))
    assert (found.certificate, found.token) == (files.certificate, None)
    found = discover(HTTPS, "kw_x", environ=around(tmp_path, **names))
    assert found.certificate == files.certificate
    assert found.token
    assert found.token() == "kw_x"
    assert discover(HTTPS, certificate=Certificate("mine"), environ=around(tmp_path, **names)).certificate == (
        Certificate("mine")
    )
    with pytest.raises(Unauthenticated):  # without TLS there is no certificate
        discover("http://127.0.0.1:1", environ=around(tmp_path, **names))
    with pytest.raises(Invalid, match="KEYWRIGHT_CLIENT_CERT"):
        discover(HTTPS, "kw_x", environ=around(tmp_path, KEYWRIGHT_CLIENT_KEY="x"))


def test_an_application_needs_no_token(secured: Server, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.renew("machine.test")
    monkeypatch.setenv("KEYWRIGHT_CLIENT_CERT", str(files.cert))
    monkeypatch.setenv("KEYWRIGHT_CLIENT_KEY", str(files.key))
    secured.values = {"a": "b"}
    with Client(secured.address, environment="development", ca=str(files.ca)) as client:
        assert client.value("a") == "b"
