"""The history of a world, and the judgement on it.

The changes of a world are made one after the other: between the invocation of one and its answer it takes effect, so
the states that a fetch may have been answered from are those from the last change answered before it began to the
last change begun before it ended. An answer that none of them gives is

    stale     that of an earlier state only: the fetch began after the change had been answered
    early     that of a later state only: the fetch ended before the change was begun
    torn      that of no state: made of several
    inverted  that of one of them, but of an earlier one than a fetch which had ended before this one began
    asleep    stale, of one that waited: it was not woken, and said at its end that nothing had changed
    slipped   not that of the state at its event's place in the log (see `judged_by_the_log`)
"""

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.linear.world import Answer, Question, State

KINDS = ("stale", "early", "torn", "inverted", "asleep", "slipped")


@dataclass(frozen=True)
class Change:
    """One change: when it was asked for, when it was answered, and what holds from then on."""

    began: int
    ended: int
    what: str
    after: State
    mark: str
    """The id of its request, as its event has it; or, of a rotation, the id of that."""


@dataclass(frozen=True)
class Fetch:
    """One fetch with its answer. `waits` is how many nanoseconds it was to wait for a change; `same` if it was 304."""

    began: int
    ended: int
    question: Question
    answer: Answer
    request_id: str
    replica: int
    waits: int = 0
    same: bool = False

    def __str__(self) -> str:
        how = "304 " if self.same else ""
        return f"{self.question} on replica {self.replica}, request {self.request_id}: {how}{self.answer}"


@dataclass
class Judgement:
    """How many of each kind, the first few as sentences, and how many fetches raced a change."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    races: int = 0

    def found(self, kind: str, fetch: Fetch, change: Change | None) -> None:
        """Count one."""
        self.counts[kind] += 1
        if self.counts[kind] <= 5:
            after = f" after {change.what} (request {change.mark})" if change else " before any change"
            self.shown.append(f"{kind}: {fetch}{after}")

    def add(self, other: "Judgement") -> None:
        """Both."""
        self.counts += other.counts
        self.shown += other.shown
        self.races += other.races


def judged(first: State, changes: Sequence[Change], fetches: Sequence[Fetch]) -> Judgement:
    """By time alone: whether one order of everything explains every answer, and agrees with the clock."""
    states = [first, *(change.after for change in changes)]
    begun, ended = [c.began for c in changes], [c.ended for c in changes]
    verdict = Judgement()
    latest, open_ones = 0, list[tuple[int, int]]()
    for fetch in sorted(fetches, key=lambda f: f.began):
        low, high = bisect_left(ended, fetch.began), bisect_left(begun, fetch.ended)
        verdict.races += high - low
        while open_ones and open_ones[0][0] < fetch.began:
            latest = max(latest, heapq.heappop(open_ones)[1])
        fitting = [n for n in range(low, high + 1) if states[n].answer(fetch.question) == fetch.answer]
        if not fitting:
            verdict.found(_kind(states, low, high, fetch), fetch, changes[low - 1] if low else None)
            continue
        # One that waited looked again at its end; half of the time is more than it takes to look.
        looked = bisect_left(ended, fetch.began + fetch.waits // 2)
        if fetch.same and fetch.waits and fitting[-1] < looked:
            verdict.found("asleep", fetch, changes[looked - 1])
        place = next((n for n in fitting if n >= latest), None)
        if place is None:
            verdict.found("inverted", fetch, changes[latest - 1])
        else:
            heapq.heappush(open_ones, (fetch.ended, place))
    return verdict


def _kind(states: Sequence[State], low: int, high: int, fetch: Fetch) -> str:
    if any(state.answer(fetch.question) == fetch.answer for state in states[:low]):
        return "stale"
    if any(state.answer(fetch.question) == fetch.answer for state in states[high + 1 :]):
        return "early"
    return "torn"


def judged_by_the_log(
    first: State, changes: Sequence[Change], fetches: Sequence[Fetch], log: Mapping[str, int]
) -> Judgement:
    """By the log: every fetch that it holds was answered from the state at that very place.

    `log` has the sequence number of the event of each mark. Fetches without one are left out: polls, and refusals.
    """
    states = [first, *(change.after for change in changes)]
    places = [log[change.mark] for change in changes]
    verdict = Judgement()
    for fetch in fetches:
        if fetch.request_id in log:
            place = bisect_left(places, log[fetch.request_id])
            if states[place].answer(fetch.question) != fetch.answer:
                verdict.found("slipped", fetch, changes[place - 1] if place else None)
    return verdict
