"""keywright login by a person: a real server, a real browser, the command as it is run."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from tests.client.command import PROGRAM, command_lines
from tests.rigs.chromium import browsing
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.people import PASSWORD, person

ADA = "ada@example.com"
TERMINAL = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
"""Runs the command on a terminal of its own, since without one it asks for no browser."""


@dataclass
class Desk:
    """Where somebody works: a home, a browser that only notes what it is to open, and the command."""

    it: Keywright
    home: Path

    @property
    def file(self) -> Path:
        return self.home / "keywright" / "login.json"

    def environ(self, **more: str) -> dict[str, str]:
        browser = self.home / "browser"
        if not browser.exists():
            noted = self.home / "opened"
            browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{noted}.part"\nmv "{noted}.part" "{noted}"\n')
            browser.chmod(0o700)
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home),
            "KEYWRIGHT_ADDR": self.it.url,
            "BROWSER": f"{browser} %s",
            **more,
        }

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments], capture_output=True, text=True, timeout=90, env=self.environ(**more), check=False
        )

    @contextmanager
    def start(self, *arguments: str, terminal: bool = True, **more: str) -> Iterator[subprocess.Popen[str]]:
        words = [sys.executable, "-c", TERMINAL, PROGRAM] if terminal else [PROGRAM]
        with subprocess.Popen(
            [*words, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environ(**more),
        ) as command:
            try:
                yield command
            finally:
                command.kill()

    def opened(self) -> str:
        """The address that the browser was to open."""
        noted = self.home / "opened"
        wait_until(noted.exists, "no browser was opened")
        return noted.read_text()

    @property
    def token(self) -> str:
        return str(json.loads(self.file.read_text())["logins"][self.it.url]["token"])


@pytest.fixture(scope="module")
def served() -> Iterator[Keywright]:
    with running_keywright() as it:
        person(it.service, ADA, Grant(Level.OWN, Kind.EVERYTHING))
        yield it


@pytest.fixture
def desk(served: Keywright, tmp_path: Path) -> Desk:
    return Desk(served, tmp_path)


def sign_in(page: Any) -> None:
    page.fill("input[name=email]", ADA)
    page.fill("input[name=password]", PASSWORD)
    page.click("button:not([name])")


def test_by_the_browser_of_this_computer(desk: Desk) -> None:
    with browsing(desk.it.url) as page, desk.start("login") as command:
        address = desk.opened()
        page.goto(address)
        sign_in(page)
        page.wait_for_selector("text=Let this computer in?")
        assert socket.gethostname() in page.content()
        assert ADA in page.content()
        page.click("text=Let it in")
        page.wait_for_selector("text=You are signed in")
        assert urlsplit(page.url).hostname == "127.0.0.1"
        shown, _ = command.communicate(timeout=90)
        assert command.returncode == 0, shown
    assert f"signed in at {desk.it.url} as {ADA}" in shown
    assert desk.token not in shown
    assert desk.file.stat().st_mode & 0o777 == 0o600
    assert desk.run("whoami").stdout.splitlines()[:2] == [f"{ADA} (person) at {desk.it.url}", "  own everything"]
    with desk.it.client(desk.token) as mine:
        (session,) = [each for each in mine.get("/sessions").json()["items"] if "keywright on" in each["agent"]]
    assert session["method"] == "password"
    signed_out = desk.run("logout")
    assert (signed_out.returncode, signed_out.stdout) == (0, "signed out\n")
    assert not desk.file.exists()
    assert desk.it.client(f"kw_{session['id']}_{'a' * 43}").get("/me").status_code == 401
    assert desk.run("whoami").returncode == 3


def test_refused_in_the_browser(desk: Desk) -> None:
    with browsing(desk.it.url) as page, desk.start("login") as command:
        page.goto(desk.opened())
        sign_in(page)
        page.click("text=Do not")
        page.wait_for_selector("text=Not signed in")
        shown, _ = command.communicate(timeout=90)
    assert command.returncode == 3
    assert "refused in the browser" in shown
    assert not desk.file.exists()


def test_by_a_browser_elsewhere(desk: Desk) -> None:
    with browsing(desk.it.url) as page, desk.start("login", "--device", terminal=False) as command:
        assert command.stdout is not None
        line = command.stdout.readline()
        code = line.split()[-1]
        assert "/oauth/device " in line
        page.goto("/oauth/device")
        sign_in(page)
        page.fill("input[name=code]", code.lower())
        page.click("text=Go on")
        page.wait_for_selector("text=Let a computer in?")
        for told in (code, socket.gethostname(), "Did somebody send you a code"):
            assert told in page.content()
        page.click("text=Let it in")
        page.wait_for_selector("text=It is let in")
        shown, _ = command.communicate(timeout=90)
    assert command.returncode == 0, shown
    assert desk.token not in line + shown + command_lines()
    assert desk.run("whoami").stdout.startswith(f"{ADA} (person)")


def test_on_a_connection_from_elsewhere_the_code_is_the_way(desk: Desk) -> None:
    with desk.start("login", SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22") as command:
        assert command.stdout is not None
        assert "as with --device" in command.stdout.readline()
        assert "/oauth/device" in command.stdout.readline()
        command.terminate()


def callback(address: str, **said: str) -> httpx2.Response:
    """Somebody on this computer asks at the port that the command listens on."""
    asked = dict(parse_qsl(urlsplit(address).query))
    answer = {"code": "a" * 43, "state": asked["state"], "iss": "…"} | said
    host = said.pop("host", urlsplit(asked["redirect_uri"]).netloc)
    return httpx2.get(asked["redirect_uri"], params=answer, headers={"Host": host}, trust_env=False, timeout=30)


def test_only_the_answer_that_was_waited_for_is_taken(desk: Desk) -> None:
    """Login CSRF on the command's side: any page can send a browser to the port that it listens on."""
    with desk.start("login") as command:
        address = desk.opened()
        for wrong in (
            {"state": "s" * 32, "iss": desk.it.url},
            {"state": "", "iss": desk.it.url},
            {"iss": "https://evil.example"},
            {"iss": desk.it.url, "host": "evil.example"},
        ):
            assert callback(address, **wrong).status_code == 404
        assert command.poll() is None
        # The code of somebody else, with everything that a page could know by spying: the verifier does not go with it.
        assert callback(address, iss=desk.it.url).status_code == 200
        shown, _ = command.communicate(timeout=90)
    assert command.returncode == 3
    assert "run `keywright login` again" in shown
    assert not desk.file.exists()


def test_what_ended_is_told(desk: Desk) -> None:
    allowed = by_hand(desk)
    assert desk.run("whoami").returncode == 0
    desk.it.client(allowed).delete("/session")
    told = desk.run("whoami")
    assert told.returncode == 3
    assert told.stderr == f"keywright: the login at {desk.it.url} has ended, or was taken away: run `keywright login`\n"
    told = desk.run("get", "x", "--env", "production")
    assert (told.returncode, "has ended" in told.stderr) == (3, True)
    assert desk.run("logout").stdout == "signed out\n"


def test_a_token_of_the_process_goes_first(desk: Desk) -> None:
    by_hand(desk)
    told = desk.run("whoami", KEYWRIGHT_TOKEN=desk.it.owner)
    assert told.stdout.startswith("owner (machine)")


def by_hand(desk: Desk) -> str:
    """A session for the command, without it: the text."""
    from keywright import login

    answer = desk.it.nobody().post("/session", json={"email": ADA, "password": PASSWORD})
    text = str(next(iter(answer.cookies.jar)).value)
    login.write(desk.file, login.Login(desk.it.url, text, session=True))
    return text
