"""What keeps `keywrightd serve` from beginning is one sentence, and exit status 1."""

import os
import subprocess
import sys
from pathlib import Path

from tests.rigs.keywright import running_keywrightd
from tests.rigs.listening import listening


def refused(tmp_path: Path, **environ: str) -> str:
    """What it says on standard error."""
    command = [str(Path(sys.executable).with_name("keywrightd")), "serve"]
    settings = {"KEYWRIGHT_DATA": str(tmp_path / "data"), "KEYWRIGHT_LISTEN": "127.0.0.1:0"}
    ended = subprocess.run(
        command, env={"PATH": os.defpath} | settings | environ, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    assert "kw_" not in ended.stdout, "a token was shown that nobody may have seen"
    return ended.stderr.splitlines()[-1]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with listening() as it:
        host, port = it.listener.address
        said = refused(tmp_path, KEYWRIGHT_LISTEN=f"{host}:{port}")
    assert said == f"keywrightd: cannot listen on {host}:{port}: another process listens there"


def test_settings_of_tls_that_do_not_fit(tmp_path: Path) -> None:
    said = refused(tmp_path, KEYWRIGHT_TLS_CERT="cert.pem")
    assert said == "keywrightd: KEYWRIGHT_TLS_CERT and KEYWRIGHT_TLS_KEY belong together"
    said = refused(tmp_path, KEYWRIGHT_TLS_CLIENT_CA="ca.pem")
    assert said == "keywrightd: KEYWRIGHT_TLS_CLIENT_CA needs KEYWRIGHT_TLS_CERT and KEYWRIGHT_TLS_KEY"
    nowhere = str(tmp_path / "cert.pem")
    said = refused(tmp_path, KEYWRIGHT_TLS_CERT=nowhere, KEYWRIGHT_TLS_KEY=nowhere)
    assert said == f"keywrightd: KEYWRIGHT_TLS_CERT: {nowhere} cannot be read (No such file or directory)"


def test_it_ends_in_order_when_it_is_asked_to() -> None:
    with running_keywrightd() as it:
        assert it.terminate() == 0
        assert "stopping" in it.stderr
        it.start()
        with it.client() as client:
            assert client.get("/me").status_code == 200
