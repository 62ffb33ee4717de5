"""What every operation needs, declared: one table in `needs/NOUN.toml` for each, named `METHOD /path`; or
several, `METHOD /path word`, where it depends on what is asked for.

    needs    `nothing`, `any caller`, or a level and what it is on: `edit variable`, `own everything`. What a `variable`
             is, and which grant is on it, says `things.py`
    sees     from which level on it is there for a caller (`use`). Below it, 404; from it on, below `needs`, 403
    body     a well-formed request, query
    query    likewise. `{name}`, `{environment}`, … are those of the thing, `{fresh}` is a new name each time
    granted  what it answers whoever may (200). It may be a 409, if that is said after the permission was judged
    fresh    a person has to have shown a second factor lately: 403 for one who did not, and for a person's token
    machine  what it answers a machine that may, if that is something else;
             session, a person who is signed in; own_token, a person by a token of its own
    endless  the answer does not end
    unseen   what it is answered for whom it is not there (404)
    media    the type of the body, if it is not plain JSON

Paths of the native door are told without `/api/v1`. Places of other doors are in `doors/*.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NATIVE = "/api/v1"
FOLDER = Path(__file__).with_name("needs")
LEVELS = ("use", "edit", "own")
NOTHING, ANY_CALLER = "nothing", "any caller"


@dataclass(frozen=True)
class Need:
    """Of one operation."""

    method: str
    path: str
    level: str
    """Empty where no grant is needed."""
    thing: str
    needs: str
    sees: str = "use"
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    granted: int = 200
    machine: int = 0
    session: int = 0
    own_token: int = 0
    fresh: bool = False
    word: str = ""
    endless: bool = False
    unseen: int = 404
    media: str = ""

    @property
    def key(self) -> str:
        """As it is declared."""
        return " ".join(filter(None, (self.method, self.path, self.word)))

    @property
    def operation(self) -> str:
        """As the OpenAPI document has it."""
        return f"{self.method} {self.path}"

    def expected(self, held: str | None, kind: str = "") -> int:
        """The status for a known caller of a kind (see above; `stale`: a session without a factor) with this level."""
        if self.level:
            if held is None or LEVELS.index(held) < LEVELS.index(self.sees):
                return self.unseen
            if LEVELS.index(held) < LEVELS.index(self.level):
                return 403
        if self.fresh and kind in ("stale", "own_token"):
            return 403
        session = self.session
        kinds = {"machine": self.machine, "session": session, "stale": session, "own_token": self.own_token}
        return kinds.get(kind) or self.granted


def key_of(method: str, path: str) -> str:
    """As an operation of the OpenAPI document is declared here."""
    return f"{method.upper()} {path.removeprefix(NATIVE)}"


def _need(key: str, said: dict[str, Any]) -> Need:
    method, path, *word = key.split(" ")
    needs = said.pop("needs")
    level, thing = ("", "everything") if needs in (NOTHING, ANY_CALLER) else needs.split(" ")
    assert not level or level in LEVELS, f"{key}: needs = {needs!r} is none of {NOTHING}, {ANY_CALLER}, LEVEL THING"
    return Need(method, path, level, said.pop("thing", thing), needs, word=" ".join(word), **said)


def declared(*files: Path) -> dict[str, Need]:
    """All of the native door, or what is in these files. Two files that declare the same operation fail."""
    found: dict[str, Need] = {}
    for file in files or sorted(FOLDER.glob("*.toml")):
        for key, said in tomllib.loads(file.read_text()).items():
            assert key not in found, f"{key} is declared twice: in {file.name}, and in another file"
            found[key] = _need(key, said)
    return found
