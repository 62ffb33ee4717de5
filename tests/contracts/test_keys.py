"""What every key wrapper does, run over every home of a master key."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from providers.aws_session import AwsSession
from providers.keys import file
from providers.keys.aes import encoded
from providers.keys.aws_kms import AwsKmsKey
from providers.keys.env import EnvKey
from providers.keys.file import FileKey
from providers.keys.transit import TransitKey
from providers.vault_login import AppRoleLogin, TokenLogin, VaultSession
from service.core.errors import KeyMissing, KeyUnreachable, KeyWrong
from service.core.keyring import KeyWrapper
from service.core.sealed import data_key_context
from service.core.secret import Secret
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.ports import free_port, silent_port

HERE, ELSEWHERE = data_key_context("environment-1", 1), data_key_context("environment-1", 2)


@dataclass
class Subject:
    """A wrapper, one of the same kind with another master key, and one that names a key which is not there."""

    wrapper: KeyWrapper
    other: KeyWrapper
    missing: KeyWrapper
    name: str
    at: Callable[[int], KeyWrapper] = field(default=lambda port: pytest.fail("this wrapper has no address"))


def _file(folder: Path) -> Subject:
    file.create(folder / "one", secrets.token_bytes)
    file.create(folder / "two", secrets.token_bytes)
    one, two, three = (FileKey(folder / name, secrets.token_bytes) for name in ("one", "two", "three"))
    return Subject(one, two, three, f"file:{folder / 'one'}")


def _env() -> Subject:
    environment = {name: encoded(secrets.token_bytes(32)).reveal() for name in ("ONE", "TWO")}
    one, two, three = (EnvKey(environment, name, secrets.token_bytes) for name in ("ONE", "TWO", "THREE"))
    return Subject(one, two, three, "env:ONE")


def _kms(aws: Aws) -> Subject:
    client, session = aws.client("kms"), aws.session("kms")
    one, two = (client.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    absent = one.rpartition("/")[0] + "/" + str(uuid.uuid4())

    def at(port: int) -> KeyWrapper:
        url = f"http://127.0.0.1:{port}"
        elsewhere = AwsSession("kms", aws.region, endpoint_url=url, keys=aws.allowed, timeout=0.3, attempts=1)
        return AwsKmsKey(elsewhere, one)

    one_key, two_key, no_key = (AwsKmsKey(session, arn) for arn in (one, two, absent))
    return Subject(one_key, two_key, no_key, f"aws-kms:{one}", at)


def _transit(bao: OpenBao) -> Subject:
    for name in ("one", "two"):
        bao.api("POST", f"transit/keys/{name}")
    # `create` on encrypt would let the engine make the key "three": the wrapper must notice before.
    rules = {
        "transit/keys/*": ["read"],
        "transit/encrypt/*": ["create", "update"],
        "transit/decrypt/*": ["update"],
    }
    role = bao.approle("contract-keys", [bao.policy("contract-keys", rules)])
    session = VaultSession(bao.address, AppRoleLogin(*role))

    def at(port: int) -> KeyWrapper:
        return TransitKey(VaultSession(f"http://127.0.0.1:{port}", TokenLogin(Secret("a-token")), timeout=0.3), "one")

    one, two, three = (TransitKey(session, name) for name in ("one", "two", "three"))
    return Subject(one, two, three, "transit:transit/one", at)


@pytest.fixture(name="make", scope="module")
def make_fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Each subject is made once, when it is first asked for."""
    made: dict[str, Subject] = {}
    makers: dict[str, Callable[[], Subject]] = {
        "file": lambda: _file(tmp_path_factory.mktemp("keys")),
        "env": _env,
        "aws-kms": lambda: _kms(request.getfixturevalue("aws")),
        "transit": lambda: _transit(request.getfixturevalue("bao")),
    }

    def make(name: str) -> Subject:
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    return make


@pytest.fixture(name="subject")
def subject_fixture(request: pytest.FixtureRequest, make: Callable[[str], Subject]) -> Subject:
    return make(request.param)


every = pytest.mark.parametrize("subject", ["file", "env", "aws-kms", "transit"], indirect=True)
remote = pytest.mark.parametrize("subject", ["aws-kms", "transit"], indirect=True)


@every
def test_what_was_wrapped_is_unwrapped(subject: Subject) -> None:
    data_key = secrets.token_bytes(32)
    wrapped = subject.wrapper.wrap(data_key, HERE)
    assert data_key not in wrapped
    assert subject.wrapper.unwrap(wrapped, HERE) == data_key


@every
def test_two_wraps_of_the_same_key_differ(subject: Subject) -> None:
    data_key = secrets.token_bytes(32)
    assert subject.wrapper.wrap(data_key, HERE) != subject.wrapper.wrap(data_key, HERE)


@every
def test_another_context_does_not_open_it(subject: Subject) -> None:
    wrapped = subject.wrapper.wrap(secrets.token_bytes(32), HERE)
    with pytest.raises(KeyWrong):
        subject.wrapper.unwrap(wrapped, ELSEWHERE)


@every
def test_another_master_key_does_not_open_it(subject: Subject) -> None:
    wrapped = subject.wrapper.wrap(secrets.token_bytes(32), HERE)
    with pytest.raises(KeyWrong):
        subject.other.unwrap(wrapped, HERE)


@every
@pytest.mark.parametrize("damage", ["first", "last", "cut", "stump", "empty"])
def test_a_damaged_one_does_not_open(subject: Subject, damage: str) -> None:
    wrapped = subject.wrapper.wrap(secrets.token_bytes(32), HERE)
    damaged = {
        "first": bytes([wrapped[0] ^ 1]) + wrapped[1:],
        "last": wrapped[:-6] + (b"AAAAAA" if wrapped[-6:] != b"AAAAAA" else b"BBBBBB"),
        "cut": wrapped[:-8],
        "stump": wrapped[:4],
        "empty": b"",
    }[damage]
    with pytest.raises(KeyWrong):
        subject.wrapper.unwrap(damaged, HERE)


@every
def test_a_master_key_that_is_not_there_is_missing(subject: Subject) -> None:
    wrapped = subject.wrapper.wrap(secrets.token_bytes(32), HERE)
    with pytest.raises(KeyMissing):
        subject.missing.wrap(secrets.token_bytes(32), HERE)
    with pytest.raises(KeyMissing):
        subject.missing.unwrap(wrapped, HERE)


@every
def test_its_name_tells_which_key_it_is(subject: Subject) -> None:
    assert subject.wrapper.name == subject.name


@remote
def test_a_closed_port_is_unreachable(subject: Subject) -> None:
    with pytest.raises(KeyUnreachable):
        subject.at(free_port()).wrap(secrets.token_bytes(32), HERE)


@remote
def test_a_server_that_never_answers_is_unreachable(subject: Subject) -> None:
    with silent_port() as port, pytest.raises(KeyUnreachable):
        subject.at(port).unwrap(subject.wrapper.wrap(secrets.token_bytes(32), HERE), HERE)
