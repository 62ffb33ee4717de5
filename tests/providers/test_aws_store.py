"""What is particular to AWS Secrets Manager: labels that move, crashes between the steps, error codes."""

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest

from providers.aws_session import AwsKeys, AwsSession, AwsUnreachable
from providers.stores.aws import AwsSecretsStore
from service.core.errors import Conflict, StoreAbsent, StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reference
from service.core.secret import Secret
from tests.rigs.moto import REGION, Aws
from tests.rigs.stub import Answer, stub


class Meddled:
    """A session in which something happens around one operation."""

    def __init__(self, inner: AwsSession, operation: str) -> None:
        self._inner, self._operation = inner, operation

    def before(self) -> None:
        """Something happens before the call."""

    def after(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Something happens to the answer."""
        return answer

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation != self._operation:
            return self._inner.call(operation, **arguments)
        self.before()
        return self.after(self._inner.call(operation, **arguments))


def _placed(aws: Aws, text: str = '{"username":"u","password":"old"}') -> tuple[Reference, str]:
    reference = Reference("aws-sm", f"store/{uuid.uuid4().hex}")
    made = aws.client("secretsmanager").create_secret(Name=reference.location, SecretString=text)
    return reference, made["VersionId"]


def _stages(aws: Aws, reference: Reference) -> dict[str, set[str]]:
    described = aws.client("secretsmanager").describe_secret(SecretId=reference.location)
    return {version: set(stages) for version, stages in described["VersionIdsToStages"].items()}


def _store(aws: Aws) -> AwsSecretsStore:
    return AwsSecretsStore(aws.session("secretsmanager"))


def _password(aws: Aws, reference: Reference) -> str:
    return str(json.loads(_store(aws).read(reference).value.reveal())["password"])


def test_an_arn_is_a_location_too(aws: Aws) -> None:
    reference, _ = _placed(aws)
    arn = aws.client("secretsmanager").describe_secret(SecretId=reference.location)["ARN"]
    assert _store(aws).read(Reference("aws-sm", arn)).value == _store(aws).read(reference).value


def test_the_former_version_stays_behind_as_previous(aws: Aws) -> None:
    reference, old = _placed(aws)
    new = _store(aws).write(reference, {"password": Secret("new")}, old)
    stages = _stages(aws, reference)
    assert "AWSCURRENT" in stages[new]
    assert stages[old] == {"AWSPREVIOUS"}
    before = AwsSecretsStore(aws.session("secretsmanager"), stage="AWSPREVIOUS")
    assert before.read(reference).version == old


@pytest.mark.parametrize("operation", ["put_secret_value", "update_secret_version_stage"])
def test_a_label_that_moved_meanwhile_is_not_taken_back(aws: Aws, operation: str) -> None:
    reference, old = _placed(aws)

    class Theirs(Meddled):
        def before(self) -> None:
            self._operation = ""  # once
            aws.client("secretsmanager").put_secret_value(
                SecretId=reference.location, SecretString='{"password":"theirs"}'
            )

    meddled: Any = Theirs(aws.session("secretsmanager"), operation)
    with pytest.raises(Conflict):
        AwsSecretsStore(meddled).write(reference, {"password": Secret("ours")}, old)
    assert _password(aws, reference) == "theirs"
    assert not any("AWSPENDING" in stages for stages in _stages(aws, reference).values())


@pytest.mark.parametrize("operation", ["put_secret_value", "update_secret_version_stage"])
def test_a_write_that_lost_a_reply_is_completed_by_the_next(aws: Aws, operation: str) -> None:
    reference, old = _placed(aws)

    class Lost(Meddled):
        def after(self, answer: dict[str, Any]) -> dict[str, Any]:
            raise AwsUnreachable("the reply was lost")

    meddled: Any = Lost(aws.session("secretsmanager"), operation)
    with pytest.raises(StoreUnreachable):
        AwsSecretsStore(meddled).write(reference, {"password": Secret("new")}, old)
    new = _store(aws).write(reference, {"password": Secret("new")}, old)
    assert _password(aws, reference) == "new"
    stages = _stages(aws, reference)
    assert "AWSCURRENT" in stages[new]
    assert not any("AWSPENDING" in held for version, held in stages.items() if version != new)


def test_what_is_not_read_back_as_written_is_not_made_current(aws: Aws) -> None:
    reference, old = _placed(aws)

    class Garbled(Meddled):
        def after(self, answer: dict[str, Any]) -> dict[str, Any]:
            return answer if answer["VersionId"] == old else {**answer, "SecretString": "{}"}

    meddled: Any = Garbled(aws.session("secretsmanager"), "get_secret_value")
    with pytest.raises(StoreMalformed):
        AwsSecretsStore(meddled).write(reference, {"password": Secret("new")}, old)
    assert _password(aws, reference) == "old"


def test_a_secret_that_aws_rotates_is_told(aws: Aws) -> None:
    reference, _ = _placed(aws)
    aws.client("secretsmanager").rotate_secret(
        SecretId=reference.location, RotationRules={"AutomaticallyAfterDays": 30}, RotateImmediately=False
    )
    assert _store(aws).turned_elsewhere(reference) is True


def test_a_secret_that_is_being_deleted_is_absent(aws: Aws) -> None:
    reference, _ = _placed(aws)
    aws.client("secretsmanager").delete_secret(SecretId=reference.location)
    with pytest.raises(StoreAbsent):
        _store(aws).read(reference)


@pytest.mark.parametrize("unknown", [True, False])
def test_bad_credentials_are_refused(aws: Aws, unknown: bool) -> None:
    reference, _ = _placed(aws)
    name = "AKIAUNKNOWNUNKNOWN00" if unknown else aws.allowed.access_key_id
    session = aws.session("secretsmanager", AwsKeys(name, Secret("wrong-key")))
    with pytest.raises(StoreRefused, match="credentials") as caught:
        AwsSecretsStore(session).read(reference)
    assert "wrong-key" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "ThrottlingException", StoreUnreachable),
        (400, "DecryptionFailure", StoreRefused),
        (400, "ExpiredTokenException", StoreRefused),
        (500, "InternalServiceError", StoreUnreachable),
        (503, "", StoreUnreachable),
    ],
)
def test_codes_that_a_rig_does_not_give(status: int, code: str, error: type[Exception]) -> None:
    with stub(lambda _: Answer(status, {"__type": code, "message": "x"})) as (address, _):
        keys = AwsKeys("AKIA", Secret("k"))
        session = AwsSession("secretsmanager", REGION, endpoint_url=address, keys=keys, attempts=1)
        with pytest.raises(error) as caught:
            AwsSecretsStore(session).read(Reference("aws-sm", "x"))
        assert type(caught.value) is error


def test_boto3_is_not_imported_before_it_is_needed() -> None:
    program = (
        "import sys, providers.stores.aws, providers.keys.aws_kms as k, providers.aws_session as s;"
        "k.AwsKmsKey(s.AwsSession('kms', 'eu-central-1'), 'key');"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
