"""The audit itself: each kind of misfit in a log that is made up, and none in one that is right."""

from typing import Any

import pytest

from tests.durable.audit import FETCH, Audit
from tests.durable.client import ABSENT, DIGITS, Asked, number_of, spelt


class Log:
    """Answers like a line to a server with this log, its events numbered from 1."""

    status = 200

    def __init__(self, *events: tuple[str, str, str], whole: bool = True) -> None:
        self.events = [
            {"id": str(n), "resource": what, "request": request, "outcome": outcome}
            for n, (what, request, outcome) in enumerate(events, 1)
        ]
        self.whole = whole

    def ask(self, method: str, path: str) -> "Log":
        self.asked = path
        return self

    def json(self) -> Any:
        if "verify" in self.asked:
            return {"whole": self.whole, "events": len(self.events)}
        assert f"action={FETCH}" in self.asked
        return {"items": self.events[::-1], "next": None}


def audited(log: Log, *asked: Asked) -> Audit:
    audit = Audit(log)  # type: ignore[arg-type]
    audit.check(asked)
    return audit


EVENT = (spelt(5), "id", "allowed")


def test_what_is_right() -> None:
    log = Log(EVENT, (f"{ABSENT}6", "id6", "refused"), (spelt(7), "id7", "allowed"), (DIGITS[0], "other", "allowed"))
    audit = audited(log, Asked(5, 200, "id"), Asked(6, 404, "id6"), Asked(7, 0), Asked(8, 0), Asked(9, 304, "id9"))
    assert audit.wrong == []
    assert {"answers": 2, "polls": 1, "lost": 2, "orphans": 1}.items() <= audit.counts.items()
    audit.check([])
    assert audit.wrong == []


@pytest.mark.parametrize(
    ("kind", "log", "asked"),
    [
        ("missing", Log(), Asked(5, 200, "id")),
        ("missing", Log((spelt(5), "other", "allowed")), Asked(5, 200, "id")),
        ("missing", Log((spelt(5), "id", "refused")), Asked(5, 200, "id")),
        ("repeated", Log(EVENT, EVENT), Asked(5, 200, "id")),
        ("repeated", Log(EVENT, EVENT), Asked(5, 0)),
        ("foreign", Log(EVENT), Asked(6, 0)),
        ("foreign", Log(("shop/else", "id", "allowed")), Asked(6, 0)),
        ("foreign", Log(EVENT), Asked(5, 0, "other")),
        ("foreign", Log(), Asked(5, 500, "id")),
        ("spoken", Log((DIGITS[0], "id", "allowed")), Asked(5, 304, "id")),
        ("broken", Log(whole=False), Asked(5, 0)),
    ],
)
def test_what_does_not_fit(kind: str, log: Log, asked: Asked) -> None:
    audit = audited(log, asked)
    assert [text.split(":")[0] for text in audit.wrong] == [kind]


def test_a_log_that_is_shorter_than_it_was() -> None:
    log = Log(EVENT)
    audit = audited(log, Asked(5, 200, "id"))
    log.events.clear()
    audit.check([])
    assert [text.split(":")[0] for text in audit.wrong] == ["broken"]


def test_numbers_are_spelt_by_names() -> None:
    assert [number_of(spelt(n)) for n in (2, 3, 77, 123456)] == [2, 3, 77, 123456]
    assert number_of(f"{ABSENT}9") == 9
    assert number_of("shop/else") is None
