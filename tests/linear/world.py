"""A world: one environment with its tokens, as the ledger should hold it, and what every question is answered then.

Only one administrator changes it, one change after the other, so that its states are a list; which of them an
answer may come from is judged in `history.py`. An answer is what tells states apart: the values by name, the
generation of a credential with a mark that its definition holds, or the status of a refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TEMPLATE = "shop/BOTH"
PARTS = ("shop/A", "shop/B")
NAMES = (*PARTS, "other/C", TEMPLATE)
MARK = "fallback_application_name"
"""An option of libpq that changes nothing; tells definitions of a connection apart."""

Answer = str | tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """A fetch: by whose token, from which address, of what."""

    token: int
    address: str
    kind: str
    """`value`, `names`, `folder` or `credential`"""
    about: tuple[str, ...]

    def path(self, environment: str) -> str:
        """Where it is asked."""
        place = f"/environments/{environment}"
        match self.kind:
            case "value":
                return f"{place}/values/{self.about[0]}?"
            case "names":
                return f"{place}/values?names={','.join(self.about)}&"
            case "folder":
                return f"{place}/values?folder={self.about[0]}&"
            case _:
                return f"{place}/credentials/{self.about[0]}?"


@dataclass(frozen=True)
class State:
    """What answers depend on. A token that is not here was revoked, or not made yet."""

    exists: bool = True
    open_to: tuple[str, ...] = ()
    variables: Mapping[str, str | None] = field(default_factory=dict)
    """The live value; None where no version is live."""
    tokens: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """What each is granted: a folder, or `` for the whole environment."""
    connections: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Generation and mark."""

    def answer(self, question: Question) -> Answer:
        """What it must be answered in this state."""
        grants = self.tokens.get(question.token)
        if grants is None:
            return "401"
        if not self.exists or not grants:
            return "404"
        if self.open_to and question.address not in self.open_to:
            return "403"
        if question.kind == "credential":
            name = question.about[0]
            if name not in self.connections or not covered(grants, name):
                return "404"
            generation, mark = self.connections[name]
            return ((name, f"{generation} {mark}"),)
        if question.kind == "folder":
            inside = [n for n in self.variables if covered(frozenset(question.about), n)]
            return self._values([n for n in inside if covered(grants, n) and self.variables[n] is not None])
        if any(name not in self.variables or not covered(grants, name) for name in question.about):
            return "404"
        return self._values(question.about)

    def _values(self, names: Any) -> Answer:
        found = []
        for name in names:
            value = self.variables[name]
            if name == TEMPLATE and value is not None:
                parts = [self.variables.get(part) for part in PARTS]
                value = None if None in parts else "+".join(map(str, parts))
            if value is None:
                return "409"
            found.append((name, value))
        return tuple(sorted(found))

    def put(self, name: str, value: str | None) -> "State":
        """With this live value."""
        return replace(self, variables={**self.variables, name: value})

    def without(self, name: str) -> "State":
        """Without a variable."""
        return replace(self, variables={n: v for n, v in self.variables.items() if n != name})

    def granted(self, token: int, *grants: str) -> "State":
        """With a token that has exactly these."""
        return replace(self, tokens={**self.tokens, token: frozenset(grants)})

    def revoked(self, token: int) -> "State":
        """Without a token."""
        return replace(self, tokens={t: g for t, g in self.tokens.items() if t != token})

    def connected(self, name: str, known: tuple[int, str] | None) -> "State":
        """With a connection's generation and mark, or without the connection."""
        others = {n: k for n, k in self.connections.items() if n != name}
        return replace(self, connections=others | ({name: known} if known else {}))

    def gone(self) -> "State":
        """Without the environment: what lay in it and the grants on it are gone, too."""
        return State(exists=False, tokens={token: frozenset() for token in self.tokens})


def covered(folders: frozenset[str], name: str) -> bool:
    """Does one of the folders hold the name?"""
    return any(not folder or name.startswith(f"{folder}/") for folder in folders)


def answer_in(status: int, kind: str, body: Any) -> Answer:
    """What a reply says."""
    if status != 200:
        return str(status)
    match kind:
        case "value":
            return ((body["name"], body["value"]),)
        case "credential":
            return ((body["connection"], f"{body['generation']} {body['options'].get(MARK, '')}"),)
        case _:
            return tuple(sorted((each["name"], each["value"]) for each in body["values"]))
