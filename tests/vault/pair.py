"""A pair: one real OpenBao and one Keywright that were prepared alike, asked the same by the same client.

    outcome = pair.both("read a secret", lambda side: side.hvac.secrets.kv.v2.read_secret_version("production/shop"))

Both are asked, every answer that went over the wire is compared with its counterpart, and what the client made of
them is handed back. A call's name is what `differences.toml` knows it by.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import hvac
import requests

from tests.vault.differences import entries, judge
from tests.vault.shapes import Difference, answered, differing

PATIENCE = 60
"""Seconds that an answer may take."""


@dataclass
class Side:
    """One server, and what things are called there. `answers` is all that came over the wire."""

    name: str
    address: str
    token: str
    words: Mapping[str, str] = field(default_factory=dict)
    answers: list[requests.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.hooks["response"].append(lambda answer, **_: self.answers.append(answer))
        self.hvac = self.client(self.token)

    def client(self, token: str | None, **more: Any) -> hvac.Client:
        """hvac with this token, or with none; its answers are kept as well."""
        # Nothing of the surroundings: hvac takes the empty text for a token that was given.
        return hvac.Client(self.address, token or "", session=self._session, timeout=PATIENCE, **more)

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = "", **headers: str
    ) -> requests.Response:
        """One call by hand; with the side's token, another one, or None at all. Header names take _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given.setdefault("X-Vault-Token", token or self.token)
        address = f"{self.address}/v1/{path}"
        return self._session.request(method, address, json=body, headers=given, timeout=PATIENCE)

    def close(self) -> None:
        """Let go of its connections."""
        self._session.close()


@dataclass(frozen=True)
class Outcome:
    """What came of one call: what the client returned or raised, and all answers."""

    value: Any
    error: Exception | None
    answers: tuple[requests.Response, ...]


@dataclass(frozen=True)
class Pair:
    """OpenBao, which sets the measure, and Keywright, which is measured."""

    openbao: Side
    keywright: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.openbao, self.keywright

    def both(self, name: str, call: Callable[[Side], Any]) -> Outcome:
        """Ask both, compare, and hand back Keywright's outcome. AssertionError names what is not alike."""
        one, other = (_outcome(side, call) for side in self.sides)
        wrong = judge(name, list(_compared(one, other)), entries())
        assert not wrong, "\n".join(wrong)
        return other

    def prepare(self, call: Callable[[Side], Any]) -> None:
        """Make both ready for what is compared next. Raises what the client raises."""
        for side in self.sides:
            call(side)


def _outcome(side: Side, call: Callable[[Side], Any]) -> Outcome:
    before = len(side.answers)
    value, error = None, None
    try:
        value = call(side)
    except hvac.exceptions.VaultError as raised:
        error = raised
    return Outcome(value, error, tuple(side.answers[before:]))


def _compared(one: Outcome, other: Outcome) -> Iterator[Difference]:
    """Answers first. Where a status differs, the rest of that answer says nothing that is worth a line."""
    if len(one.answers) != len(other.answers):
        yield Difference("answers", str(len(one.answers)), str(len(other.answers)))
    alike = True
    for pair in zip(one.answers, other.answers, strict=False):
        statuses = [str(answer.status_code) for answer in pair]
        if statuses[0] != statuses[1]:
            alike = False
            yield Difference("status", *statuses)
        else:
            yield from differing(*map(answered, pair))
    raised = [type(outcome.error).__name__ for outcome in (one, other)]
    if alike and raised[0] != raised[1]:
        yield Difference("raised", *raised)
