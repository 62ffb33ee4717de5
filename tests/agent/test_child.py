"""What is done with the program, decided without a process."""

import signal
from collections.abc import Iterable, Mapping, Sequence

import pytest
from keywright.agent.child import RETRIES, SOON, Child, OnChange, Rules
from keywright.agent.processes import CannotRun
from keywright.agent.signals import Signal


class Fake:
    """Processes that are numbers. `does` is what was done, in order."""

    def __init__(self) -> None:
        self.does: list[object] = []
        self.next, self.missing = 100, False

    def launch(self) -> int:
        if self.missing:
            raise CannotRun("program", "was not found", 127)
        self.next += 1
        self.does.append("start")
        return self.next

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], passed: Iterable[int] = (), *, quiet: bool = False
    ) -> int:
        raise NotImplementedError  # the port has it; a `Child` launches through its own function, `launch` here

    def send(self, pid: int, number: int, *, group: bool = False) -> None:
        self.does.append((signal.Signals(number).name, "all of it" if group else "it"))

    def stop_us(self) -> None:
        self.does.append("stop us")

    def done(self) -> list[object]:
        """Since it was last asked."""
        found, self.does = self.does, []
        return found


@pytest.fixture
def fake() -> Fake:
    return Fake()


def child(fake: Fake, on_change: OnChange = OnChange.RESTART, number: int = signal.SIGHUP) -> Child:
    made = Child(Rules(on_change, number, grace=5), fake.launch, fake, lambda _: None, chance=lambda: 1.0)
    made.start(0)
    assert fake.done() == ["start"]
    return made


def test_a_change_restarts_it_gracefully(fake: Fake) -> None:
    it = child(fake)
    it.changed(20)
    assert fake.done() == [("SIGTERM", "it"), ("SIGCONT", "it")]
    it.changed(21)  # the new one will have that, too
    it.tick(24.9)
    assert (fake.done(), it.due) == ([], 25)
    it.ended(143, 24.9)
    assert (fake.done(), it.over, it.due) == (["start"], None, None)


def test_one_that_does_not_end_is_killed_with_all_that_it_started(fake: Fake) -> None:
    it = child(fake)
    it.changed(20)
    fake.done()
    it.tick(25)
    assert fake.done() == [("SIGKILL", "all of it")]
    it.tick(26)
    it.ended(137, 26)
    assert fake.done() == ["start"]


def test_a_change_is_told_or_only_logged(fake: Fake) -> None:
    child(fake, OnChange.SIGNAL, signal.SIGUSR1).changed(20)
    assert fake.done() == [("SIGUSR1", "it")]
    child(fake, OnChange.LOG).changed(20)
    assert fake.done() == []


@pytest.mark.parametrize("code", [0, 3, 139])
def test_its_end_is_ours(fake: Fake, code: int) -> None:
    it = child(fake)
    it.ended(code, 1)
    assert (it.over, fake.done()) == (code, [])


def test_signals_are_passed_on_but_for_those_that_everybody_got(fake: Fake) -> None:
    it = child(fake)
    for number in (signal.SIGUSR1, signal.SIGWINCH, signal.SIGHUP, signal.SIGCONT):
        it.signalled(Signal(number))
    it.signalled(Signal(signal.SIGWINCH, everybody=True))
    it.signalled(Signal(signal.SIGINT, everybody=True))
    assert fake.done() == [("SIGUSR1", "it"), ("SIGWINCH", "it"), ("SIGHUP", "it"), ("SIGCONT", "it")]


def test_we_stop_with_it(fake: Fake) -> None:
    it = child(fake)
    it.signalled(Signal(signal.SIGTSTP))
    it.signalled(Signal(signal.SIGTSTP, everybody=True))
    assert fake.done() == [("SIGTSTP", "it"), "stop us", "stop us"]


def test_whoever_ends_it_is_not_met_by_a_restart(fake: Fake) -> None:
    it = child(fake)
    it.signalled(Signal(signal.SIGTERM))
    it.changed(1)
    assert fake.done() == [("SIGTERM", "it")]
    it.ended(143, 1)
    assert (it.over, fake.done()) == (143, [])


def test_whoever_ends_it_while_it_is_restarted_ends_it(fake: Fake) -> None:
    it = child(fake)
    it.changed(20)
    it.signalled(Signal(signal.SIGTERM))
    it.ended(143, 21)
    assert it.over == 143


def test_an_interrupt_that_it_outlives_is_forgotten(fake: Fake) -> None:
    it = child(fake)
    it.signalled(Signal(signal.SIGINT, everybody=True))
    it.changed(20)
    assert fake.done() == [("SIGTERM", "it"), ("SIGCONT", "it")]


def restarted(fake: Fake) -> Child:
    it = child(fake)
    it.changed(20)
    it.ended(143, 21)
    fake.done()
    return it


def test_what_fails_right_after_a_restart_is_started_again_with_pauses(fake: Fake) -> None:
    it, now, pauses = restarted(fake), 21.0, []
    for _ in range(RETRIES):
        it.ended(1, now)
        assert it.over is None
        assert it.due is not None
        pauses.append(it.due - now)
        it.tick(it.due - 0.1)
        assert fake.done() == []
        now = it.due
        it.tick(now)
        assert fake.done() == ["start"]
    it.ended(1, now)
    assert (it.over, pauses) == (1, [1, 2, 4, 8, 16])


def test_what_ran_for_a_while_or_ended_well_is_not(fake: Fake) -> None:
    it = restarted(fake)
    it.ended(1, 21 + SOON)
    assert it.over == 1
    it = restarted(fake)
    it.ended(0, 21)
    assert it.over == 0


def test_a_change_ends_the_pause(fake: Fake) -> None:
    it = restarted(fake)
    it.ended(1, 21)
    it.changed(21.5)
    assert (fake.done(), it.due) == (["start"], None)


def test_a_signal_that_kills_it_is_made_good(fake: Fake) -> None:
    it = child(fake, OnChange.SIGNAL)
    it.changed(2)
    it.ended(128 + signal.SIGHUP, 2)
    assert it.over is None
    it.tick(3)
    assert fake.done() == [("SIGHUP", "it"), "start"]
    it.ended(128 + signal.SIGHUP, 3 + SOON)  # not of ours: it has not been told of anything
    assert it.over == 129


def test_a_program_that_is_gone_at_its_restart(fake: Fake) -> None:
    it = child(fake)
    it.changed(20)
    fake.missing, now = True, 21.0
    it.ended(143, now)
    for _ in range(RETRIES):
        assert it.over is None
        now = it.due or 0
        it.tick(now)
    assert it.over == 127


def test_a_program_that_is_told_to_end_while_it_rests(fake: Fake) -> None:
    it = restarted(fake)
    it.ended(1, 21)
    it.signalled(Signal(signal.SIGTERM))
    assert it.over == 143


def test_stopped_for_good(fake: Fake) -> None:
    it = child(fake)
    it.stop(1)
    it.tick(6)
    assert fake.done() == [("SIGTERM", "it"), ("SIGKILL", "all of it")]
    it.ended(137, 6)
    assert it.over == 137
