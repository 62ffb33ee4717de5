"""A fetcher: asks one replica, over one connection, again and again, and writes down when and what it was answered."""

import threading
from random import Random  # noqa: TID251 - what is asked is to be repeatable

from tests.linear.administrator import EDITED, TURNED, Administrator
from tests.linear.history import Fetch
from tests.linear.world import NAMES, TEMPLATE, Answer, Question, answer_in
from tests.rigs.line import Line, Lost

RECENT = 6
"""Of so many tokens that were made last, one is used; some of them are revoked."""


class Fetcher:
    """Of one world. With `waits` it asks to be told of changes, waiting so many seconds.

    One that `polls` asks hardly anything but what it knows, and whether that changed. Where nobody else asks, nothing
    is appended to the log, and nothing but the poll itself could notice that the replica is behind.
    """

    def __init__(
        self,
        world: Administrator,
        url: str,
        replica: int,
        source: str,
        random: Random,
        waits: float = 0,
        *,
        polls: bool = False,
    ) -> None:
        self.fetches: list[Fetch] = []
        self.unanswered = 0
        self.odd: list[str] = []
        self._world, self._line, self._source = world, Line(url, source=source), source
        self._random, self._replica, self._waits = random, replica, waits
        self._insists = bool(waits) or polls
        self._known: dict[Question, tuple[str, Answer]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"fetcher of {replica}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more."""
        self._over.set()

    def join(self) -> None:
        """Wait for the last answer."""
        if self._thread.ident is not None:
            self._thread.join(120)
        self._line.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.ask(self.question())
            except Lost:
                self.unanswered += 1

    def question(self) -> Question:
        """What it may ask next."""
        random, (token, name) = self._random, self._world.hot
        if self._known and random.random() < (0.9 if self._insists else 0.3):
            return random.choice(list(self._known)[-RECENT:])
        if token not in self._world.texts or random.random() < 0.5:
            token = random.choice(list(self._world.texts)[-RECENT:])
        if name is None or random.random() < 0.5:
            connections = [TURNED, EDITED] if self._world.first.connections else []
            name = random.choice([*NAMES, TEMPLATE, *connections])
        assert token is not None
        if name in (TURNED, EDITED):
            return Question(token, self._source, "credential", (name,))
        chance = random.random()
        if chance < 0.5:
            return Question(token, self._source, "value", (name,))
        if chance < 0.75:
            return Question(token, self._source, "names", tuple({name: 0, random.choice(NAMES): 0}))
        return Question(token, self._source, "folder", (name.split("/", 1)[0],))

    def ask(self, question: Question) -> None:
        """Once. Raises Lost."""
        headers, path, waits = {}, question.path(self._world.name), 0.0
        tag, known = self._known.get(question, ("", ""))
        if tag and (self._insists or self._random.random() < 0.6):
            headers, waits = {"If_None_Match": tag}, self._waits
            path += f"wait={waits}" if waits else ""
        reply = self._line.ask("GET", path.rstrip("?&"), token=self._world.texts[question.token], **headers)
        same = reply.status == 304
        if reply.status >= 500 or (same and not tag):
            self.unanswered += reply.status >= 500
            self.odd.append(f"{reply.status}: {question} {reply.body.decode()[:200]}")
            return
        answer = known if same else answer_in(reply.status, question.kind, reply.json())
        if reply.status == 200:
            self._known.pop(question, None)
            self._known[question] = (reply.headers["etag"], answer)
        nanoseconds = int(waits * 1e9)
        self.fetches.append(
            Fetch(reply.began, reply.ended, question, answer, reply.request_id, self._replica, nanoseconds, same)
        )
