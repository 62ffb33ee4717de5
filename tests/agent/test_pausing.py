"""Pauses grow, end at a limit, and leave half to chance."""

from keywright.agent.pausing import LONGEST, chance, pause


def test_pauses_double_up_to_a_limit() -> None:
    assert [pause(n, lambda: 1.0) for n in range(1, 8)] == [1, 2, 4, 8, 16, LONGEST, LONGEST]
    assert pause(10_000, lambda: 1.0) == LONGEST
    assert pause(10, lambda: 1.0, longest=3) == 3


def test_half_of_a_pause_is_left_to_chance_and_none_is_nothing() -> None:
    assert [pause(n, lambda: 0.0) for n in (1, 2, 99)] == [0.5, 1, LONGEST / 2]
    assert 0 <= chance() < 1
    assert len({chance() for _ in range(10)}) > 1
