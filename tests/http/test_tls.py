"""TLS on real sockets: what is spoken, certificates that are replaced, and those that clients show."""

import contextlib
import hashlib
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import trustme

from service.core.errors import Invalid
from service.http import listener, taking
from service.http.certificates import Certificates, shown
from service.serving import server_of
from service.settings import read
from service.wiring import build
from tests.http.test_wire import large, takes_slowly
from tests.rigs.keywright import running_keywrightd, wait_until
from tests.rigs.listening import Listening, Way, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Files:
    """An authority, and the files that a server reads."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.cert, self.key, self.client_ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.client_ca))
        self.renew()

    def renew(self) -> bytes:
        """A new certificate in the files; its DER."""
        made = self.authority.issue_cert("localhost", "127.0.0.1")
        self.key.write_bytes(made.private_key_pem.bytes())
        self.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())

    def client(self) -> ssl.SSLContext:
        """A client that trusts the authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@contextlib.contextmanager
def over(it: Listening, context: ssl.SSLContext) -> Iterator[tuple[Way, ssl.SSLSocket]]:
    """A connection with TLS."""
    plain = socket.create_connection(it.listener.address, timeout=30)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as encrypted:
        yield Way(encrypted), encrypted


def seen(it: Listening, context: ssl.SSLContext) -> bytes | None:
    """The certificate that a new connection is shown."""
    with over(it, context) as (_, encrypted):
        return encrypted.getpeercert(binary_form=True)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_what_is_spoken(files: Files) -> None:
    with listening(certificates=Certificates(files.cert, files.key)) as it:
        modern = files.client()
        modern.set_alpn_protocols(["h2", "http/1.1"])
        with over(it, modern) as (way, encrypted):
            assert encrypted.version() == "TLSv1.3"
            assert encrypted.selected_alpn_protocol() == "http/1.1"
            way.say(GET)
            assert way.answer().json["tls"] == {"client_cert_name": None, "client_cert_sha256": None}
        older = files.client()
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with over(it, older) as (way, encrypted):
            assert (encrypted.version(), encrypted.cipher()[0][:6]) == ("TLSv1.2", "ECDHE-")  # type: ignore[index]
            way.say(GET)
            assert way.answer().status == 200
        for suites in ("AES256-SHA:AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384"):
            older.set_ciphers(f"{suites}:@SECLEVEL=0")
            with pytest.raises(ssl.SSLError), over(it, older):
                pass
        oldest = files.client()
        oldest.set_ciphers("ALL:@SECLEVEL=0")
        oldest.minimum_version = oldest.maximum_version = ssl.TLSVersion.TLSv1_1  # warned of: that is the point
        with pytest.raises(ssl.SSLError), over(it, oldest):
            pass


def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LOOKS_EVERY", 1)
    with listening(certificates=Certificates(files.cert, files.key)) as it:
        context = files.client()
        with over(it, context) as (way, encrypted):
            before = encrypted.getpeercert(binary_form=True)
            after = files.renew()
            wait_until(lambda: seen(it, context) == after, "the new certificate is not shown")
            assert encrypted.getpeercert(binary_form=True) == before != after
            way.say(GET)
            assert way.answer().status == 200


def test_a_certificate_that_cannot_be_used_is_left_alone(files: Files) -> None:
    certificates = Certificates(files.cert, files.key)
    with listening(certificates=certificates) as it:
        context = files.client()
        before = seen(it, context)
        good = files.key.read_bytes()
        other = trustme.CA().issue_cert("localhost").private_key_pem.bytes()
        for broken, said in (
            (other, "is not the key of the certificate"),
            (b"nonsense", "no certificate chain and key"),
        ):
            files.key.write_bytes(broken)
            certificates.look()
            assert said in certificates.problem
            assert "stays in use" in certificates.problem
            assert seen(it, context) == before
        files.key.unlink()
        certificates.look()
        assert "cannot be read" in certificates.problem
        assert seen(it, context) == before
        files.key.write_bytes(good)
        certificates.look()
        assert certificates.problem == ""


def test_readyz_tells_of_it(files: Files, tmp_path: Path) -> None:
    certificates = Certificates(files.cert, files.key)
    files.key.write_bytes(b"nonsense")
    certificates.look()
    service = build(read({}, data=tmp_path / "data"))
    try:
        app = server_of(service, "127.0.0.1", 0, certificates).app
        with listening(app) as it:
            answer = it.sent(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert any("stays in use" in sentence for sentence in answer.json["warnings"])
    finally:
        service.close()


def test_files_that_cannot_be_used_keep_the_server_from_beginning(files: Files, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"KEYWRIGHT_TLS_CERT: .* cannot be read"):
        Certificates(tmp_path / "nowhere.pem", files.key)
    with pytest.raises(Invalid, match=r"KEYWRIGHT_TLS_CLIENT_CA: .* holds no certificate"):
        Certificates(files.cert, files.key, files.key)
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
    with pytest.raises(Invalid, match="is not the key of the certificate"):
        Certificates(files.cert, other)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(_encrypted(files.key.read_bytes()))
    with pytest.raises(Invalid, match="the key is encrypted"):
        Certificates(files.cert, encrypted)


def _encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    read_ = s.load_pem_private_key(key, None)
    return read_.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"hush"))


def test_a_client_is_known_by_its_certificate(files: Files) -> None:
    with listening(certificates=Certificates(files.cert, files.key, files.client_ca)) as it:
        for names, common, told in (
            (("machine.test",), None, "machine.test"),
            (("10.0.0.1",), "shop", "shop"),
        ):
            mine = files.authority.issue_cert(*names, common_name=common)
            context = files.client()
            mine.configure_cert(context)
            with over(it, context) as (way, _):
                way.say(GET)
                tls = way.answer().json["tls"]
            der = ssl.PEM_cert_to_DER_cert(mine.cert_chain_pems[0].bytes().decode())
            assert tls == {"client_cert_name": told, "client_cert_sha256": hashlib.sha256(der).hexdigest()}
        with over(it, files.client()) as (way, _):
            way.say(GET)
            assert way.answer().json["tls"] == {"client_cert_name": None, "client_cert_sha256": None}


def test_a_certificate_of_another_authority_ends_the_connection(files: Files) -> None:
    with listening(certificates=Certificates(files.cert, files.key, files.client_ca)) as it:
        context = files.client()
        trustme.CA().issue_cert("machine.test").configure_cert(context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _asked(it, context)


def _asked(it: Listening, context: ssl.SSLContext) -> int:
    with over(it, context) as (way, _):
        way.say(GET)
        return way.answer().status


def test_a_name_is_a_uri_before_anything_else() -> None:
    class Connection:
        def getpeercert(self, binary_form: bool = False) -> object:
            names = (("DNS", "machine.test"), ("URI", "spiffe://test/shop"))
            return b"DER" if binary_form else {"subjectAltName": names, "subject": ((("commonName", "shop"),),)}

    assert shown(Connection())["client_cert_name"] == "spiffe://test/shop"


def test_who_never_shakes_hands_is_sent_away(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_WITHIN", 0.2)
    with listening(certificates=Certificates(files.cert, files.key), most=10) as it:
        silent = [it.way() for _ in range(10)]
        assert all(way.ended for way in silent)
        talking = it.way()
        talking.say(GET)
        assert talking.rest()[:4] != b"HTTP"
        assert seen(it, files.client())


def test_handshakes_that_do_not_end_give_way_and_connections_do_not(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_WITHIN", 600)
    with listening(certificates=Certificates(files.cert, files.key), most=10) as it:
        context = files.client()
        with over(it, context) as (good, _):
            good.say(GET)
            assert good.answer().status == 200
            silent = [it.way() for _ in range(9)]
            wait_until(lambda: len(it.listener._opening) == 9, "they have not come")
            wait_until(lambda: _comes_in(it, context), "nobody is let in")
            assert silent[0].ended
            good.say(GET)
            assert good.answer().status == 200
            assert len(it.listener.connections) + len(it.listener._opening) <= 10


def _comes_in(it: Listening, context: ssl.SSLContext) -> bool:
    try:
        return _asked(it, context) == 200
    except (ssl.SSLError, OSError):
        return False


def test_only_so_many_handshakes_are_under_way(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_WITHIN", 600)
    with listening(certificates=Certificates(files.cert, files.key), most=100) as it:
        with over(it, files.client()) as (good, _):
            good.say(GET)
            assert good.answer().status == 200
            silent = [it.way() for _ in range(40)]
            assert all(way.ended for way in silent[:15])
            wait_until(lambda: len(it.listener._opening) == 25, "they are not as many")
            good.say(GET)
            assert good.answer().status == 200
        assert _asked(it, files.client()) == 200
        assert silent[15].ended


def test_who_takes_slowly_is_left_alone_until_it_takes_nothing(files: Files) -> None:
    with listening(large, certificates=Certificates(files.cert, files.key)) as it, over(it, files.client()) as (way, _):
        takes_slowly(it, way)


def test_who_takes_slowly_is_seen_where_as_much_is_left_as_before(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking.Taking, "_queued", lambda _: 1)
    with listening(large, certificates=Certificates(files.cert, files.key)) as it, over(it, files.client()) as (way, _):
        takes_slowly(it, way)


def test_the_command_reads_its_certificate_again_when_asked(files: Files) -> None:
    tls = {"KEYWRIGHT_TLS_CERT": str(files.cert), "KEYWRIGHT_TLS_KEY": str(files.key)}
    with running_keywrightd(verify=files.client(), **tls) as it:
        it.tell(signal.SIGHUP)
        wait_until(lambda: "the certificate was read again" in it.stderr, "SIGHUP was not heard")
        assert httpx2.get(f"{it.url}/readyz", verify=files.client(), trust_env=False).status_code == 200
