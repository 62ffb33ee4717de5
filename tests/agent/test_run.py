"""keywright run that keeps watching, as a process, against a real Keywright."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.place import Place, alive
from tests.rigs.keywright import wait_until

SEES = "echo $HOST $KEY >> seen; exec sleep 1000"


def running(site: Place, program: str, *options: str) -> tuple[str, ...]:
    return ("run", "--folder", "shop", *options, "--", "sh", "-c", program)


def test_a_change_restarts_the_program(site: Place) -> None:
    it = site.start(*running(site, SEES, "--on-change", "restart"))
    site.until("seen", "db1 k1-secret\n")
    site.put(HOST="db2", KEY="k2-secret")
    site.until("seen", "k2-secret\n")
    assert site.end(it) == 128 + signal.SIGTERM
    assert site.read("seen").splitlines()[-1] == "db2 k2-secret"
    assert "secret" not in site.read("log")
    assert "restarted after a change" in site.read("log")


def test_a_change_is_told_by_a_signal_once_the_files_are_there(site: Place) -> None:
    program = (
        "trap 'cat $KEYWRIGHT_FILES/HOST >> seen; echo >> seen' USR1; echo $KEYWRIGHT_FILES > where;"
        " echo ready >> seen; while :; do sleep 0.05; done"
    )
    it = site.start(*running(site, program, "--on-change", "signal", "--signal", "USR1", "--pass-as", "file"))
    site.until("seen", "ready")
    where = Path(site.read("where").strip())
    assert (where.parent.stat().st_mode & 0o777, (where / "KEY").read_text()) == (0o700, "k1-secret")
    site.put(HOST="db2")
    site.until("seen", "db2")
    assert alive(it.pid)
    assert site.end(it) == 128 + signal.SIGTERM
    assert not where.parent.exists()


def test_a_change_is_only_logged(site: Place) -> None:
    it = site.start(*running(site, SEES, "--on-change", "log"))
    site.until("seen", "db1")
    site.put(HOST="db2")
    site.until("log", "there is a change that the program does not have")
    assert site.end(it) == 143
    assert site.read("seen") == "db1 k1-secret\n"


def test_what_cannot_be_passed_leaves_the_program_alone(site: Place) -> None:
    it = site.start(*running(site, SEES, "--on-change", "restart"))
    site.until("seen", "db1")
    site.put(**{"other.name": "x"})
    site.until("log", "cannot be passed on: shop/other.name")
    assert site.end(it) == 143
    assert site.read("seen") == "db1 k1-secret\n"


def test_its_exit_code_is_ours(site: Place) -> None:
    assert site.call(*running(site, "exit 42", "--on-change", "restart")).returncode == 42
    assert site.call(*running(site, "kill -KILL $$", "--on-change", "restart")).returncode == 137
    assert site.call("run", "--folder", "shop", "--on-change", "log", "--", "no-such-program").returncode == 127
    assert site.call("run", "--folder", "shop", "--on-change", "log", "--", "/etc/passwd").returncode == 126
    told = site.call(*running(site, "true", "--on-change", "signal", "--signal", "KILL"))
    assert (told.returncode, "not the name of a signal" in told.stderr) == (2, True)


def test_signals_reach_the_program_once(site: Place) -> None:
    program = (
        "import os, signal, sys, time\n"
        "seen = open('seen', 'a', buffering=1)\n"
        "for n in signal.valid_signals() - {9, 19, 17, 15, 11, 4, 7, 8, 6, 5, 31}:\n"
        "    signal.signal(n, lambda n, _: print(n, file=seen))\n"
        "print('ready', os.getpgrp() == os.getpid(), file=seen)\n"
        "while True: time.sleep(1)\n"
    )
    it = site.start("run", "--folder", "shop", "--on-change", "log", "--", sys.executable, "-c", program)
    site.until("seen", "ready True")
    sent = [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM, 40]
    for number in sent:
        it.send_signal(number)
        site.until("seen", f"\n{int(number)}\n")
    assert site.end(it) == 143
    assert site.read("seen").split()[2:] == [str(int(number)) for number in sent]


def test_a_program_that_does_not_end_is_killed_with_its_children(site: Place) -> None:
    program = "trap '' TERM; echo $HOST >> seen; sleep 1000 & echo $! >> children; while :; do sleep 0.1; done"
    it = site.start(*running(site, program, "--on-change", "restart", "--grace", "0.5"))
    site.until("children", "\n")
    site.put(HOST="db2")
    site.until("seen", "db2")
    first = int(site.read("children").split()[0])
    wait_until(lambda: not alive(first), "the former program's child still runs")
    assert "killed" in site.read("log")
    it.kill()
    os.kill(int(site.read("children").split()[-1]), signal.SIGKILL)


def test_a_program_that_fails_after_a_restart_is_tried_again(site: Place) -> None:
    program = "echo $HOST >> seen; test -e fixed || test $HOST = db1 || exit 3; exec sleep 1000"
    it = site.start(*running(site, program, "--on-change", "restart"))
    site.until("seen", "db1")
    site.put(HOST="db2")
    site.until("log", "ended with 3 after a change; it is started again in")
    site.write("fixed", "")
    site.until("seen", "db2\ndb2\n")
    assert alive(it.pid)
    assert site.end(it) == 143


def test_values_on_an_open_file(site: Place) -> None:
    show = "import json, os; print(open(int(os.environ['KEYWRIGHT_FD'])).read(), dict(os.environ))"
    for options in ([], ["--on-change", "restart"]):
        told = site.call("run", "--folder", "shop", "--pass-as", "fd", *options, "--", sys.executable, "-c", show)
        values, _, environ = told.stdout.partition("} ")
        assert json.loads(values + "}") == {"HOST": "db1", "KEY": "k1-secret"}
        assert "k1-secret" not in environ
        assert "KEYWRIGHT_TOKEN" not in environ


def test_files_in_memory_or_none(site: Place) -> None:
    told = site.call(*running(site, "ls $KEYWRIGHT_FILES; echo $KEYWRIGHT_FILES; exit 7", "--pass-as", "file"))
    assert (told.returncode, told.stdout.split()[:2]) == (7, ["HOST", "KEY"])
    assert not Path(told.stdout.split()[2]).parent.exists()


def test_no_secret_is_in_a_command_line(site: Place) -> None:
    it = site.start(*running(site, SEES, "--on-change", "restart"))
    site.until("seen", "db1")
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if alive(int(file.parent.name))]
    assert not any(b"k1-secret" in line or site.keywright.owner.encode() in line for line in lines)
    # Nor in the environment of the parent, which has the token and nothing of the program's.
    assert b"k1-secret" not in Path(f"/proc/{it.pid}/environ").read_bytes()
    assert site.end(it) == 143


def test_orphans_of_the_program_are_gathered(site: Place) -> None:
    """As process 1 of a container; here as a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    reaper = (
        "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0;"
        "sys.argv = sys.argv[1:]; from keywright.__main__ import main; sys.exit(main())"
    )
    program = "(sleep 0.2 & echo $! > orphan) ; sleep 0.1; while :; do sleep 0.1; done"
    site.started.append(
        subprocess.Popen(
            [sys.executable, "-c", reaper, "keywright", *running(site, program, "--on-change", "log")],
            env=site.environ(),
            cwd=site.folder,
        )
    )
    site.until("orphan", "\n")
    orphan = int(site.read("orphan"))
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), "the orphan was not gathered")
    assert site.end(site.started[-1]) == 143


@pytest.mark.parametrize("folder", ["nothing/here"])
def test_an_empty_folder_is_watched(site: Place, folder: str) -> None:
    it = site.start(
        "run", "--folder", folder, "--on-change", "restart", "--", "sh", "-c", "echo x${NEW} >> seen; exec sleep 99"
    )
    site.until("seen", "x\n")
    answer = site.keywright.client().put(f"/environments/production/variables/{folder}/NEW", json={"value": "1"})
    assert answer.status_code == 201
    site.until("seen", "x1\n")
    assert site.end(it) == 143
