"""The privileges that the README tells people to give are enough, and each of them is needed.

The policies and grants are taken from the README as they stand there.
"""

import json
import re
from contextlib import closing

import pytest

from providers.aws_session import AwsKeys
from providers.databases.mariadb import MariaDB
from providers.databases.postgresql import PostgreSQL
from providers.databases.postgresql_login import Certificates, connect
from providers.keys.aws_kms import AwsKmsKey
from providers.keys.transit import TransitKey
from providers.stores.aws import AwsSecretsStore
from providers.stores.vault import VaultStore
from providers.vault_login import TokenLogin, VaultSession
from service.core.connection import Accepted
from service.core.database import Session
from service.core.errors import StoreRefused
from service.core.reference import Reference
from service.core.sealed import Context
from service.core.secret import Secret
from tests.docs.sessions import ROOT, blocks
from tests.rigs.fences import next_fence
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.postgresql import PostgresServer

DATA_KEY = bytes(range(32))
CONTEXT = Context(b"place")


def block(language: str) -> str:
    """The README's one block in a language."""
    (found,) = (b.text for b in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if b.language == language)
    return found


def test_the_policy_for_vault(bao: OpenBao) -> None:
    bao.api("POST", "sys/policies/acl/readme", {"policy": block("hcl")})
    bao.api("POST", "transit/keys/keywright")
    bao.api("POST", "secret/data/shop/db", {"data": {"password": "old", "other": "stays"}})
    bao.api("POST", "secret/data/shop/mail", {"data": {"password": "mail"}})
    session = VaultSession(bao.address, TokenLogin(bao.token("readme")))
    store = VaultStore(session)
    where = Reference("vault", "secret/shop/db")
    before = store.read(where)
    store.write(where, {"password": Secret("new")}, before.version)
    assert json.loads(store.read(where).value.reveal()) == {"password": "new", "other": "stays"}
    only_read = Reference("vault", "secret/shop/mail")
    with pytest.raises(StoreRefused):
        store.write(only_read, {"password": Secret("new")}, store.read(only_read).version)
    with pytest.raises(StoreRefused):
        store.read(Reference("vault", "secret/elsewhere/db"))
    key = TransitKey(session, "keywright")
    assert key.unwrap(key.wrap(DATA_KEY, CONTEXT), CONTEXT) == DATA_KEY


@pytest.fixture
def aws_user(aws: Aws) -> tuple[AwsKeys, str]:
    """A user with the README's policy, and the id of a key in KMS."""
    # moto judges actions, not single resources.
    policy = json.loads(block("json"))
    for statement in policy["Statement"]:
        statement["Resource"] = "*"
    iam = aws.client("iam")
    iam.create_user(UserName="readme")
    iam.put_user_policy(UserName="readme", PolicyName="readme", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="readme")["AccessKey"]
    return (
        AwsKeys(made["AccessKeyId"], Secret(made["SecretAccessKey"])),
        aws.client("kms").create_key()["KeyMetadata"]["KeyId"],
    )


def test_the_policy_for_aws(aws: Aws, aws_user: tuple[AwsKeys, str]) -> None:
    keys, key_id = aws_user
    secret = {"password": "old", "other": "stays"}
    aws.client("secretsmanager").create_secret(Name="shop/readme", SecretString=json.dumps(secret))
    store = AwsSecretsStore(aws.session("secretsmanager", keys))
    where = Reference("aws-sm", "shop/readme")
    assert store.turned_elsewhere(where) is False
    store.write(where, {"password": Secret("new")}, store.read(where).version)
    assert json.loads(store.read(where).value.reveal()) == secret | {"password": "new"}
    key = AwsKmsKey(aws.session("kms", keys), key_id)
    assert key.unwrap(key.wrap(DATA_KEY, CONTEXT), CONTEXT) == DATA_KEY


@pytest.mark.parametrize("version", ["old_postgresql", "new_postgresql"])
def test_the_grants_for_postgresql(request: pytest.FixtureRequest, version: str) -> None:
    server: PostgresServer = request.getfixturevalue(version)
    shell = [b.text for b in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if b.language == "sh"]
    (made,) = (text for text in shell if "CREATE ROLE keywright_admin" in text)
    (given,) = (text for text in shell if "GRANT shop TO keywright_admin" in text)
    statements = [line.partition(" --")[0] for line in made.splitlines() if line.startswith(("CREATE", "GRANT"))]
    statements += [given.split("'")[1]] if server.major >= 16 else []
    password = re.search(r"PASSWORD '([^']+)'", statements[0])
    assert password
    server.login("shop", "what-applications-use-now")
    database = PostgreSQL()
    try:
        for statement in statements:
            server.execute(statement)
        administration = server.access("keywright_admin", password[1])
        assert database.lacks(administration, "shop") == ()
        assert database.set_password(administration, "shop", Secret("next"), next_fence("readme")) == ()
        with closing(connect(server.access("shop", "next"), server.endpoint, Certificates(), seconds=5)):
            found = database.sessions(administration, "shop")
            assert isinstance(found, tuple)
            assert [(session.address, session.since is None) for session in found] == [("127.0.0.1", False)]
            assert database.end_sessions(administration, found) == 1
        assert database.join(administration, "shop", "shop_a", Secret("paired"), next_fence("readme")) == ()
        assert database.fence_number(administration, "readme")
    finally:
        for role in ("shop_a", "shop", "keywright_fence_readme", "keywright_admin"):
            server.execute(f"DROP ROLE IF EXISTS {role}")


def test_the_grants_for_mariadb(mariadb: MariaDBServer) -> None:
    statements = [line.partition(" --")[0].strip() for line in block("sql").splitlines()]
    statements = [s.replace("10.0.0.%", "127.0.0.%") for s in statements if s and not s.startswith("--")]
    assert len(statements) == 6
    mariadb.login("readme_shop", "what-applications-use-now")
    try:
        for statement in statements:
            mariadb.execute(statement)
        password = re.search(r"IDENTIFIED BY '([^']+)'", statements[0])
        assert password
        administration = mariadb.access("keywright_admin", password[1], database="mysql")
        database = MariaDB()
        assert database.lacks(administration, "readme_shop") == ()
        assert database.sessions(administration, "readme_shop") == ()
        former, added = Secret("what-applications-use-now"), Secret("next")
        assert database.add_password(administration, "readme_shop", former, added, next_fence()) == ()
        assert database.end_sessions(administration, (Session("readme_shop", "10.0.0.1", "", 1 << 31),)) == 0
        for known in ("what-applications-use-now", "next"):
            assert isinstance(database.probe(mariadb.access("readme_shop", known), mariadb.endpoint), Accepted)
        mariadb.execute("REVOKE CREATE USER ON *.* FROM keywright_admin@'127.0.0.%'")
        assert database.lacks(administration, "readme_shop")
    finally:
        mariadb.execute("DROP USER IF EXISTS keywright_admin@'127.0.0.%'")
        mariadb.execute("DROP USER IF EXISTS readme_shop")
