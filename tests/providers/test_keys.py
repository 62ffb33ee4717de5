"""What is particular to single key wrappers: how a file comes to be, what is refused, what KMS and transit need."""

import os
import secrets
from pathlib import Path

import pytest

from providers.aws_session import AwsSession
from providers.keys.aes import encoded
from providers.keys.aws_kms import AwsKmsKey
from providers.keys.env import EnvKey
from providers.keys.file import FileKey, create
from providers.keys.transit import TransitKey
from providers.vault_login import TokenLogin, VaultSession
from service.core.errors import KeyMissing, KeyWrong
from service.core.sealed import data_key_context
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.stub import Answer, stub

HERE = data_key_context("environment-1", 1)
DATA_KEY = bytes(range(32))


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        create(tmp_path / "key", secrets.token_bytes)
    finally:
        os.umask(former)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    create(tmp_path / "key", secrets.token_bytes)
    before = (tmp_path / "key").read_text()
    with pytest.raises(FileExistsError):
        create(tmp_path / "key", secrets.token_bytes)
    assert (tmp_path / "key").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_link_that_leads_nowhere_is_not_followed_when_a_key_is_made(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create(tmp_path / "key", secrets.token_bytes)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_key_that_others_may_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    create(path := tmp_path / "key", secrets.token_bytes)
    path.chmod(mode)
    with pytest.raises(KeyWrong, match=f"chmod 600 {path}"):
        FileKey(path, secrets.token_bytes).wrap(DATA_KEY, HERE)


def test_a_key_that_is_only_readable_will_do(tmp_path: Path) -> None:
    create(path := tmp_path / "key", secrets.token_bytes)
    path.chmod(0o400)
    wrapper = FileKey(path, secrets.token_bytes)
    assert wrapper.unwrap(wrapper.wrap(DATA_KEY, HERE), HERE) == DATA_KEY


@pytest.mark.parametrize("text", ["c2hvcnQ=", "not base64!", "é" * 44, encoded(bytes(33)).reveal()])
def test_what_is_no_key_is_wrong_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    for wrapper in (FileKey(path, secrets.token_bytes), EnvKey({"KEY": text}, "KEY", secrets.token_bytes)):
        with pytest.raises(KeyWrong, match="32 bytes") as caught:
            wrapper.wrap(DATA_KEY, HERE)
        assert text not in caught.value.message


def test_an_empty_environment_variable_is_a_missing_key() -> None:
    with pytest.raises(KeyMissing, match="KEY"):
        EnvKey({"KEY": " "}, "KEY", secrets.token_bytes).wrap(DATA_KEY, HERE)


def test_the_same_key_in_a_file_and_in_the_environment_opens_the_same(tmp_path: Path) -> None:
    create(path := tmp_path / "key", secrets.token_bytes)
    wrapped = FileKey(path, secrets.token_bytes).wrap(DATA_KEY, HERE)
    assert EnvKey({"KEY": path.read_text()}, "KEY", secrets.token_bytes).unwrap(wrapped, HERE) == DATA_KEY


def test_kms_without_permission_is_a_missing_key(aws: Aws) -> None:
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    wrapped = AwsKmsKey(aws.session("kms"), arn).wrap(DATA_KEY, HERE)
    refused = AwsKmsKey(aws.session("kms", aws.nobody), arn)
    for attempt in (lambda: refused.wrap(DATA_KEY, HERE), lambda: refused.unwrap(wrapped, HERE)):
        with pytest.raises(KeyMissing, match="kms:Decrypt"):
            attempt()


@pytest.mark.parametrize(
    "code",
    ["DisabledException", "KMSInvalidStateException", "UnrecognizedClientException", "AccessDeniedException"],
)
def test_a_kms_key_out_of_service_is_missing(aws: Aws, code: str) -> None:
    with stub(lambda _: Answer(400, {"__type": code})) as (address, _):
        wrapper = AwsKmsKey(AwsSession("kms", aws.region, endpoint_url=address, keys=aws.allowed), "key")
        with pytest.raises(KeyMissing, match="enabled"):
            wrapper.unwrap(b"wrapped", HERE)


def _transit(bao: OpenBao, key: str, *policies: str) -> TransitKey:
    token = bao.token(*policies) if policies else bao.root_token
    return TransitKey(VaultSession(bao.address, TokenLogin(token)), key)


def test_transit_never_makes_a_key_by_itself(bao: OpenBao) -> None:
    bao.api("POST", "transit/keys/made")
    with pytest.raises(KeyMissing):
        _transit(bao, "unmade").wrap(DATA_KEY, HERE)
    keys = bao.api("LIST", "transit/keys")["data"]["keys"]
    assert "made" in keys
    assert "unmade" not in keys


@pytest.mark.parametrize("options", [{"type": "rsa-2048"}, {"derived": True}, {"type": "ed25519"}])
def test_a_transit_key_that_cannot_bind_a_context_is_wrong(bao: OpenBao, options: dict[str, object]) -> None:
    name = "unfit-" + "-".join(str(value).lower() for value in options.values())
    bao.api("POST", f"transit/keys/{name}", options)
    with pytest.raises(KeyWrong, match="type"):
        _transit(bao, name).wrap(DATA_KEY, HERE)


def test_transit_without_a_policy_is_a_missing_key_with_the_policy_to_write(bao: OpenBao) -> None:
    bao.api("POST", "transit/keys/closed")
    with pytest.raises(KeyMissing, match="encrypt/closed"):
        _transit(bao, "closed", "default").wrap(DATA_KEY, HERE)


def test_what_transit_wrapped_opens_after_its_key_was_rotated(bao: OpenBao) -> None:
    bao.api("POST", "transit/keys/turned")
    wrapper = _transit(bao, "turned")
    wrapped = wrapper.wrap(DATA_KEY, HERE)
    bao.api("POST", "transit/keys/turned/rotate")
    assert wrapper.unwrap(wrapped, HERE) == DATA_KEY
