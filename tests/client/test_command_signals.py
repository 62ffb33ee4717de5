"""keywright stream and keywright webhooks, against a real server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keywright.__main__ import main

from tests.client.command import PROGRAM
from tests.rigs.keywright import Keywright, Keywrightd, running_keywright, wait_until
from tests.rigs.receiver import receiver

Run = Callable[..., subprocess.CompletedProcess[str]]
PLACE = "/environments/production"


@pytest.fixture
def it() -> Iterator[Keywright]:
    with running_keywright(webhook_plain=True, webhook_networks="127.0.0.0/8") as served:
        served.client().post("/environments", json={"name": "production"}).raise_for_status()
        yield served


@pytest.fixture
def run(it: Keywright, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as around:
            around.setenv("KEYWRIGHT_ADDR", it.url)
            around.setenv("KEYWRIGHT_TOKEN", it.owner)
            around.setattr(sys, "argv", ["keywright", *arguments])
            code = main()
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, told.out, told.err)

    return run


def test_what_is_changed_is_shown(it: Keywright, run: Run) -> None:
    owner = it.client()
    for name in ("shop/A", "shop/B"):
        owner.put(f"{PLACE}/variables/{name}", json={"value": "hush"}).raise_for_status()
    owner.delete(f"{PLACE}/variables/shop/A").raise_for_status()
    told = run("stream", "--since", "0", "--count", "3")
    assert told.returncode == 0
    lines = [line.split()[2:] for line in told.stdout.splitlines() if line[:1].isdecimal() and "request" not in line]
    assert lines == [
        ["variable.put", "production:shop/A", "version=1"],
        ["variable.put", "production:shop/B", "version=1"],
        ["variable.delete", "production:shop/A"],
    ]
    told = run("stream", "--since", "0", "--count", "1", "--kind", "version", "--kind", "variable.delete", "--json")
    signal = json.loads(next(line for line in told.stdout.splitlines() if line.startswith("{")))
    assert (signal["kind"], signal["resource"]) == ("variable.delete", "shop/A")
    assert run("stream", "--since", "9999999", "--count", "1").stdout.count("look at everything anew") == 1
    assert run("stream", "--kind", "nothing").returncode == 5
    assert run("stream", "--env", "none").returncode == 4


def test_a_stream_is_resumed_when_the_server_is_there_again(keywrightd: Keywrightd, tmp_path: Path) -> None:
    with keywrightd.client() as owner:
        owner.post("/environments", json={"name": "production"}).raise_for_status()
    output = tmp_path / "output"
    environ = {"KEYWRIGHT_ADDR": keywrightd.url, "KEYWRIGHT_TOKEN": keywrightd.owner, "PATH": "/usr/bin:/bin"}
    with output.open("wb") as out:
        process = subprocess.Popen([PROGRAM, "stream", "--since", "0", "--count", "2"], stdout=out, env=environ)
    try:
        for name in ("shop/A", "shop/B"):
            with keywrightd.client() as owner:
                owner.put(f"{PLACE}/variables/{name}", json={"value": "hush"}).raise_for_status()
            wait_until(lambda name=name: name in output.read_text(), output.read_text, 60)  # type: ignore[misc]
            if name == "shop/A":
                keywrightd.kill()
                keywrightd.start()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert [line.split()[3] for line in output.read_text().splitlines()] == ["production:shop/A", "production:shop/B"]


def test_webhooks_from_beginning_to_end(it: Keywright, run: Run) -> None:
    it.service.courier.start()
    with receiver() as target:
        target.answers = lambda number: 200 if number != 2 else 410
        made = run(
            "webhooks", "add", "hook", target.url, "--env", "production", "--folder", "shop", "--kind", "variable"
        )
        assert made.returncode == 0, made.stderr
        secret = made.stdout.split()[-1] if made.stdout.split()[-1].startswith("whsec_") else ""
        secret = secret or next(word for word in made.stdout.split() if word.startswith("whsec_"))
        assert run("webhooks", "test", "hook").returncode == 0
        target.wait(1)
        assert [each["kind"] for each in target.verified(secret)] == ["webhook.test"]
        assert "production:shop" in run("webhooks").stdout
        it.client().put(f"{PLACE}/variables/shop/A", json={"value": "hush"}).raise_for_status()
        wait_until(lambda: "disabled" in run("webhooks").stdout, "it was not disabled", 60)
        dead = json.loads(_json(run("webhooks", "deliveries", "hook", "--state", "dead", "--json").stdout))
        assert [each["status"] for each in dead] == [410]
        assert run("webhooks", "replay", "hook", "--delivery", dead[0]["id"]).returncode == 5
        assert "enabled" in run("webhooks", "change", "hook", "--enable").stdout
        assert "1 deliveries" in run("webhooks", "replay", "hook", "--delivery", dead[0]["id"]).stdout
        target.wait(3)
        assert "1 deliveries" in run("webhooks", "replay", "hook", "--since", "2020-01-01T00:00:00Z").stdout
        target.wait(4)
        assert secret not in run("webhooks", "secret", "hook").stdout
        assert run("webhooks", "delete", "hook").returncode == 0
        assert run("webhooks", "delete", "hook").returncode == 4
    assert run("webhooks", "change", "hook").returncode == 2
    assert run("webhooks", "replay", "hook").returncode == 2
    refused = run("webhooks", "add", "hook", "https://user:hush@example.com/", "--everything")
    assert refused.returncode == 5
    assert "hush" not in refused.stderr


def _json(shown: str) -> str:
    """Without the lines that the server in this process logs."""
    return "\n".join(line for line in shown.splitlines() if "[info" not in line)
