"""The agent's configuration: every mistake is told by its place."""

import os
from pathlib import Path

import pytest
from keywright import Invalid
from keywright.agent.child import OnChange
from keywright.agent.configuration import Configuration, read

ONE = '[[template]]\ntemplate = "x"\ndestination = "out"\n'


def given(folder: Path, text: str, **environ: str) -> Configuration:
    (folder / "a.toml").write_text(text)
    return read(folder / "a.toml", environ)


def test_everything(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("hello")
    it = given(
        tmp_path,
        """
        address = "https://keywright.example"
        environment = "production"
        token_file = "token"
        status = "/run/agent.status"
        [[template]]
        source = "x.j2"
        destination = "out/x"
        mode = "0640"
        owner = "root"
        group = "0"
        command = ["systemctl", "reload", "shop"]
        timeout = 5
        on_error = "stop"
        [[template]]
        template = "{{ value('a') }}"
        destination = "/etc/y"
        [exec]
        command = ["serve"]
        on_change = "signal"
        signal = "SIGUSR1"
        grace = 2.5
        [exec.environment]
        URL = "{{ value('u') }}"
        [cache]
        file = "cache"
        """,
        KEYWRIGHT_AGENT_KEY_FILE="/key",
    )
    first, second = it.files
    assert (first.source, first.destination.path, first.destination.mode) == ("hello", tmp_path / "out" / "x", 0o640)
    assert (first.destination.owner, first.destination.group, first.timeout, first.stop) == (0, 0, 5, True)
    assert first.command == ("systemctl", "reload", "shop")
    assert (second.destination.path, second.destination.mode, second.stop) == (Path("/etc/y"), 0o600, False)
    assert it.program is not None
    assert (it.program.rules.on_change, it.program.rules.signal, it.program.rules.grace) == (OnChange.SIGNAL, 10, 2.5)
    assert it.program.environment == {"URL": "{{ value('u') }}"}
    assert it.kept is not None
    assert (it.kept.file, it.kept.key_file, it.token_file) == (tmp_path / "cache", Path("/key"), tmp_path / "token")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = \ny = 1", r"is not TOML: .*line 1"),
        ("", "there is nothing to do"),
        (ONE + "colour = 1", r"template 1 \(.*/out\): colour is not known here"),
        ("colour = 1\n" + ONE, "colour is not known here"),
        (ONE.replace("template =", "templte ="), r"template 1 \(.*/out\): templte is not known here"),
        (ONE.replace("destination", "destinaton"), "template 1: destinaton is not known here"),
        (ONE.replace("[[template]]", "[[tempalte]]"), "tempalte is not known here"),
        (ONE + '[exec]\ncomand = ["x"]', "exec: comand is not known here"),
        (ONE + '[cache]\nfiel = "x"', "cache: fiel is not known here"),
        (ONE * 2, "two templates have the destination"),
        (ONE.replace('"out"', "5"), "template 1: destination is a whole number, and should be text"),
        ('[[template]]\ntemplate = "x"', "template 1: destination is missing"),
        ('[[template]]\ntemplate = ""\ndestination = "out"', "template is empty"),
        ('[[template]]\ndestination = "out"', "source or template is needed"),
        (ONE + 'source = "x"', "source or template is needed, and not both"),
        ('[[template]]\nsource = "none"\ndestination = "out"', "none cannot be read: No such file"),
        ('[[template]]\ntemplate = "x"\ndestination = "out/.."', "names no file"),
        (ONE + "mode = 640", "mode is a whole number, and should be text"),
        (ONE + 'mode = "0666"', "not for everybody to write"),
        (ONE + 'mode = "4755"', "octal text"),
        (ONE + 'owner = "nobody-of-that-name"', "owner names nobody on this machine"),
        (ONE + 'command = "reload me"', "command is text, and should be a list"),
        (ONE + "command = []", "the program first"),
        (ONE + 'command = ["x", 5]', "list of texts"),
        (ONE + "timeout = -1", "timeout is a number of seconds from 0"),
        (ONE + "timeout = true", "timeout is true or false, and should be a whole number or a number"),
        (ONE + "timeout = nan", "timeout is a number of seconds"),
        (ONE + 'on_error = "panic"', "on_error is one of keep, stop"),
        ("template = 5", "template is a whole number, and should be a list"),
        ("template = [5]", "template 1 is a whole number, and should be a table"),
        (ONE + "[exec]", "exec: command is missing"),
        (ONE + '[exec]\ncommand = ["x"]\nsignal = "HUP"', "signal is for on_change"),
        (ONE + '[exec]\ncommand = ["x"]\non_change = "signal"\nsignal = "KILL"', "is not the name of a signal"),
        (ONE + '[exec]\ncommand = ["x"]\n[exec.environment]\n"A B" = "x"', "exec.environment: A B is not a name"),
        (ONE + '[exec]\ncommand = ["x"]\n[exec.environment]\nA = 1', "exec.environment: A is a whole number"),
        (ONE + '[cache]\nfile = "x"', "cache: key_file is missing"),
        (ONE + '[cache]\nkey_file = "x"', "cache: file is missing"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        given(tmp_path, text)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        read(tmp_path / "none", {})
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(Invalid, match="not UTF-8"):
        read(tmp_path / "bad", {})
    (tmp_path / "huge").write_bytes(b"#" * 2_000_000)
    with pytest.raises(Invalid, match="larger than"):
        read(tmp_path / "huge", {})
    os.mkdir(tmp_path / "folder")
    with pytest.raises(Invalid, match="Is a directory"):
        read(tmp_path / "folder", {})
