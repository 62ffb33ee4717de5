"""The agent's configuration, a TOML file. Paths in it that are relative begin at its own folder.

address = "https://…"   environment = "…"   token_file = "…"   ca = "…"      else as every command finds them
status = "/run/…"                                                          for `keywright agent --status`
[[template]]   source = "…" | template = "…"   destination = "…"   mode = "0600"   owner, group   command = […]
               timeout = 30   on_error = "keep" | "stop"
[exec]         command = […]   on_change = "restart" | "signal" | "log"   signal = "HUP"   grace = 10
[exec.environment]   NAME = "a template"
[cache]        file = "…"   key_file = "…"                                   or KEYWRIGHT_AGENT_KEY_FILE
"""

import grp
import pwd
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keywright.agent import signals
from keywright.agent.child import OnChange, Rules
from keywright.agent.destination import Destination
from keywright.agent.section import Section
from keywright.errors import Invalid

KEY_FILE = "KEYWRIGHT_AGENT_KEY_FILE"
MOST_TEMPLATES = 200
_TOP = ("address", "environment", "token_file", "ca", "status", "template", "exec", "cache")
_TEMPLATE = ("source", "template", "destination", "mode", "owner", "group", "command", "timeout", "on_error")
_EXEC = ("command", "environment", "on_change", "signal", "grace")
_CACHE = ("file", "key_file")
_LARGEST = 1024 * 1024  # bytes of the configuration, or of a template's source
_ENTRY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODE = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True)
class File:
    """A file that is rendered. `stop`: the agent ends when it cannot be, else what is there stays."""

    source: str = field(repr=False)
    destination: Destination
    command: tuple[str, ...] | None
    timeout: float
    stop: bool

    @property
    def name(self) -> str:
        """Told in logs and errors."""
        return str(self.destination.path)


@dataclass(frozen=True)
class Exec:
    """A program that is run beside. `environment`: templates of entries."""

    command: tuple[str, ...]
    rules: Rules
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Kept:
    """Where the last known values are sealed, and the file with the key."""

    file: Path
    key_file: Path


@dataclass(frozen=True)
class Configuration:
    """All of it. What is None is discovered."""

    address: str | None
    environment: str | None
    token_file: Path | None
    ca: str | None
    status: Path | None
    files: tuple[File, ...]
    program: Exec | None
    kept: Kept | None


def read(file: Path, environ: Mapping[str, str]) -> Configuration:
    """Raises Invalid naming key and place, or the line."""
    text = content_of(file)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{file} is not TOML: {error}", field="config") from None
    try:
        return _whole(Section("", content, _TOP), file.absolute().parent, environ)
    except Invalid as error:
        raise Invalid(f"{file}: {error.message}", field=error.field) from None


def content_of(file: Path) -> str:
    """A small text file. Raises Invalid."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise Invalid(f"{file} is larger than {_LARGEST:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{file} is not UTF-8") from None


def _whole(top: Section, folder: Path, environ: Mapping[str, str]) -> Configuration:
    files = tuple(_file(entry, number, folder) for number, entry in enumerate(top.sections("template"), 1))
    if len(files) > MOST_TEMPLATES:
        raise Invalid(f"there are more than {MOST_TEMPLATES} templates: use several agents", field="template")
    places: set[Path] = set()
    for each in files:
        if each.destination.path in places:
            raise Invalid(f"two templates have the destination {each.name}", field="destination")
        places.add(each.destination.path)
    program, cache = top.section("exec", _EXEC), top.section("cache", _CACHE)
    found = Configuration(
        address=top.text("address"),
        environment=top.text("environment"),
        token_file=_path(top.text("token_file"), folder),
        ca=top.text("ca"),
        status=_path(top.text("status"), folder),
        files=files,
        program=_exec(program) if program else None,
        kept=_kept(cache, folder, environ) if cache else None,
    )
    if not files and not (found.program and found.program.environment):
        raise Invalid("there is nothing to do: it has no [[template]] and no [exec.environment]", field="template")
    return found


def _file(entry: Any, number: int, folder: Path) -> File:
    place = f"template {number}"
    if isinstance(entry, dict) and isinstance(entry.get("destination"), str):
        place += f" ({folder / entry['destination']})"
    it = Section(place, entry, _TEMPLATE)
    destination = folder / it.needed("destination")
    if not destination.name or destination.name == "..":
        raise it.wrong("destination", "names no file")
    source, inline = _path(it.text("source"), folder), it.text("template")
    if (source is None) == (inline is None):
        raise it.wrong("source", "or template is needed, and not both")
    mode = it.text("mode") or "0600"
    if not _MODE.fullmatch(mode) or int(mode, 8) & 0o002:
        raise it.wrong("mode", 'is octal text such as "0640", and not for everybody to write')
    return File(
        source=content_of(source) if source else inline or "",
        destination=Destination(destination, int(mode, 8), _number(it, "owner", _user), _number(it, "group", _group)),
        command=it.words("command"),
        timeout=it.seconds("timeout", 30.0, 3600),
        stop=it.word("on_error", {"keep": False, "stop": True}, False),
    )


def _exec(it: Section) -> Exec:
    command = it.words("command")
    if command is None:
        raise it.wrong("command", "is missing")
    entries = it.section("environment", None)
    environment = entries.texts() if entries else {}
    for name in environment:
        if entries and not _ENTRY.fullmatch(name):
            raise entries.wrong(name, "is not a name for a process environment")
    on_change = it.word("on_change", {str(each): each for each in OnChange}, OnChange.RESTART)
    wished = it.text("signal")
    try:
        number = signals.named(wished or "HUP")
    except ValueError as error:
        raise it.wrong("signal", str(error)) from None
    if wished and on_change is not OnChange.SIGNAL:
        raise it.wrong("signal", 'is for on_change = "signal"')
    return Exec(command, Rules(on_change, number, it.seconds("grace", 10.0, 3600)), environment)


def _kept(it: Section, folder: Path, environ: Mapping[str, str]) -> Kept:
    file = folder / it.needed("file")
    key_file = _path(it.text("key_file"), folder) or _path(environ.get(KEY_FILE) or None, Path.cwd())
    if key_file is None:
        raise it.wrong("key_file", f"is missing: name it here or in {KEY_FILE}")
    return Kept(file, key_file)


def _path(text: str | None, folder: Path) -> Path | None:
    return None if text is None else folder / text


def _number(it: Section, key: str, look: Any) -> int | None:
    name = it.text(key)
    if name is None:
        return None
    try:
        return int(name) if name.isascii() and name.isdecimal() else int(look(name))
    except KeyError:
        raise it.wrong(key, f"names nobody on this machine: {name!r}") from None


def _user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group(name: str) -> int:
    return grp.getgrnam(name).gr_gid
