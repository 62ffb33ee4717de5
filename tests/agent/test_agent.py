"""keywright agent, as a process, against a real Keywright."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

from tests.agent.place import Place, alive
from tests.rigs.keywright import wait_until

TWO = """
status = "status"
[[template]]
template = "host={{ value('shop/HOST')|shell }} key={{ value('shop/KEY')|shell }}\\n"
destination = "both"
[[template]]
template = "{{ value('shop/HOST')|json }}"
destination = "host"
"""
ANOTHER = """
[[template]]
template = "{{ value('shop/KEY') }}"
destination = "first"
"""
CACHE = """
[cache]
file = "cache"
key_file = "key"
"""


def key(site: Place) -> None:
    (site.folder / "key").touch(mode=0o600)
    made = subprocess.run("head -c 32 /dev/urandom | base64", shell=True, check=True, capture_output=True, text=True)
    site.write("key", made.stdout)


def agent(*more: str) -> tuple[str, ...]:
    return ("agent", "--config", "a.toml", *more)


def test_once(site: Place) -> None:
    site.write("a.toml", TWO)
    told = site.call(*agent("--once"))
    assert told.returncode == 0, told.stderr
    assert (site.read("both"), site.read("host")) == ("host=db1 key=k1-secret\n", '"db1"')
    assert stat.S_IMODE((site.folder / "both").stat().st_mode) == 0o600
    before = (site.folder / "both").stat().st_ino
    assert site.call(*agent("--once")).stderr == ""
    assert (site.folder / "both").stat().st_ino == before
    assert "secret" not in told.stderr + told.stdout + site.read("status")


def test_once_a_name_that_is_not_there_costs_its_own_templates_only(site: Place) -> None:
    site.write("a.toml", TWO + ANOTHER.replace("{{ value('shop/KEY') }}", "\\n{{ value('shop/NONE') }}"))
    told = site.call(*agent("--once", "--json"))
    assert told.returncode == 4
    assert site.read("both") == "host=db1 key=k1-secret\n"
    assert site.read("host") == '"db1"'
    lines = told.stderr.splitlines()
    error = json.loads(lines.pop())
    assert f"{site.folder}/first, line 2: value shop/NONE: " in error["message"]
    assert all("was written" in line for line in lines), lines


def test_a_program_that_is_not_started_is_said(site: Place) -> None:
    environment = "[exec.environment]\nURL = \"{{ value('shop/KEY').nothing }}\"\n"
    site.write("a.toml", '[exec]\ncommand = ["sleep", "300"]\n' + environment)
    it = site.start(*agent())
    site.until("log", "exec.environment: URL, line 1: 'nothing' is not defined")
    site.until("log", "the program is not started as long as exec.environment: URL cannot be rendered")
    site.end(it)


def test_the_status_tells_an_agent_that_is_gone_from_one_that_ended(site: Place) -> None:
    site.write("a.toml", TWO)
    for number, told in ((signal.SIGKILL, "; it is gone\n"), (signal.SIGTERM, "; it ended\n")):
        it = site.start(*agent())
        site.until("status", f'"pid": {it.pid},')
        well = site.call(*agent("--status"))
        assert (well.returncode, "; it" in well.stdout) == (0, False), well.stdout
        site.end(it, number)
        over = site.call(*agent("--status"))
        assert over.returncode == 1
        assert told in over.stdout
    assert site.call(*agent("--once")).returncode == 0
    done = site.call(*agent("--status"))
    assert (done.returncode, "; it ended\n" in done.stdout) == (0, True)


def test_a_change_is_written_where_it_belongs_and_nowhere_else(site: Place) -> None:
    site.write("a.toml", TWO)
    it = site.start(*agent())
    site.until("both", "k1-secret")
    site.until("host", "db1")
    before = (site.folder / "host").stat().st_ino
    site.put(KEY="k2-secret")
    site.until("both", "k2-secret")
    assert (site.folder / "host").stat().st_ino == before
    site.put(HOST="db2")
    site.until("both", "db2")
    site.until("host", "db2")
    # One watch for each name, though two templates need one of them.
    waits = [
        event
        for event in site.keywright.client().get("/events", params={"action": "value.fetched"}).json()["items"]
        if event["resource"].endswith("shop/HOST")
    ]
    assert len(waits) <= 3
    assert site.end(it) == 0
    assert "secret" not in site.read("log")


def test_its_needs_follow_the_template(site: Place) -> None:
    site.write(
        "a.toml",
        '[[template]]\ndestination = "x"\ntemplate = """'
        "{% if value('shop/HOST') == 'db1' %}{{ value('shop/KEY') }}"
        '{% else %}{{ value("shop/OTHER") }}{% endif %}"""',
    )
    it = site.start(*agent())
    site.until("x", "k1-secret")
    site.put(HOST="db2")
    site.until("log", "value shop/OTHER: ")
    assert site.read("x") == "k1-secret"
    site.put(OTHER="o1")
    site.until("x", "o1")
    assert site.end(it) == 0


def test_commands_run_after_a_change_without_shell_token_or_secret(site: Place) -> None:
    show = "import os, sys; open('ran', 'a').write(repr((sys.argv[1:], dict(os.environ))) + chr(10))"
    site.write(
        "a.toml",
        '[[template]]\ntemplate = "{{ value(\'shop/KEY\') }}"\ndestination = "x"\n'
        f"command = {json.dumps([sys.executable, '-c', show, '$HOME; echo'])}\n",
    )
    it = site.start(*agent(), KEYWRIGHT_AGENT_KEY_FILE="/nowhere", OWN="kept")
    site.until("ran", "\n")
    said = site.read("ran")
    assert "['$HOME; echo']" in said
    assert "'OWN': 'kept'" in said
    for word in ("k1-secret", site.keywright.owner, "KEYWRIGHT_TOKEN", "KEYWRIGHT_AGENT_KEY_FILE"):
        assert word not in said
    site.put(KEY="k2-secret")
    wait_until(lambda: site.read("ran").count("\n") == 2, "it did not run again")
    assert site.end(it) == 0
    site.call(*agent("--once"))
    assert site.read("ran").count("\n") == 2  # nothing changed


def test_a_command_that_hangs_or_fails(site: Place) -> None:
    one = '[[template]]\ntemplate = "{{ value(\'shop/KEY\') }}"\ndestination = "x"\n'
    site.write("a.toml", one + 'command = ["sh", "-c", "sleep 1000 & echo $! > child; wait"]\ntimeout = 0.5\n')
    told = site.call(*agent("--once"))
    assert (told.returncode, "took longer than 0.5 seconds: killed" in told.stderr) == (1, True)
    wait_until(lambda: not alive(int(site.read("child"))), "what it had started still runs")
    (site.folder / "x").unlink()
    site.write("a.toml", one + 'command = ["sh", "-c", "exit 3"]\non_error = "stop"\n')
    told = site.call(*agent())
    assert (told.returncode, "sh ended with 3" in told.stderr) == (1, True)
    (site.folder / "x").unlink()
    site.write("a.toml", one + 'command = ["no-such-program"]\n')
    told = site.call(*agent("--once"))
    assert (told.returncode, "no-such-program was not found" in told.stderr) == (1, True)


EXEC = """
[exec]
command = ["sh", "-c", "trap 'echo told >> seen' USR1; echo $HOST $(cat x) >> seen; while :; do sleep 0.05; done"]
[exec.environment]
HOST = "{{ value('shop/HOST') }}"
[[template]]
template = "{{ value('shop/KEY') }}"
destination = "x"
"""


def test_a_program_beside_it_is_restarted(site: Place) -> None:
    site.write("a.toml", EXEC)
    it = site.start(*agent())
    site.until("seen", "db1 k1-secret")
    site.put(KEY="k2-secret")
    site.until("seen", "db1 k2-secret")
    site.put(HOST="db2")
    site.until("seen", "db2 k2-secret")
    assert site.end(it) == 143


def test_a_program_beside_it_is_told(site: Place) -> None:
    site.write("a.toml", EXEC.replace("[exec.env", 'on_change = "signal"\nsignal = "USR1"\n[exec.env'))
    it = site.start(*agent())
    site.until("seen", "db1 k1-secret")
    site.put(KEY="k2-secret")
    site.until("seen", "told")
    assert site.read("x") == "k2-secret"
    assert site.end(it) == 143


def test_a_program_beside_it_ends_it(site: Place) -> None:
    site.write("a.toml", EXEC.replace("while :; do sleep 0.05; done", "exit 5"))
    assert site.call(*agent()).returncode == 5
    site.write("a.toml", EXEC.replace('"sh"', '"no-such-program"'))
    told = site.call(*agent())
    assert (told.returncode, "was not found" in told.stderr) == (127, True)


def test_it_begins_while_the_server_is_away_and_says_how_old_everything_is(site: Place) -> None:
    key(site)
    site.write("a.toml", TWO + CACHE)
    assert site.call(*agent("--once")).returncode == 0
    assert "secret" not in site.read("cache")
    for name in ("both", "host"):
        (site.folder / name).unlink()
    it = site.start(*agent(), KEYWRIGHT_ADDR="http://127.0.0.1:1")
    site.until("log", "is of another key, server or place")
    assert it.wait(60) == 5
    environ = {"KEYWRIGHT_ADDR": site.keywright.url}
    site.write("a.toml", TWO.replace('status = "status"', 'status = "status"' + ANOTHER) + CACHE)
    site.keywright.stop()
    it = site.start(*agent(), **environ)
    site.until("first", "k1-secret")
    site.until("both", "host=db1 key=k1-secret")
    site.until("host", "db1")
    site.until("status", '"sealed": true')
    assert "taken from the cache, as it was at 20" in site.read("log")
    told = site.call(*agent("--status"), **environ)
    assert told.returncode == 1
    assert "seconds old, from the cache: http" in told.stdout
    told = site.call(*agent("--status", "--json"), **environ)
    status = json.loads(told.stdout)
    assert {each["name"]: each["sealed"] for each in status["subjects"]} == {"shop/HOST": True, "shop/KEY": True}
    assert all(each["age"] >= 0 for each in status["subjects"])
    assert stat.S_IMODE((site.folder / "status").stat().st_mode) == 0o600
    assert "secret" not in told.stdout + site.read("log")
    assert site.end(it) == 0


def test_what_is_refused_is_not_laid_by(site: Place) -> None:
    key(site)
    site.write("a.toml", TWO + CACHE)
    client = site.keywright.client()
    grant = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
    made = client.post("/tokens", json={"name": "shop", "grants": [grant]}).json()
    it = site.start(*agent(), KEYWRIGHT_TOKEN=made["token"])
    site.until("both", "k1-secret")
    site.until("cache", "sealed")
    before = len(site.read("cache"))
    assert client.delete(f"/tokens/{made['id']}").status_code == 204
    site.put(HOST="db2")  # wakes those who wait
    site.put(KEY="k2")
    site.until("log", "value shop/KEY: ")
    site.until("log", "value shop/HOST: ")
    wait_until(lambda: len(site.read("cache")) < before / 2, "the cache still holds what is refused")
    assert site.read("both") == "host=db1 key=k1-secret\n"  # an application that runs is not hurt
    assert site.end(it) == 0


def test_checking_does_nothing(site: Place) -> None:
    site.write("a.toml", TWO)
    site.keywright.stop()
    told = site.call(*agent("--check"), KEYWRIGHT_ADDR="http://127.0.0.1:1")
    assert (told.returncode, told.stdout) == (0, "a.toml can be used\n")
    assert sorted(file.name for file in site.folder.iterdir()) == ["a.toml", *({"log"} & set(os.listdir(site.folder)))]
    for wrong, why in (
        (TWO.replace("|json", "|jason"), "No filter named 'jason'"),
        (TWO.replace('"host"', '"none/host"'), "cannot be entered"),
        (TWO.replace("status", "colour"), "colour is not known"),
        (TWO + CACHE, "key file"),
        (TWO.replace("value('shop/KEY')", "vaule('shop/KEY')"), "/both, line 1: 'vaule' is not defined"),
        (TWO + 'command = ["no-such-program"]\n', "no-such-program is not found"),
        (TWO + '[exec]\ncommand = ["./no-such-program"]\n', "no-such-program is not found"),
        (TWO + '[exec]\ncommand = ["sleep"]\n[exec.environment]\nURL = "{{ x }}"', "exec.environment: URL, line 1"),
    ):
        site.write("a.toml", wrong)
        told = site.call(*agent("--check"), KEYWRIGHT_ADDR="http://127.0.0.1:1")
        assert (told.returncode, why in told.stderr) == (5, True), told.stderr


def test_a_failing_template_leaves_its_file_and_the_others_alone(site: Place) -> None:
    site.write("a.toml", TWO.replace("value('shop/KEY')", "value('shop/KEY').nothing"))
    site.write("both", "as it was")
    it = site.start(*agent())
    site.until("host", "db1")
    site.until("log", "'nothing' is not defined")
    assert site.read("both") == "as it was"
    site.until("status", "is not defined")
    assert site.call(*agent("--status")).returncode == 1
    site.put(KEY={"nothing": "n1"})
    site.until("log", "both is well again")
    assert site.read("both") == "host=db1 key=n1\n"
    assert site.end(it) == 0


def test_a_file_is_made_good_when_it_is_told_hup(site: Place) -> None:
    site.write("a.toml", TWO)
    it = site.start(*agent())
    site.until("host", "db1")
    site.write("host", "spoilt")
    it.send_signal(signal.SIGHUP)
    site.until("host", "db1")
    assert site.end(it) == 0


def test_a_link_in_the_way_is_not_followed(site: Place) -> None:
    site.write("a.toml", TWO)
    site.write("precious", "kept")
    (site.folder / "host").symlink_to("precious")
    told = site.call(*agent("--once"))
    assert (told.returncode, "is a symbolic link" in told.stderr) == (1, True)
    assert site.read("precious") == "kept"


def test_without_its_libraries_it_says_what_to_install(site: Place) -> None:
    site.write("a.toml", TWO)
    shim = site.folder / "shim"
    shim.mkdir()
    (shim / "jinja2.py").write_text("raise ModuleNotFoundError('no jinja2', name='jinja2')\n")
    told = site.call(*agent("--once"), PYTHONPATH=str(shim))
    assert (told.returncode, "install keywright[agent]" in told.stderr) == (5, True)
    shutil.rmtree(shim)


def test_no_secret_is_in_a_command_line_of_it(site: Place) -> None:
    site.write("a.toml", EXEC)
    it = site.start(*agent())
    site.until("seen", "k1-secret")
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if alive(int(file.parent.name))]
    assert not any(b"k1-secret" in line for line in lines)
    assert site.end(it) == 143
