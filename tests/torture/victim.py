"""The victim: a process that runs one rotation, until it is killed at its point, or stopped there, or done.

What it was told to let applications have, and what it sent to the target, is noted in files of the case.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from service.core.errors import ChangeLost, ChangeRefused
from service.core.rotation import ENDED, Rotation, Stage
from service.keeper.tokens import SYSTEM
from service.ledger import rotations
from service.ways_out import Databases
from service.wiring import Service, build, utc_now
from tests.torture.doors import Doors
from tests.torture.holders import Holders, note
from tests.torture.points import Points
from tests.torture.site import Case, Site

PATIENCE = 90.0
STEP = 0.25
LONGEST_STEP = 1.5
"""Seconds between two looks at most: dozens of cases wait at once, and a look costs more than it tells."""
_CHANGES = ("set_password", "add_password", "join", "change_own")


class Actor:
    """A process of a case: a service on its ledger, and the hands to drive it."""

    def __init__(self, site: Site, case: Case, points: Points | None = None) -> None:
        self.site, self.case, self.points = site, case, points or Points()
        self.home = site.home(case)
        engines = Databases()
        target = site.targets[case.server].access("", "").target
        self.database: Any = engines[target.engine]
        self.doors = Doors(target)
        self._listen()
        self.service: Service = build(site.settings(case), with_databases=engines)
        self.holders = Holders(case.strategy, self.home / "held")
        self.flow = "turn"

    def _listen(self) -> None:
        """Note every password that the target is sent; refuse a plain one where the flow wants that."""
        for name in _CHANGES:
            if hasattr(self.database, name):
                setattr(self.database, name, self._noted(getattr(self.database, name)))

    def _noted(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            # Candidates come last but for the fence (and, in `change_own`, the question whether they work).
            passwords = [a.reveal() for a in args if hasattr(a, "reveal")]
            for password in passwords:
                note(self.home / "asked", password)
            if self.flow == "restage" and passwords[-1].isalnum():
                self.points.on = True
                raise ChangeRefused("the target wants a symbol in a password")
            made = change(*args)
            if self.flow == "lost":
                self.flow, self.points.on = "turn", True
                raise ChangeLost("no reply came")
            return made

        return noted

    def fetch(self) -> None:
        """Somebody is given an answer, and keeps it."""
        answer = self.service.keeper.credentials.one(SYSTEM, self.case.environment, "shop/db")
        pairs = [(entry.account.username, entry.account.password.reveal()) for entry in answer.entries]
        self.holders.given(tuple(zip(pairs, (entry.good_until for entry in answer.entries), strict=True)))

    def ask(self) -> None:
        """For a rotation."""
        story, _ = self.service.keeper.rotations.ask(SYSTEM, self.case.environment, "shop/db", "")
        note(self.home / "rotation", story.rotation.id)

    @cached_property
    def rotation_id(self) -> str:
        """Of the rotation that was asked for."""
        return (self.home / "rotation").read_text().strip()

    def latest(self) -> Rotation:
        """The case's rotation."""
        with self.service.ledger.read() as tx:
            found = rotations.find(tx, self.rotation_id)
        assert found is not None
        return found

    def work(self) -> bool:
        """One tick of the clock; whether there was anything to do."""
        claims = self.service.keeper.rotations.claim(f"process-{os.getpid()}", self.service.clock._lease, 10)
        for held in claims:
            self.service.rotator.advance(held)
        return bool(claims)

    def rest(self) -> None:
        """Until the rotation is due, or free of who holds it; looking in between, since an operator may move it."""
        rotation = self.latest()
        due = max(rotation.wake_at, rotation.lease_until or rotation.wake_at)
        time.sleep(min(max((due - utc_now()).total_seconds() + 0.02, STEP), LONGEST_STEP))


def run(site: Site, case: Case) -> None:
    """The whole life of a victim."""
    points = Points(case.point, signal.SIGSTOP if case.pause else signal.SIGKILL)
    points.told = lambda label: note(site.home(case) / "died", label)
    points.watch_targets()
    turn(site, case, points)


def turn(site: Site, case: Case, points: Points) -> None:
    """The rotation, from the first answer that somebody holds to its end."""
    it = Actor(site, case, points)
    it.fetch()
    it.ask()
    it.flow = case.flow
    points.watch_ledger(it.service.ledger, lambda: _meanwhile(it))
    points.on = case.flow in ("turn", "itself", "powerless")
    _until_ended(it)
    points.on = False
    note(it.home / "points", "\n".join(points.seen))
    it.service.close()


def _until_ended(it: Actor) -> None:
    """Work, while applications fetch. A step that the ledger refused, or another worker's rotation, is tried again."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        worked = it.work()
        with it.points.muted():
            stage = it.latest().stage
            if stage in ENDED or stage is Stage.STUCK:
                return
            if not worked:  # else somebody did, right after what was committed
                it.fetch()
        if it.flow == "revert" and stage is Stage.DRAINING:
            it.points.on = True
            it.service.keeper.rotations.revert(SYSTEM, it.latest().id)
        elif not worked:
            with it.points.muted():
                it.rest()


def _meanwhile(it: Actor) -> None:
    """Right after a commit: somebody fetches, and in the flow `undo` an operator has seen enough."""
    it.fetch()
    if it.flow == "undo" and not it.points.on:
        rotation = it.latest()
        if rotation.stage is Stage.APPLIED:
            it.service.keeper.rotations.abandon(SYSTEM, rotation.id)
            it.points.on = True
