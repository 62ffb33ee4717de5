"""The play: worlds whose administrators change them, fetchers that ask every replica meanwhile, and the verdict."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - what happens is to be repeatable
from typing import Any

from providers.keys.file import create
from tests.linear.administrator import ELSEWHERE, HOME, Administrator, pause
from tests.linear.fetcher import Fetcher
from tests.linear.history import Judgement, judged, judged_by_the_log
from tests.rigs.keywright import Keywrightd, running_keywrightd
from tests.rigs.line import Line
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PAGE = 500
PACE = 0.06
"""Seconds between two changes of a world, at the most."""


@dataclass
class Verdict:
    """What is told of a play."""

    changes: int = 0
    fetches: int = 0
    polls: int = 0
    unanswered: int = 0
    judgement: Judgement = field(default_factory=Judgement)
    odd: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Sentences; none if all is well."""
        return [*self.judgement.shown, *self.odd]

    def line(self) -> str:
        """For machines."""
        n = self.judgement.counts
        told = {"changes": self.changes, "fetches": self.fetches, "stale": n["stale"], "early": n["early"]}
        told |= {"interleavings": self.judgement.races, "asleep": n["asleep"], "torn": n["torn"]}
        told |= {"inverted": n["inverted"], "slipped": n["slipped"]}
        told |= {"polls": self.polls, "unanswered": self.unanswered}
        return "linear: " + " ".join(f"{name}={value}" for name, value in told.items())


class Play:
    """On servers of one ledger. `connections` are those of the first world, as `Administrator` takes them."""

    def __init__(self, servers: Sequence[Keywrightd], seed: int, worlds: int, connections: Sequence[Any] = ()) -> None:
        self._random = Random(seed)
        self._made: list[Line] = []
        self._owner, self._urls = servers[0].owner, [server.url for server in servers]
        self.worlds = [
            Administrator(f"world-{n}", self._lines(), self._fresh(), () if n else connections) for n in range(worlds)
        ]
        self._fetchers: dict[str, list[Fetcher]] = {}
        self._failed: list[str] = []
        self._over = threading.Event()

    def run(self, each: int, ready: Callable[[int], bool], wait: float) -> Verdict:
        """Until `ready`, asked with the number of changes; `each` connections of every world to every replica."""
        for world in self.worlds:
            world.prepare()
            self._fetchers[world.name] = [
                Fetcher(
                    world, url, replica, (HOME, ELSEWHERE)[n % 2], self._fresh(), waits, polls=self._polled(replica)
                )
                for replica, url in enumerate(self._urls)
                for n, waits in enumerate([0.0] * each + [wait])
            ]
        everybody = [fetcher for fetchers in self._fetchers.values() for fetcher in fetchers]
        hands = []
        for world in self.worlds:
            chasers = [Fetcher(world, url, n, HOME, self._fresh(), polls=True) for n, url in enumerate(self._urls)]
            hands.append(threading.Thread(target=self._administer, args=(world, chasers, self._fresh())))
            self._fetchers[world.name] += chasers
        for one in (*everybody, *hands):
            one.start()
        while not self._failed and not ready(sum(len(world.changes) for world in self.worlds)):
            self._over.wait(0.05)
        self._over.set()
        for hand in hands:
            hand.join(120)
        for fetcher in everybody:
            fetcher.stop()
        for world in self.worlds:
            world.close()
        for fetcher in (each for fetchers in self._fetchers.values() for each in fetchers):
            fetcher.join()
        verdict = self._verdict()
        for line in self._made:
            line.close()
        return verdict

    def _polled(self, replica: int) -> bool:
        """Of several replicas one is hardly asked for anything but whether something changed."""
        return replica == len(self._urls) - 1 > 0

    def _administer(self, world: Administrator, chasers: list[Fetcher], random: Random) -> None:
        """Change it; and ask some replica the same thing right before and right after."""
        try:
            while not self._over.is_set():
                chaser = random.choice(chasers)
                question = chaser.question()
                chaser.ask(question)
                world.step()
                chaser.ask(question)
                pause(random, PACE)
        except Exception as error:  # noqa: BLE001 - told in the verdict, whatever it is
            self._failed.append(f"{world.name}: {type(error).__name__}: {error}")

    def _verdict(self) -> Verdict:
        verdict, log = Verdict(odd=list(self._failed)), self.log()
        for world in self.worlds:
            fetchers = self._fetchers[world.name]
            fetches = [fetch for fetcher in fetchers for fetch in fetcher.fetches]
            verdict.changes += len(world.changes)
            verdict.fetches += len(fetches)
            verdict.polls += sum(fetch.same for fetch in fetches)
            verdict.unanswered += sum(fetcher.unanswered for fetcher in fetchers)
            verdict.odd += [text for fetcher in fetchers for text in fetcher.odd]
            if not self._failed:
                verdict.judgement.add(judged(world.first, world.changes, fetches))
                verdict.judgement.add(judged_by_the_log(world.first, world.changes, fetches, log))
        return verdict

    def log(self) -> dict[str, int]:
        """The sequence number of what was allowed, by request; of what was published, by rotation."""
        found: dict[str, int] = {}
        line = self._lines()[0]
        cursor: str | None = ""
        while cursor is not None:
            page = line.ask("GET", f"/events?limit={PAGE}&cursor={cursor}").json()
            for event in page["items"]:
                if event["outcome"] == "allowed":
                    published = event["action"] == "rotation.published"
                    found[event["detail"]["rotation"] if published else event["request"]] = int(event["id"])
            cursor = page["next"]
        return found

    def _lines(self) -> list[Line]:
        made = [Line(url, self._owner, HOME) for url in self._urls]
        self._made += made
        return made

    def _fresh(self) -> Random:
        return Random(self._random.getrandbits(64))


UNCOUNTED = {"KEYWRIGHT_REFUSED_RATE": "0"}
"""Revoked tokens are tried here as fast as a server answers, which it would turn away before long."""


@contextmanager
def replicas(ledger: str, folder: Path, number: int) -> Iterator[list[Keywrightd]]:
    """So many `keywrightd serve` on one ledger in PostgreSQL; they share a master key, and the first one rotates."""
    folder.mkdir(mode=0o700, exist_ok=True)
    create(folder / "master.key", os.urandom)
    environ = {"KEYWRIGHT_LEDGER": ledger, "KEYWRIGHT_KEY": f"file:{folder / 'master.key'}", "KEYWRIGHT_TICK": "0.2"}
    with ExitStack() as stack:
        found = []
        for n in range(number):
            clock = {"KEYWRIGHT_CLOCK": "false" if n else "true"}
            found.append(stack.enter_context(running_keywrightd(**environ, **UNCOUNTED, **clock)))
        yield found


def connections(target: PostgresServer) -> list[dict[str, Any]]:
    """An administration connection, one whose password turns, one that is edited, on a real server."""
    admin = definition(target.administration("keywright_linear", "linear_turned"))
    turned = definition(
        target.access("linear_turned", "first-password"),
        administered_by="admin",
        rotation={"strategy": "alternating", "drain_minimum": "1s", "drain_limit": "1s"},
    )
    return [admin, turned, definition(target.access("linear_edited", "first-password"))]
