"""What every store does, run over every store; the last part over those that take values back.

A subject is a store with hands that reach behind it: put a text where a reference finds it, and make
references that are absent, refused or unusable.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from providers.stores.aws import AwsSecretsStore
from providers.stores.env import EnvStore
from providers.stores.file import FileStore
from providers.stores.vault import VaultStore
from providers.vault_login import AppRoleLogin, TokenLogin, VaultSession
from service.core.errors import (
    Conflict,
    KeywrightError,
    StoreAbsent,
    StoreError,
    StoreMalformed,
    StoreRefused,
    StoreUnreachable,
)
from service.core.reference import Reference, Store, select
from service.core.secret import Secret
from tests.rigs.fake_store import FakeStore
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.ports import free_port, silent_port

READABLE = ["fake", "vault-2", "vault-1", "aws-sm", "env", "file"]
WRITABLE = ["fake", "vault-2", "vault-1", "aws-sm"]
VERSIONED = ["fake", "vault-2", "aws-sm"]
REMOTE = ["vault-2", "vault-1", "aws-sm"]


@dataclass
class Subject:
    """A store under test."""

    store: Any
    put: Callable[[str], Reference]
    """Put a JSON text where only the returned reference finds it."""
    change: Callable[[Reference, str], None]
    """Somebody else puts another text there."""
    absent: Reference
    refused: Reference
    unusable: Reference
    at: Callable[[int], Store] = field(default=lambda port: pytest.fail("this store has no address"))
    """The same kind of store, told to use another port of this machine."""


def _unique() -> str:
    return f"contract-{uuid.uuid4().hex}"


def _fake() -> Subject:
    store, refused, unusable = FakeStore(), _unique(), _unique()
    store.refused.add(refused)
    store.unusable.add(unusable)

    def put(text: str) -> Reference:
        reference = Reference("vault", _unique())
        store.put(reference.location, text)
        return reference

    return Subject(
        store,
        put,
        lambda reference, text: store.put(reference.location, text),
        absent=Reference("vault", _unique()),
        refused=Reference("vault", refused),
        unusable=Reference("vault", unusable),
    )


def _vault(bao: OpenBao, kv: int) -> Subject:
    mount, data = ("secret", "secret/data") if kv == 2 else ("old", "old")
    verbs = ["create", "read", "update"]
    policy = bao.policy(f"contract-{kv}", {f"{data}/open/*": verbs, "transit/keys/open": ["read"]})
    session = VaultSession(bao.address, AppRoleLogin(*bao.approle(f"contract-{kv}", [policy])))

    def change(reference: Reference, text: str) -> None:
        path = reference.location.removeprefix(f"{mount}/")
        bao.api("POST", f"{data}/{path}", {"data": json.loads(text)} if kv == 2 else json.loads(text))

    def put(text: str) -> Reference:
        reference = Reference("vault", f"{mount}/open/{_unique()}")
        change(reference, text)
        return reference

    return Subject(
        VaultStore(session),
        put,
        change,
        absent=Reference("vault", f"{mount}/open/{_unique()}"),
        refused=Reference("vault", f"{mount}/closed/{_unique()}"),
        unusable=Reference("vault", "transit/keys/open"),
        at=lambda port: VaultStore(
            VaultSession(f"http://127.0.0.1:{port}", TokenLogin(Secret("a-token")), timeout=0.3), {mount: kv}
        ),
    )


def _aws(aws: Aws) -> Subject:
    client, binary, closed = aws.client("secretsmanager"), _unique(), f"closed-{_unique()}"
    client.create_secret(Name=binary, SecretBinary=b"\x00\x01")
    client.create_secret(Name=closed, SecretString="{}")

    def put(text: str) -> Reference:
        reference = Reference("aws-sm", _unique())
        client.create_secret(Name=reference.location, SecretString=text)
        return reference

    return Subject(
        _OpenAndClosed(
            AwsSecretsStore(aws.session("secretsmanager")),
            AwsSecretsStore(aws.session("secretsmanager", aws.nobody)),
        ),
        put,
        lambda reference, text: client.put_secret_value(SecretId=reference.location, SecretString=text),
        absent=Reference("aws-sm", _unique()),
        refused=Reference("aws-sm", closed),
        unusable=Reference("aws-sm", binary),
        at=lambda port: AwsSecretsStore(_aws_at(aws, port)),
    )


class _OpenAndClosed:
    """moto judges actions, not single secrets: what begins with `closed-` is asked for as a user without any right."""

    def __init__(self, allowed: AwsSecretsStore, nobody: AwsSecretsStore) -> None:
        self._stores = (allowed, nobody)

    def __getattr__(self, operation: str) -> Any:
        def call(reference: Reference, *arguments: Any) -> Any:
            return getattr(self._stores[reference.location.startswith("closed-")], operation)(reference, *arguments)

        return call


def _aws_at(aws: Aws, port: int) -> Any:
    from providers.aws_session import AwsSession

    return AwsSession(
        "secretsmanager",
        aws.region,
        endpoint_url=f"http://127.0.0.1:{port}",
        keys=aws.allowed,
        timeout=0.3,
        attempts=1,
    )


def _env() -> Subject:
    environment = {"OTHER": "x", "OPEN_BYTES": "\udcff"}

    def change(reference: Reference, text: str) -> None:
        environment[reference.location] = text

    def put(text: str) -> Reference:
        reference = Reference("env", f"OPEN_{_unique()}")
        change(reference, text)
        return reference

    return Subject(
        EnvStore(environment, ("OPEN_*",)),
        put,
        change,
        absent=Reference("env", "OPEN_UNSET"),
        refused=Reference("env", "OTHER"),
        unusable=Reference("env", "OPEN_BYTES"),
    )


def _file(folder: Path) -> Subject:
    (folder / "open").mkdir()
    (folder / "open" / "bytes").write_bytes(b"\xff\xfe")
    (folder / "outside").write_text("{}")

    def change(reference: Reference, text: str) -> None:
        (folder / "open" / reference.location).write_text(text + "\n")

    def put(text: str) -> Reference:
        reference = Reference("file", _unique())
        change(reference, text)
        return reference

    return Subject(
        FileStore([folder / "open"]),
        put,
        change,
        absent=Reference("file", "nothing"),
        refused=Reference("file", str(folder / "outside")),
        unusable=Reference("file", "bytes"),
    )


@pytest.fixture(name="make", scope="module")
def make_fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Each subject is made once, when it is first asked for."""
    made: dict[str, Subject] = {}
    makers: dict[str, Callable[[], Subject]] = {
        "fake": _fake,
        "vault-2": lambda: _vault(request.getfixturevalue("bao"), 2),
        "vault-1": lambda: _vault(request.getfixturevalue("bao"), 1),
        "aws-sm": lambda: _aws(request.getfixturevalue("aws")),
        "env": _env,
        "file": lambda: _file(tmp_path_factory.mktemp("store")),
    }

    def make(name: str) -> Subject:
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    return make


@pytest.fixture(name="subject")
def subject_fixture(request: pytest.FixtureRequest, make: Callable[[str], Subject]) -> Subject:
    return make(request.param)


every = pytest.mark.parametrize("subject", READABLE, indirect=True)
writable = pytest.mark.parametrize("subject", WRITABLE, indirect=True)
versioned = pytest.mark.parametrize("subject", VERSIONED, indirect=True)
remote = pytest.mark.parametrize("subject", REMOTE, indirect=True)

HELD = {"username": "shop", "password": "s3cret-välue", "port": 5432, "tls": {"ca": "pem", "on": True}}
TEXT = json.dumps(HELD)


def _value(subject: Subject, reference: Reference) -> Any:
    return json.loads(subject.store.read(reference).value.reveal())


@every
def test_what_is_there_is_read_whole(subject: Subject) -> None:
    reference = subject.put(TEXT)
    assert _value(subject, reference) == HELD


@every
def test_keys_can_be_selected_in_what_was_read(subject: Subject) -> None:
    reference = subject.put(TEXT)
    reading = subject.store.read(reference)
    for key, expected in {"password": "s3cret-välue", "port": "5432", "/tls/ca": "pem"}.items():
        chosen = Reference(reference.store, reference.location, key)
        assert select(reading, chosen).reveal() == expected


@every
def test_a_change_made_elsewhere_is_seen_at_the_next_read(subject: Subject) -> None:
    reference = subject.put(TEXT)
    subject.store.read(reference)
    subject.change(reference, '{"password":"another"}')
    assert _value(subject, reference) == {"password": "another"}


@pytest.mark.parametrize("subject", [*VERSIONED, "file"], indirect=True)
def test_versions_stay_while_the_value_stays_and_change_with_it(subject: Subject) -> None:
    reference = subject.put(TEXT)
    first = subject.store.read(reference).version
    assert first is not None
    assert subject.store.read(reference).version == first
    subject.change(reference, '{"password":"another"}')
    assert subject.store.read(reference).version != first


@every
@pytest.mark.parametrize(
    ("which", "error"), [("absent", StoreAbsent), ("refused", StoreRefused), ("unusable", StoreMalformed)]
)
def test_what_cannot_be_read_is_named_with_its_reason(
    subject: Subject, which: str, error: type[KeywrightError]
) -> None:
    reference = getattr(subject, which)
    with pytest.raises(StoreError) as caught:
        subject.store.read(reference)
    assert type(caught.value) is error
    assert str(reference) in caught.value.message
    assert caught.value.store == reference.store


@remote
def test_a_closed_port_is_unreachable(subject: Subject) -> None:
    with pytest.raises(StoreUnreachable):
        subject.at(free_port()).read(subject.absent)


@remote
def test_a_server_that_never_answers_is_unreachable(subject: Subject) -> None:
    with silent_port() as port, pytest.raises(StoreUnreachable):
        subject.at(port).read(subject.absent)


def test_the_fake_can_be_unreachable_too() -> None:
    subject = _fake()
    reference = subject.put(TEXT)
    subject.store.down = True
    with pytest.raises(StoreUnreachable):
        subject.store.read(reference)


# Stores that take values back


@writable
def test_what_is_written_is_read_and_other_keys_are_left_alone(subject: Subject) -> None:
    reference = subject.put(TEXT)
    version = subject.store.read(reference).version
    written = subject.store.write(reference, {"password": Secret("new"), "extra": Secret("more")}, version)
    assert _value(subject, reference) == HELD | {"password": "new", "extra": "more"}
    assert subject.store.read(reference).version == (written or None)


@versioned
def test_nothing_is_written_over_what_changed_since_it_was_read(subject: Subject) -> None:
    reference = subject.put(TEXT)
    version = subject.store.read(reference).version
    subject.change(reference, '{"password":"theirs"}')
    with pytest.raises(Conflict) as caught:
        subject.store.write(reference, {"password": Secret("ours")}, version)
    assert "ours" not in caught.value.message
    assert _value(subject, reference) == {"password": "theirs"}


@writable
def test_a_write_whose_reply_was_lost_can_be_repeated(subject: Subject) -> None:
    reference = subject.put(TEXT)
    version = subject.store.read(reference).version
    first = subject.store.write(reference, {"password": Secret("new")}, version)
    assert subject.store.write(reference, {"password": Secret("new")}, version) == first
    assert subject.store.read(reference).version == (first or None)


@writable
def test_writes_follow_one_another(subject: Subject) -> None:
    reference = subject.put(TEXT)
    version = subject.store.read(reference).version
    for password in ("one", "two", "three"):
        version = subject.store.write(reference, {"password": Secret(password)}, version)
        assert _value(subject, reference)["password"] == password


@writable
@pytest.mark.parametrize(
    ("which", "error"), [("absent", StoreAbsent), ("refused", StoreRefused), ("unusable", StoreMalformed)]
)
def test_what_cannot_be_written_is_named_with_its_reason(
    subject: Subject, which: str, error: type[KeywrightError]
) -> None:
    with pytest.raises(StoreError) as caught:
        subject.store.write(getattr(subject, which), {"password": Secret("hush")}, None)
    assert type(caught.value) is error
    assert "hush" not in caught.value.message


@remote
def test_a_write_to_a_closed_port_is_unreachable(subject: Subject) -> None:
    with pytest.raises(StoreUnreachable):
        subject.at(free_port()).write(subject.absent, {"password": Secret("new")}, None)  # type: ignore[attr-defined]


@writable
def test_nobody_else_rotates_it(subject: Subject) -> None:
    assert subject.store.turned_elsewhere(subject.put(TEXT)) is False
