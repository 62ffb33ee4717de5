"""Promise 1 at rest: what the ledger's files hold when everything secret has been through it."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from service.core.errors import Absent
from service.core.secret import Secret
from service.core.variable import ValueKind, VersionState
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.wiring import Service
from tests.ledger.homes import Home, environment, put, token
from tests.rigs.postgresql import PostgresServer

SECRETS = {
    "literal": 'value-7f3a"ö/é?&',
    "former literal": "former-91bc!",
    "object": "inside-5d20",
    "template": "template-text-6aa1",
    "reference": "place/8c4e",
    "content": "store-content-2b6f",
    "password": "pass-word-e0d9/",
    "candidate": "candidate-4417",
    "reply": "reply-c3c3",
}
"""What must not be found, by what it was."""


def shapes(text: str) -> Iterator[bytes]:
    """A text in every form in which it could be lying around."""
    plain = text.encode()
    yield from (plain, text.encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode())
    yield from (quote(text, safe="").encode(), quote(text).encode())
    yield from (json.dumps(text)[1:-1].encode(), json.dumps(json.dumps(text))[3:-3].encode())
    for offset in range(3):  # base64 of a longer text that holds this one, at each alignment
        inner = base64.b64encode(b"\0" * offset + plain)[4 if offset else 0 :]
        yield inner.rstrip(b"=")[:-2]
        yield base64.urlsafe_b64encode(b"\0" * offset + plain)[4 if offset else 0 :].rstrip(b"=")[:-2]


def lived_through(service: Service, home: Home) -> dict[str, str]:
    """Everything secret goes in, is used, and is partly deleted; the tokens' texts beside the other secrets."""
    home.store.put(SECRETS["reference"], json.dumps({"k": SECRETS["content"]}))
    home.database.create("app", SECRETS["password"])
    environment(service)
    put(service, "shop/A", SECRETS["former literal"])
    put(service, "shop/A", SECRETS["literal"])
    put(service, "shop/O", {"x": [SECRETS["object"]]})
    put(service, "shop/R", f"vault:{SECRETS['reference']}#k", kind=ValueKind.REFERENCE)
    put(service, "shop/T", SECRETS["template"] + " ${shop/A} ${shop/R}", kind=ValueKind.TEMPLATE)
    definition = {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test", "port": 5432}],
        "database": "shop",
        "tls": {"mode": "disable"},
        "login": {"username": "app"},
    }
    wanted = registration(definition, Secret(SECRETS["password"]))
    service.keeper.connections.put(SYSTEM, "production", "shop/db", wanted, if_match=None)
    first = service.keeper.tokens.first()
    assert first is not None
    texts = {"first token": first.reveal(), "token": token(service, "shop").reveal()}
    caller = service.keeper.tokens.authenticate(texts["token"], "", "")
    service.keeper.replies.keep(caller, "key", b"request", 201, {"token": SECRETS["reply"]})
    service.keeper.values.fetch(SYSTEM, "production", Wanted(folder="shop"))
    service.keeper.credentials.one(SYSTEM, "production", "shop/db")
    with pytest.raises(Absent):
        service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A", "shop/none")))
    service.keeper.variables.set_state(SYSTEM, "production", "shop/A", 1, VersionState.DESTROYED)
    service.keeper.connections.delete(SYSTEM, "production", "shop/db", if_match=None)
    list(service.keeper.keyrings.rotate(SYSTEM, "production"))
    secret_parts = {name: text.rpartition("_")[2] if name.endswith("token") else text for name, text in texts.items()}
    return SECRETS | secret_parts


def found_in(held: bytes, secrets: dict[str, str]) -> list[str]:
    return [name for name, text in secrets.items() for shape in shapes(text) if len(shape) > 5 and shape in held]


def test_the_files_of_an_embedded_ledger_hold_no_plaintext(sqlite_home: Home) -> None:
    service = sqlite_home.service()
    secrets = lived_through(service, sqlite_home)
    files = sorted(sqlite_home.folder.glob("ledger.sqlite*"))
    assert [file.name for file in files] == ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]
    assert found_in(b"".join(file.read_bytes() for file in files), secrets) == []
    sqlite_home.close()
    assert found_in(sqlite_home.file.read_bytes(), secrets) == []
    assert b"shop/T" in sqlite_home.file.read_bytes()  # the search would have found what is there


def test_the_files_of_a_postgresql_ledger_hold_no_plaintext(pg_home: Home, ledger_server: PostgresServer) -> None:
    service = pg_home.service()
    secrets = lived_through(service, pg_home)
    ledger_server.execute("CHECKPOINT")
    name = pg_home.url.rpartition("/")[2]
    oid = ledger_server.execute(f"SELECT oid FROM pg_database WHERE datname = '{name}'")[0][0]
    data = ledger_server._ground.folder / "data"
    files = [*(data / "base" / str(oid)).iterdir(), *(data / "pg_wal").glob("0*"), ledger_server._ground.log]
    held = b"".join(file.read_bytes() for file in files)
    assert found_in(held, secrets) == []
    assert b"shop/T" in held


def test_the_search_knows_what_it_looks_for() -> None:
    """Each shape is found where it lies, also inside a longer text."""
    text = SECRETS["literal"]
    for held in (
        text.encode(),
        base64.b64encode(f"a{text}b".encode()),
        base64.urlsafe_b64encode(f"abcdef{text}".encode()),
        base64.b64encode(f"ab{text}b".encode()),
        f"x{text}".encode().hex().encode(),
        quote(f"/{text}").encode(),
        json.dumps({"a": json.dumps([text])}).encode(),
    ):
        assert found_in(b"..." + held + b"...", {"it": text}) != [], held
