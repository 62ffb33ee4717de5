"""What a decision costs: may this person do that? Among three grants, and among a thousand by nested groups.

Both are the same question, put by turns, so that their ratio does not depend on the machine: a decision must not cost
more because somebody holds more. Rules are judged once for each request, beside it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from bench.run import Run
from service.core.access import CurrentUser, Grant, Grants, Kind, Level, Thing, never
from service.core.person import Group, Member, User, UserType
from service.keeper.rules import Context
from service.keeper.snapshot import person

GRANTS = 1000
GROUPS = 50
_DEEP = 10
_AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
_ASKED = 20_000
_RULE = "'on-call' in current_user.groups && request.address.within('10.0.0.0/8')"


def measure(run: Run) -> dict[str, Any]:
    """Microseconds for each decision, and for putting a person's grants together after a change."""
    turns = 9 if run.pace.rounds > 1 else 3
    few, many, whole = _grants(3), _person(), []
    costs: dict[str, list[float]] = {"few": [], "many": []}
    for _ in range(turns):
        costs["few"].append(_each(few))
        costs["many"].append(_each(many))
        whole.append(_cost(_person, 1))
    found = {name: median(each) for name, each in costs.items()}
    return {
        "few_us": found["few"],
        "many_us": found["many"],
        "ratio": found["many"] / found["few"],
        "together_us": median(whole),
        "rule_us": median(_cost(_ruled, 2000) for _ in range(turns)),
        "grants": GRANTS,
        "groups": GROUPS,
    }


def _each(held: Grants) -> float:
    """Of a variable three folders deep, of which one thousandth is granted, by turns with one that is not."""
    asked = [Thing(Kind.FOLDER, f"wall-{n % 7}", f"shop-{n % 997}/db/main/PASSWORD") for n in range(64)]

    def decide() -> None:
        for thing in asked:
            held.level(thing, never)

    return _cost(decide, _ASKED // len(asked)) / len(asked)


def _ruled() -> None:
    """A rule by its first judgement in a request, its program known."""
    user = CurrentUser("u", "ana@shop.example", "Ana", ("on-call", "staff"))
    Context(user, user.email, "person", "10.1.2.3", _AT).holds(_RULE)


def _cost(act: Callable[[], object], times: int) -> float:
    """Microseconds of processor time each: nothing is waited for, and other programs do not count."""
    act()
    began = time.thread_time()
    for _ in range(times):
        act()
    return (time.thread_time() - began) / times * 1e6


def _granted(number: int) -> Grant:
    return Grant(Level(1 + number % 3), Kind.FOLDER, f"wall-{number % 7}", f"shop-{number}/db")


def _grants(count: int) -> Grants:
    return Grants(map(_granted, range(count)))


def _person() -> Grants:
    """In groups that are in groups, ten deep, each with its share of the grants."""
    share = GRANTS // GROUPS
    groups = {
        f"g{n}": Group(
            f"g{n}",
            f"group-{n}",
            1,
            _AT,
            "bench",
            _AT,
            parents=(Member(f"g{n + 1}", "hand"),) if (n + 1) % _DEEP else (),
            grants=tuple(map(_granted, range(n * share, (n + 1) * share))),
        )
        for n in range(GROUPS)
    }
    joined = tuple(Member(f"g{n}", "hand") for n in range(0, GROUPS, _DEEP))
    user = User("u", "ana@shop.example", "Ana", True, UserType.LOCAL, {}, 1, _AT, "bench", _AT, memberships=joined)
    return person(user, groups).grants
