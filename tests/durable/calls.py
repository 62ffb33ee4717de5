"""System calls as strace(1) writes them down, with `-f -ttt -T -y`; those that failed are left out.

Times are microseconds. A call began when strace saw it enter and ended when strace saw it leave; its thread stood still
both times, so whatever that thread does next, and whoever it wakes, comes after.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMMAND = ("strace", "-f", "-ttt", "-T", "-y", "-s", "70000")
CALLS = "trace=fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64,recvfrom,read"
_LINE = re.compile(r"(\d+) +(\d+)\.(\d{6}) (\w+)\(\d+<(.*?)>(?:, ?(.*))?\) += \d+ <(\d+)\.(\d{6})>")
_CUT = re.compile(r"(\d+) +(\d+\.\d{6}) (.*?) ?<unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +\d+\.\d{6} <\.\.\. \w+ resumed> ?(.*)$")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Call:
    """One call on an open file: `file` is its path, or `socket:[…]`."""

    pid: int
    began: int
    ended: int
    name: str
    file: str
    data: bytes

    @property
    def on_socket(self) -> bool:
        """Is it about a socket?"""
        return self.file.startswith(("socket:", "TCP:", "UNIX"))


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """Those that are about an open file, as they ended."""
    for line in _whole(lines):
        if found := _LINE.match(line):
            pid, seconds, parts, name, file, rest, took, took_parts = found.groups()
            began = int(seconds) * 1_000_000 + int(parts)
            data = b"".join(map(plain, _TEXT.findall(rest or "")))
            yield Call(int(pid), began, began + int(took) * 1_000_000 + int(took_parts), name, file, data)


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """A call during which something else was to be written down is in two lines."""
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        if cut := _CUT.match(line):
            begun[cut[1]] = (cut[2], cut[3])
        elif (resumed := _RESUMED.match(line)) and resumed[1] in begun:
            when, beginning = begun.pop(resumed[1])
            yield f"{resumed[1]} {when} {beginning}{resumed[2]}"
        else:
            yield line


def plain(text: str) -> bytes:
    """The bytes that a C string, as strace shows it, stands for."""
    return codecs.escape_decode(text.encode("latin-1"))[0]  # type: ignore[attr-defined,no-any-return]
