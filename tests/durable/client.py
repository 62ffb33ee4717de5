"""Clients that keep asking, give up now and then, and write down what became of every request.

Each request asks a question that no other asks, and that its event repeats: the names of two variables, in an order
that spells the request's number. So an event tells whose it is, even if the client never saw its request's id.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random  # noqa: TID251 - what is asked is to be repeatable

from tests.rigs.line import Line, Lost

PLACE = "/environments/production"
DIGITS = ("s/a", "s/b")
ABSENT = "s/absent-"
PAUSE = 0.05
"""Seconds after a request that got no answer, or was refused since the ledger was away."""


def spelt(number: int) -> str:
    """A number as names."""
    return ",".join(DIGITS[int(digit)] for digit in f"{number:b}")


def number_of(resource: str) -> int | None:
    """The number that a resource spells, if it is one of a client's."""
    if resource.startswith(ABSENT):
        return int(resource.removeprefix(ABSENT))
    digits = [DIGITS.index(name) if name in DIGITS else 2 for name in resource.split(",")]
    return None if 2 in digits else int("".join(map(str, digits)), 2)


@dataclass(frozen=True)
class Asked:
    """One request. `status` is 0 if the connection was lost before the answer was read in full."""

    number: int
    status: int
    request_id: str = ""
    aborted: bool = False


class Client:
    """Asks one server while it may. `numbers` are shared by all clients."""

    def __init__(self, url: str, token: str, numbers: Iterator[int], random: Random, aborts: float) -> None:
        self.asked: list[Asked] = []
        self.idle = threading.Event()
        self.answered = threading.Event()
        """Set at every answer."""
        self.under_way = False
        self._line, self._numbers, self._random, self._aborts = Line(url, token), numbers, random, aborts
        self._tag = ""
        self._may, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def go(self) -> None:
        """Ask."""
        self.idle.clear()
        self._may.set()

    def hold(self) -> None:
        """Ask no more for now; `idle` is set when the last request ended."""
        self._may.clear()

    def close(self) -> None:
        """For good."""
        self._over.set()
        self._may.set()
        self._thread.join(120)
        self._line.close()

    def _run(self) -> None:
        while not self._over.is_set():
            if not self._may.is_set():
                self.idle.set()
                self._may.wait()
                continue
            self.under_way = True
            self._once(next(self._numbers))
            self.under_way = False

    def _once(self, number: int) -> None:
        path, headers, chance = f"{PLACE}/values?names={spelt(number)}", dict[str, str](), self._random.random()
        if chance < 0.15:
            path = f"{PLACE}/values/{ABSENT}{number}"
        elif chance < 0.25 and self._tag:
            path, headers = f"{PLACE}/values/{DIGITS[0]}", {"If_None_Match": self._tag}
        if self._random.random() < self._aborts:
            self._line.abort(self._line.request("GET", path, **headers), self._random.choice((0, 0, 1, 40, 200)))
            self.asked.append(Asked(number, 0, aborted=True))
            return
        try:
            if not self._tag:
                self._tag = self._line.ask("GET", f"{PLACE}/values/{DIGITS[0]}").headers.get("etag", "")
            reply = self._line.ask("GET", path, **headers)
        except Lost as lost:
            self.asked.append(Asked(number, 0, lost.request_id))
            time.sleep(PAUSE)
            return
        self.asked.append(Asked(number, reply.status, reply.request_id))
        if reply.status == 503:
            time.sleep(PAUSE)
        else:
            self.answered.set()


def numbers() -> Iterator[int]:
    """For all clients of a run; larger than one, so that two names at least are asked for. A step is atomic."""
    return itertools.count(2)
