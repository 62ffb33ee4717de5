"""No plaintext at rest or in passing (promises 1 and 12), with marked values, on everything real at once.

One `keywrightd serve` at debug level uses all four stores and both databases; every secret that it ever had is
then looked for, plain and in the encodings that hide a thing without protecting it, in: the ledger file with its
WAL, the server's output, every error answer, the command lines of all processes while it worked, the databases'
own logs at their most talkative, and the audit log.
"""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.rigs.keywright import running_keywrightd
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.moto import Aws
from tests.rigs.openbao import OpenBao
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PATIENCE = 60.0


def marked(what: str) -> str:
    """A secret that is easy to find, and that every encoding changes."""
    return f"MARKED-{what}-Ω/+?&'\"%\\-2f9c1e7d"


def spellings(secret: str) -> set[str]:
    """How a secret may be written without being protected."""
    raw = secret.encode()
    found = {secret, raw.hex(), raw.hex().upper(), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    # Base64 of a text that holds the secret somewhere: three alignments, without their unsure ends.
    for padding in range(3):
        text = base64.b64encode(b"x" * padding + raw).decode()
        middle = text[4 if padding else 0 : len(text) - 4]
        found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return found


@dataclass
class Traces:
    """Everything that was left behind, and every secret that must not be in it."""

    secrets: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    begins: dict[int, int] = field(default_factory=dict)
    """How long a server's log was when the test had made its logins there, with passwords in clear."""
    rotated: int = 0


class CommandLines(threading.Thread):
    """Collects the command line of every process while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.seen: set[str] = set()

    def run(self) -> None:
        """Until it is over."""
        while not self.over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue


@pytest.fixture(scope="module")
def traces(
    old_postgresql: PostgresServer,
    new_postgresql: PostgresServer,
    mariadb: MariaDBServer,
    bao: OpenBao,
    aws: Aws,
    tmp_path_factory: pytest.TempPathFactory,
) -> Traces:
    """Work through everything once."""
    left = Traces()
    mounted = tmp_path_factory.mktemp("mounted")
    kept = {name: marked(name) for name in ("env", "file", "vault", "aws")}
    (mounted / "secret").write_text(kept["file"])
    bao.api("POST", "secret/data/leaks", {"data": {"password": kept["vault"]}})
    aws.client("secretsmanager").create_secret(Name="leaks", SecretString=json.dumps({"password": kept["aws"]}))
    keys = aws.allowed
    environ = {
        "KEYWRIGHT_LOG_LEVEL": "debug",
        "KEYWRIGHT_TICK": "0.1",
        "KEYWRIGHT_ENV_ALLOW": "SHOP_*",
        "KEYWRIGHT_FILE_ROOTS": str(mounted),
        "KEYWRIGHT_VAULT_ADDR": bao.address,
        "KEYWRIGHT_VAULT_TOKEN": bao.root_token.reveal(),
        "KEYWRIGHT_AWS_REGION": aws.region,
        "KEYWRIGHT_AWS_ENDPOINT": aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key.reveal(),
        "SHOP_SECRET": kept["env"],
    }
    watcher = CommandLines()
    watcher.start()
    with running_keywrightd(**environ) as it:
        left.secrets |= {*kept.values(), it.owner, bao.root_token.reveal(), keys.secret_access_key.reveal()}
        with it.client() as client:
            errors = _worked(client, left, mounted, (old_postgresql, new_postgresql), mariadb)
            left.texts["events"] = client.get("/events", params={"limit": 500}).text
        left.texts["errors"] = "\n".join(errors)
        left.texts["log"] = it.stderr
        left.texts["output"] = it.stdout.replace(it.owner, "", 1)  # shown once, on purpose
        data = Path(it.environ["KEYWRIGHT_DATA"])
        left.texts["ledger"] = "".join(
            p.read_bytes().decode("utf-8", "surrogateescape") for p in sorted(data.glob("ledger.sqlite*"))
        )
        assert (data / "ledger.sqlite-wal").exists()
    watcher.over.set()
    watcher.join()
    left.texts["command lines"] = "\n".join(watcher.seen)
    for name, server in (("15", old_postgresql), ("18", new_postgresql), ("mariadb", mariadb)):
        left.texts[f"log of {name}"] = server.log_text()[left.begins[id(server)] :]
    return left


def _worked(
    client: Any,
    left: Traces,
    mounted: Path,
    postgresql: tuple[PostgresServer, PostgresServer],
    mariadb: MariaDBServer,
) -> list[str]:
    errors: list[str] = []

    def call(method: str, path: str, **more: Any) -> Any:
        answer = client.request(method, path, **more)
        if answer.status_code >= 400:
            errors.append(answer.text)
        return answer

    stores = {"env": ["*"], "file": ["*"], "vault": ["*"], "aws-sm": ["*"]}
    assert call("POST", "/environments", json={"name": "leaky", "stores": stores}).status_code == 201
    literal, member = marked("literal"), marked("member")
    left.secrets |= {literal, member}
    for name, body in {
        "shop/LITERAL": {"value": literal},
        "shop/OBJECT": {"value": {"password": member}},
        "shop/ENV": {"reference": "env:SHOP_SECRET"},
        "shop/FILE": {"reference": f"file:{mounted}/secret"},
        "shop/VAULT": {"reference": "vault:secret/leaks#password"},
        "shop/AWS": {"reference": "aws-sm:leaks#password"},
        "shop/ALL": {"template": "${shop/LITERAL} ${shop/ENV} ${shop/FILE} ${shop/VAULT} ${shop/AWS}"},
    }.items():
        assert call("PUT", f"/environments/leaky/variables/{name}", json=body).status_code == 201
        answer = call("GET", f"/environments/leaky/values/{name}")
        assert answer.status_code == 200, answer.text
    assert "2f9c1e7d" in answer.json()["value"]
    names = [_registered(call, left, server, str(number)) for number, server in enumerate(postgresql)]
    names.append(_registered(call, left, mariadb, "m"))
    _turned(call, left, names)
    _rubbish(call, left)
    return errors


def _registered(call: Any, left: Traces, server: Any, tag: str) -> str:
    user, password = f"leak_{tag}", marked(f"db-{tag}")
    server.login(user, password)
    admin = server.administration(f"leakadmin_{tag}", *([user] if tag != "m" else []))
    left.secrets |= {password, admin.account.password.reveal()}
    # The rig for MariaDB makes its logins with hashes; that for PostgreSQL says passwords in clear until here.
    left.begins[id(server)] = 0 if tag == "m" else len(server.log_text())
    strategy = "overlapping" if tag == "m" else "alternating"
    rotation = {"strategy": strategy, "every": "2s", "drain_minimum": "1s", "drain_limit": "1s"}
    body = definition(server.access(user, password), administered_by=f"admin/{tag}", rotation=rotation)
    assert call("PUT", f"/environments/leaky/connections/admin/{tag}", json=definition(admin)).status_code == 201
    answer = call("PUT", f"/environments/leaky/connections/shop/{tag}", json=body)
    assert answer.status_code == 201, answer.text
    return f"shop/{tag}"


def _turned(call: Any, left: Traces, names: list[str]) -> None:
    until = time.monotonic() + PATIENCE
    waiting = set(names)
    while waiting and time.monotonic() < until:
        for name in names:
            for entry in call("GET", f"/environments/leaky/credentials/{name}").json()["credentials"]:
                left.secrets |= {entry["password"], entry["url"]}
            query = {"connection": name, "stage": "retired"}
            if len(call("GET", "/environments/leaky/rotations", params=query).json()["items"]) >= 2:
                waiting.discard(name)
        time.sleep(0.3)
    assert not waiting
    left.rotated = len(names)


def _rubbish(call: Any, left: Traces) -> None:
    """Secrets in places where they do not belong: an error must not repeat them."""
    stray = marked("stray")
    left.secrets.add(stray)
    for method, path, body in (
        ("PUT", "/environments/leaky/variables/shop/X", {"value": stray, "vlaue": stray}),
        ("PUT", "/environments/leaky/variables/shop/X", {"value": [stray]}),
        ("PUT", "/environments/leaky/variables/shop/X", {"value": stray, "secret": stray}),
        ("PUT", "/environments/leaky/variables/shop/X", {"template": "${" + stray + "}"}),
        ("PUT", "/environments/leaky/variables/shop/X", {"reference": stray}),
        ("PUT", "/environments/leaky/connections/shop/X", {"login": {"password": stray}}),
        ("POST", "/tokens", {"name": stray}),
        ("POST", "/environments", {"name": stray}),
    ):
        answer = call(method, path, json=body)
        assert answer.status_code == 422, answer.text
    broken, kind = b'{"value": "' + stray.encode(), {"Content-Type": "application/json"}
    answer = call("PUT", "/environments/leaky/variables/shop/X", content=broken, headers=kind)
    assert answer.status_code == 422
    answer = call("GET", "/me", headers={"Authorization": f"Bearer {quote(stray)}"})
    assert answer.status_code == 401


WHERE = ["ledger", "log", "output", "errors", "events", "command lines", "log of 15", "log of 18", "log of mariadb"]


@pytest.mark.parametrize("where", WHERE)
def test_no_secret_is_left(traces: Traces, where: str) -> None:
    """Not plain, not in base64, hex or percent-encoding, not escaped."""
    text = traces.texts[where]
    assert len(text) > 50
    found = sorted(spelling for secret in traces.secrets for spelling in spellings(secret) if spelling in text)
    assert not found, f"{len(found)} found, such as …{found[0][-12:]}"


def test_there_was_something_to_leak(traces: Traces) -> None:
    """The search can find: the statements that changed passwords are in the databases' logs, with verifiers."""
    assert traces.rotated == 3
    assert len(traces.secrets) > 20
    assert "SCRAM-SHA-256$" in traces.texts["log of 15"]
    assert "mysql_native_password" in traces.texts["log of mariadb"]
    assert "shop/LITERAL" in traces.texts["ledger"]
