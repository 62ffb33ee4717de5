"""What the database rigs share: a private folder, an unprivileged user, one process, one log."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

PATIENCE = 40.0
"""Seconds that a server may take to start or to stop."""


@dataclass(frozen=True)
class Certificate:
    """A server certificate for 127.0.0.1 (and not for localhost), and the authority that signed it."""

    ca: str
    chain: Path
    key: Path


class Ground:
    """A short folder (for sockets) that belongs to the user the server runs as; database servers refuse root."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"keywright-{name}-"))
        # Also of a server that was interrupted before anybody held it.
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.log = self.folder / "log"
        self.own(self.folder)

    def own(self, path: Path) -> Path:
        """Hand a file over to the server's user, unreadable for others."""
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
        return path

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the server's user."""
        file = self.folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.own(file)

    def certificate(self) -> Certificate:
        """A fresh authority with one certificate."""
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        chain = self.write("server.pem", b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key = self.write("server.key", issued.private_key_pem.bytes())
        return Certificate(authority.cert_pem.bytes().decode(), chain, key)

    def run(self, command: Sequence[str | Path]) -> None:
        """Run to the end, as the server's user."""
        done = subprocess.run(
            list(map(str, command)), **self._who(), capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            pytest.fail(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")

    def start(self, command: Sequence[str | Path], answers: Callable[[], bool]) -> subprocess.Popen[bytes]:
        """Start a server and wait until it answers."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(list(map(str, command)), **self._who(), stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        try:
            while not answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = self.log.read_text(errors="replace")[-2000:]
                    pytest.fail(f"{command[0]} did not start. Its last words:\n{tail}")
                time.sleep(0.05)
        except BaseException:  # also when whoever waits is interrupted
            process.kill()
            process.wait(PATIENCE)
            raise
        return process

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _who(self) -> dict[str, object]:
        who: dict[str, object] = {"cwd": self.folder, "stdin": subprocess.DEVNULL}
        who["env"] = {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if self.owner:
            who |= {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}
        return who


def end(process: subprocess.Popen[bytes], signal: int) -> None:
    """Ask a server to stop, and see to it that it does."""
    if process.poll() is None:
        process.send_signal(signal)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
