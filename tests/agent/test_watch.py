"""One question at a time for each subject, and nothing in a tight loop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from keywright import Absent, Unreachable
from keywright.agent import subject
from keywright.agent.subject import Known, Subject, known
from keywright.agent.watch import WAIT, Failed, Heard, News, Watching, _Watch
from keywright.door import Reply

from tests.client.server import credential, entry

KEY = subject.value("shop/KEY")


def reply(value: str = "k1", etag: str | None = '"1"') -> Reply:
    return Reply(200, {"name": "shop/KEY", "value": value}, etag, time.time())


@dataclass
class Script:
    """Answers in order; then holds questions open."""

    answers: list[Callable[[], Reply]]
    asked: list[tuple[str | None, int]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, subject: Subject, etag: str | None, wait: int) -> Reply:
        self.asked.append((etag, wait))
        self.at.append(time.monotonic())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.answers:
                return self.answers.pop(0)()
            self.done.set()
            self.over.wait(30)
            return Reply(304, None, etag, time.time())
        finally:
            self.under_way -= 1

    def play(self, former: Known | None = None) -> "Script":
        watching = Watching(self, self.news.append, chance=lambda: 0.0)
        watching.begin(KEY, former)
        watching.begin(KEY, former)  # it is watched already
        assert self.done.wait(30)
        watching.end(KEY)
        self.over.set()
        return self


def fails(error: Exception) -> Callable[[], Reply]:
    def answer() -> Reply:
        raise error

    return answer


def test_it_asks_in_whole_and_then_waits() -> None:
    it = Script([reply, lambda: reply("k2", '"2"')]).play()
    assert it.asked == [(None, 0), ('"1"', WAIT), ('"2"', WAIT)]
    assert [news.known.value() for news in it.news if isinstance(news, Heard)] == ["k1", "k2"]
    assert it.most == 1


def test_failures_are_told_and_followed_by_growing_pauses() -> None:
    it = Script([fails(Unreachable("away")), fails(Unreachable("away")), fails(Absent("none")), reply]).play()
    assert [type(news) for news in it.news] == [Failed, Failed, Failed, Heard]
    assert it.asked[:4] == [(None, 0)] * 4
    gaps = [after - before for before, after in zip(it.at[:3], it.at[1:4], strict=True)]
    assert all(gap >= least for gap, least in zip(gaps, (0.5, 1, 2), strict=True)), gaps


def test_whatever_goes_wrong_is_a_failure_and_the_next_answer_is_asked_for() -> None:
    it = Script([fails(RecursionError("k1-secret")), fails(OverflowError()), reply]).play()
    assert [type(news) for news in it.news] == [Failed, Failed, Heard]
    told = [str(news.error) for news in it.news if isinstance(news, Failed)]
    assert "RecursionError" in told[0]
    assert "secret" not in told[0]


def test_a_server_that_holds_nothing_open_is_not_asked_in_a_tight_loop() -> None:
    at_once = lambda: Reply(304, None, '"1"', time.time())  # noqa: E731
    it = Script([reply, at_once, at_once, at_once]).play()
    gaps = [after - before for before, after in zip(it.at[1:4], it.at[2:5], strict=True)]
    assert all(gap >= least for gap, least in zip(gaps, (0.5, 1, 2), strict=True)), gaps


def test_what_was_sealed_is_asked_for_in_whole() -> None:
    sealed = Known(KEY, {"name": "shop/KEY", "value": "k0"}, '"0"', 1.0, 1.0, sealed=True)
    it = Script([reply]).play(sealed)
    assert it.asked == [(None, 0), ('"1"', WAIT)]


def test_one_that_is_answered_wakes_those_that_rest() -> None:
    news: list[News] = []
    back = threading.Event()

    def ask(wanted: Subject, etag: str | None, wait: int) -> Reply:
        if not back.is_set():
            raise Unreachable("away")
        if wait:
            time.sleep(5)
            return Reply(304, None, etag, time.time())
        return Reply(200, {"name": wanted.name, "value": "x"}, '"1"', time.time())

    watching = Watching(ask, news.append, chance=lambda: 0.0)
    for n in range(5):
        watching.begin(subject.value(f"shop/{n}"))
    while len(news) < 20:  # all of them have long pauses by now
        time.sleep(0.05)
    back.set()
    until = time.monotonic() + 30
    while len({n.known.subject for n in news if isinstance(n, Heard)}) < 5 and time.monotonic() < until:
        time.sleep(0.05)
    assert len({n.known.subject for n in news if isinstance(n, Heard)}) == 5
    for wanted in watching.subjects:
        watching.end(wanted)
    assert watching.subjects == frozenset()


def test_a_promise_is_renewed_in_time_and_not_too_often() -> None:
    wanted = subject.credential("shop/db")
    long = known(wanted, Reply(200, credential(entry(good_for=3600)), '"7"', time.time()), None, time.time())
    assert 1790 < (long.renewal() or 0) - time.time() < 1810
    short = known(wanted, Reply(200, credential(entry(good_for=4)), '"7"', time.time()), None, time.time())
    assert 29 < (short.renewal() or 0) - time.time() < 31
    assert (short.past(time.time()), short.past(time.time() + 5)) == (False, True)


def test_no_pause_is_longer_than_a_quarter_of_the_promise() -> None:
    for promise, longest in ((4, 1), (40, 10), (3600, 30)):
        wanted = subject.credential("shop/db")
        told = Reply(200, credential(entry(good_for=promise)), '"7"', time.time())
        watch = _Watch(Watching(Script([]), lambda _: None), wanted, known(wanted, told, None, time.time()))
        assert longest - 0.5 < watch._patience() <= longest


def test_the_servers_clock_counts() -> None:
    wanted = subject.credential("shop/db")
    behind = known(wanted, Reply(200, credential(entry(good_for=60)), '"7"', time.time() - 1000), None, time.time())
    assert not behind.past(time.time() + 1000)
    assert behind.past(time.time() + 1070)


def test_what_passes_by_itself_is_no_change() -> None:
    wanted = subject.credential("shop/db")
    one = known(wanted, Reply(200, credential(entry(good_for=60)), '"7"', time.time()), None, time.time())
    two = known(wanted, Reply(200, credential(entry(good_for=90)), '"7"', time.time()), one, time.time())
    other = known(wanted, Reply(200, credential(entry(password="other")), '"8"', time.time()), one, time.time())
    assert (one.differs(None), two.differs(one), other.differs(one)) == (True, False, True)
    value = Known(KEY, {"name": "shop/KEY", "value": {"age": 1}}, None, 0, 0)
    assert value.differs(Known(KEY, {"name": "shop/KEY", "value": {"age": 2}}, None, 0, 0))
