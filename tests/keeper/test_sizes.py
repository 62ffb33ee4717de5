"""What one fetch may cost: an event loop opens and composes it, and everybody else waits meanwhile."""

import pytest

from service.core.errors import Invalid, TooLarge
from service.core.variable import LONGEST_VALUE, MOST_PARTS, ValueKind, fill, parse_template
from service.keeper.tokens import SYSTEM
from service.keeper.values import LARGEST, Wanted
from service.wiring import Service
from tests.ledger.homes import Home, environment, put


@pytest.fixture
def service(sqlite_home: Home) -> Service:
    made = sqlite_home.service()
    environment(made)
    return made


def fetch(service: Service, wanted: Wanted) -> int:
    found, _ = service.keeper.values.fetch(SYSTEM, "production", wanted)
    return sum(len(it.text.reveal()) for it in found)


def test_a_template_has_so_many_placeholders(service: Service) -> None:
    put(service, "a", "x")
    put(service, "t", "${a}" * MOST_PARTS, kind=ValueKind.TEMPLATE)
    assert fetch(service, Wanted(("t",))) == MOST_PARTS + 2
    with pytest.raises(Invalid, match=f"more than {MOST_PARTS} placeholders"):
        put(service, "t", "${a}" * (MOST_PARTS + 1), kind=ValueKind.TEMPLATE)
    assert fetch(service, Wanted(("t",))) == MOST_PARTS + 2


def test_what_is_too_long_is_not_put_together(service: Service) -> None:
    put(service, "a", "x" * (LONGEST_VALUE // 2))
    put(service, "t", "${a}${a}", kind=ValueKind.TEMPLATE)
    assert fetch(service, Wanted(("t",))) == LONGEST_VALUE + 2
    put(service, "t", "${a}-${a}", kind=ValueKind.TEMPLATE)
    with pytest.raises(TooLarge, match="variable t: the composed value is longer"):
        fetch(service, Wanted(("t",)))


def test_long_is_counted_in_bytes_and_before_anything_is_joined() -> None:
    class Counting(str):
        """A text that must not be joined."""

        __slots__ = ()

        def __len__(self) -> int:
            return LONGEST_VALUE

    parts = parse_template("${a}${b}")
    with pytest.raises(TooLarge):
        fill(parts, dict.fromkeys(parts, Counting("x")))
    (part,) = (each for each in parse_template("${a}") if each)
    assert fill((part,), {part: "é" * (LONGEST_VALUE // 2)})
    with pytest.raises(TooLarge):
        fill((part,), {part: "é" * (LONGEST_VALUE // 2) + "x"})


def test_an_answer_has_so_many_bytes(service: Service) -> None:
    number = LARGEST // LONGEST_VALUE
    for each in range(number + 1):
        put(service, f"long/{each}", "x" * (LONGEST_VALUE - 100))
    names = tuple(f"long/{each}" for each in range(number))
    assert fetch(service, Wanted(names)) > LARGEST * 0.99
    with pytest.raises(TooLarge, match="ask for fewer"):
        fetch(service, Wanted(folder="long"))


def test_composed_values_are_counted_too(service: Service) -> None:
    number = LARGEST // LONGEST_VALUE + 2
    put(service, "a", "x" * (LONGEST_VALUE // 2))
    for each in range(number):
        put(service, f"long/{each}", "${a}${a}", kind=ValueKind.TEMPLATE)
    with pytest.raises(TooLarge, match="ask for fewer"):
        fetch(service, Wanted(folder="long"))
