"""The one file of where Keywright answers otherwise than OpenBao, `differences.toml`, held against what is seen.

    [[difference]]
    calls = ["read a secret"]        names that tests give their calls
    at = "body.data.metadata.*"      where, a pattern as of a shell, or a list of them
    openbao = "null"                 what stands there on each side, patterns as well
    keywright = "absent"
    reason = "why it is so, and why that is no harm"

A difference that is not in the file fails the test that sees it, and so does an entry that is no difference any more,
or one of its patterns.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from tests.vault.shapes import Difference

FILE = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Entry:
    """One decision, about one place of an answer; one of several that have one reason."""

    calls: tuple[str, ...]
    at: str
    openbao: str
    keywright: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Is it this one?"""
        wanted = (self.at, self.openbao, self.keywright)
        return all(fnmatchcase(seen, pattern) for seen, pattern in zip(difference, wanted, strict=True))


@cache
def entries() -> tuple[Entry, ...]:
    """All of them, in the order of the file."""
    found = tomllib.loads(FILE.read_text())["difference"]
    return tuple(
        Entry(**(entry | {"calls": tuple(entry["calls"]), "at": at}))
        for entry in found
        for at in ([entry["at"]] if isinstance(entry["at"], str) else entry["at"])
    )


def judge(call: str, seen: Sequence[Difference], known: Sequence[Entry]) -> list[str]:
    """What is wrong between what was seen at a call and what is known; nothing, if each covers the other."""
    mine = [entry for entry in known if call in entry.calls]
    new = [difference for difference in seen if not any(entry.covers(difference) for entry in mine)]
    gone = [entry for entry in mine if not any(entry.covers(difference) for difference in seen)]
    return [
        *(f"{call}: {d.at} is {d.one} of OpenBao and {d.other} of Keywright, and no entry says why" for d in new),
        *(f"{call}: {e.at} is not {e.openbao} here and {e.keywright} there any more: remove the entry" for e in gone),
    ]
