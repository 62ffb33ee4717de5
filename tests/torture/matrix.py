"""The crash matrix: every strategy, every point, one process killed there and another one that goes on.

First the points of an undisturbed run are counted, then a process is killed at each. With a ledger in PostgreSQL
processes are also *stopped* between the statements of a target, and woken when their successor is done.
"""

import json
import logging
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from service.core.rotation import Strategy
from service.keeper.tokens import SYSTEM
from service.wiring import build
from tests.torture import successor, victim
from tests.torture.forks import Fork, together
from tests.torture.points import Points
from tests.torture.site import COMBINATIONS, LEDGERS, Case, Site
from tests.torture.successor import Finding

Combination = tuple[str, Strategy, str, str]
"""Server, strategy, ledger, flow."""
EIGHTH = 8
"""Flows besides the plain one are tried at each eighth point: their steps are the plain one's but for a few."""
LOT, AT_ONCE = 40, 3
"""Cases in SQLite that one process furnishes, and how many such processes there are at once."""
ENDS = ("retired", "reverted", "abandoned")


@dataclass
class Matrix:
    """Runs cases and keeps what was found."""

    site: Site
    show: Callable[[str], None] = lambda text: None
    whole: bool = False
    """The whole product: every point of every flow of every strategy, on every server and both ledgers."""
    found: dict[Case, Finding] = field(default_factory=dict)
    kills: int = 0
    pauses: int = 0
    broken_chains: list[int] = field(default_factory=list)
    _number: int = 0

    def run(self, wanted: Iterable[Combination] | None = None, every: int = 1) -> None:
        """All of it, or what is wanted; with `every` only each so many-th point."""
        combinations = list(wanted or everything(whole=self.whole))
        self._warm_up(combinations)
        undisturbed = [self._case(*combination) for combination in combinations]
        self._together(undisturbed)
        killed, paused = self._chosen(undisturbed, every)
        self.show(f"{len(undisturbed)} undisturbed; {len(killed)} to kill, {len(paused)} to stop and wake")
        self._together(killed + paused)
        self.check_chains()

    def _chosen(self, undisturbed: list[Case], every: int) -> tuple[list[Case], list[Case]]:
        """Whom to kill where, and whom to stop."""
        killed, paused = [], []
        for case in undisturbed:
            stride, first = (1, 0) if self.whole else _share(case)
            for point, label in enumerate(self.found[case].points, start=1):
                like = (case.server, case.strategy, case.ledger, case.flow, point)
                if (point - first) % stride == 0 and ((point - first) // stride + case.number) % every == 0:
                    killed.append(self._case(*like))
                stops = case.ledger == "postgresql" and case.flow == "turn" and _in_a_change(label)
                if stops and (point + case.number) % every == 0:
                    paused.append(self._case(*like, pause=True))
        return killed, paused

    def check_chains(self) -> None:
        """Those of the ledgers that several cases shared; the others looked by themselves."""
        used = {case.number % self.site.shards for case in self.found if case.ledger == "postgresql"}
        for shard in sorted(used):
            service = build(self.site.ledger_settings(shard))
            if service.keeper.events.verify(SYSTEM).broken_at is not None:
                self.broken_chains.append(shard)
            service.close()

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be, a line each."""
        lines = [f"the chain of events of ledger {shard} is broken" for shard in self.broken_chains]
        for case, found in self.found.items():
            kind = "stopped" if case.pause else "killed"
            name = f"{case.server} {case.strategy.value} on {case.ledger}, {case.flow}, {kind} at {case.point}"
            lines += [f"{name} ({found.died}): {text}" for text in [*found.wrong, *found.failed]]
        return lines

    def table(self) -> list[str]:
        """Compact: a line for each server, strategy, flow and kind."""
        rows: dict[tuple[str, str, str, bool], Counter[str]] = {}
        for case, found in self.found.items():
            if not case.point:
                continue
            row = rows.setdefault(case.row, Counter())
            row["cases"] += 1
            row[found.stage or "lost"] += 1
            row["wrong"] += bool(found.wrong)
            row["failed"] += len(found.failed)
            row["logins"] += found.logins
        head = "server   strategy     flow     at a point  cases  retired reverted abandoned  wrong  failed/logins"
        lines = [head]
        for (server, strategy, flow, pause), row in sorted(rows.items()):
            ends = "".join(f"{row[end]:>9}" for end in ENDS)
            kind = "stopped" if pause else "killed"
            figures = f"{row['wrong']:>7}  {row['failed']}/{row['logins']}"
            lines.append(f"{server:8} {strategy:12} {flow:8} {kind:10} {row['cases']:>6} {ends} {figures}")
        return lines

    def _case(
        self, server: str, strategy: Strategy, ledger: str, flow: str, point: int = 0, *, pause: bool = False
    ) -> Case:
        self._number += 1
        return Case(self._number, server, strategy, ledger, flow, point, pause)

    def _warm_up(self, wanted: list[Combination]) -> None:
        """Rotations in this very process, so that those it forks find everything imported and compiled."""
        quiet = structlog.make_filtering_bound_logger(logging.WARNING)
        structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        kinds = {(server, strategy, ledger) for server, strategy, ledger, _ in wanted}
        cases = [self._case(*kind, flow="turn") for kind in sorted(kinds)]
        for case in cases:
            self.site.furnish([case])

        def turn(case: Case) -> None:
            victim.turn(self.site, case, Points())
            successor.run(self.site, case, os.getpid())

        threads = [threading.Thread(target=turn, args=(case,)) for case in cases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _furnish(self, cases: list[Case]) -> None:
        """By a few processes, many cases each."""
        lots: dict[tuple[str, int], list[Case]] = {}
        for number, case in enumerate(cases):
            lot = case.number % self.site.shards if case.ledger == "postgresql" else number // LOT
            lots.setdefault((case.ledger, lot), []).append(case)

        def story(name: str, lot: list[Case]) -> Iterator[Fork]:
            home = self.site.folder / name
            fork = Fork(lambda: self.site.furnish(lot), home)
            yield fork
            if fork.status:
                raise RuntimeError(f"cases were not furnished:\n{(home / 'log').read_text(errors='replace')}")
            shutil.rmtree(home)

        stories = [lambda lot=lot: story(f"lot-{lot[0].number}", lot) for lot in lots.values()]  # type: ignore[misc]
        together(stories, AT_ONCE)

    def _together(self, cases: list[Case]) -> None:
        self._furnish(cases)
        done, told = 0, time.monotonic()

        def story(case: Case) -> Iterator[Fork]:
            nonlocal done, told
            yield from self._story(case)
            done += 1
            if time.monotonic() - told > 10:
                told = time.monotonic()
                self.show(f"{done} of {len(cases)}; wrong so far: {len(self.wrong)}")

        together([lambda case=case: story(case) for case in cases])  # type: ignore[misc]

    def _story(self, case: Case) -> Iterator[Fork]:
        home = self.site.home(case)
        first = Fork(lambda: victim.run(self.site, case), home, stops=case.pause)
        yield first
        self.kills += first.killed
        self.pauses += first.stopped
        if first.killed or first.stopped or first.status == 0:
            yield Fork(lambda: successor.run(self.site, case, first.pid), home)
        reached = first.killed or first.stopped
        first.end()
        file = home / "found"
        if file.exists():
            found = Finding(**json.loads(file.read_text()))
        else:
            tail = (home / "log").read_text(errors="replace").strip().splitlines()[-1:]
            found = Finding(wrong=[f"a process of the harness failed: {' '.join(tail)}"])
        if case.point and not reached:
            found.died = "its point was not reached"
        self.found[case] = found
        if not found.wrong and not found.failed:
            self._clear(case)

    def _clear(self, case: Case) -> None:
        for file in self.site.home(case).iterdir():
            if file.name not in ("asked", "held") and file.is_file():
                file.unlink()


def everything(*, whole: bool = False) -> Iterator[Combination]:
    """Each strategy on each server, on both ledgers; every other flow on one of them, by turns, or on both."""
    for number, (server, strategy) in enumerate(COMBINATIONS):
        for ledger in LEDGERS:
            yield server, strategy, ledger, "turn"
        flows = ["undo", "restage", "lost", "powerless"]
        flows += ["itself"] if strategy is Strategy.SINGLE else ["revert"]
        for turn, flow in enumerate(flows):
            for ledger in LEDGERS if whole else (LEDGERS[(number + turn) % 2],):
                yield server, strategy, ledger, flow


def _share(case: Case) -> tuple[int, int]:
    """Which points: each so many-th, and the first of them.

    Where two servers have a strategy, one ledger takes the odd points on one of them and the even ones on the other: so
    every point is tried on each server, and on each ledger.
    """
    if case.flow != "turn":
        return EIGHTH, case.number % EIGHTH
    if case.strategy is Strategy.OVERLAPPING:
        return 1, 0
    return 2, ("pg15", "pg18", "mariadb").index(case.server) + LEDGERS.index(case.ledger)


def _in_a_change(label: str) -> bool:
    """Does something hang on it? A worker that stops while it only looks holds nothing in the target."""
    return not label.startswith("ledger") and not label.endswith(("connect", "close", "SELECT current_user::text,"))


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"torture: {text}", file=sys.stderr, flush=True)
