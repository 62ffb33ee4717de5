"""AWS, as moto's server plays it: a process of its own, with signatures and IAM policies enforced.

    with moto() as aws:
        aws.client("secretsmanager").create_secret(Name="shop/db", SecretString="…")

`aws.allowed` may do everything with secrets and keys, `aws.nobody` exists and may do nothing.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from providers.aws_session import AwsKeys, AwsSession
from service.core.secret import Secret
from tests.rigs.ports import free_port
from tests.rigs.process import running

REGION = "eu-central-1"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": "*"}]}


@dataclass(frozen=True)
class Aws:
    """A running server and two users of it."""

    endpoint_url: str
    region: str
    allowed: AwsKeys
    nobody: AwsKeys

    def session(self, service: str, keys: AwsKeys | None = None, **options: Any) -> AwsSession:
        """What providers speak through; as `allowed`, unless other keys are given."""
        return AwsSession(service, self.region, endpoint_url=self.endpoint_url, keys=keys or self.allowed, **options)

    def client(self, service: str) -> Any:
        """boto3's client, as `allowed`."""
        return _client(service, self.endpoint_url, self.allowed)


@contextmanager
def moto() -> Iterator[Aws]:
    """Start a server, make two users, then turn authentication on."""
    try:
        import moto.server  # noqa: F401  only to see whether it is there
    except ImportError:
        pytest.fail("moto's server is missing: install the test extra, which brings moto[server]")
    url = f"http://127.0.0.1:{(port := free_port())}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/moto-api/data.json", timeout=2).ok
        except requests.RequestException:
            return False

    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        environment = {"PATH": "/usr/bin:/bin", "HOME": name, "PYTHONDONTWRITEBYTECODE": "1"}
        with running(command, Path(name) / "moto.log", answers, environment):
            allowed, nobody = _user(url, "allowed", EVERYTHING), _user(url, "nobody", None)
            requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=5).raise_for_status()
            yield Aws(url, REGION, allowed, nobody)


def _client(service: str, url: str, keys: AwsKeys) -> Any:
    import boto3

    return boto3.session.Session().client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key.reveal(),
    )


def _user(url: str, name: str, policy: dict[str, Any] | None) -> AwsKeys:
    iam = _client("iam", url, AwsKeys("before-authentication", Secret("is-on")))
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return AwsKeys(key["AccessKeyId"], Secret(key["SecretAccessKey"]))


@pytest.fixture(scope="session", name="aws")
def aws_fixture() -> Iterator[Aws]:
    """One server for the whole run: use names of your own inside it."""
    with moto() as server:
        yield server
