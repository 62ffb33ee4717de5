"""What is seen: a live table in a terminal, plain lines anywhere else."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from service.demo.applications import Application
from service.demo.scene import CONNECTION, ENVIRONMENT
from service.demo.stopping import Stopping
from service.demo.story import Line, Story

_SUMMARY_EVERY = 5.0
_STAGES = ("planned", "staged", "applied", "verified", "published", "draining", "retired")


@dataclass(frozen=True)
class Frame:
    """One moment. `news` is what has happened since the one before."""

    left: float
    story: Story
    news: Sequence[Line]
    applications: Sequence[Application]


class Screen(Protocol):
    """Somewhere to show frames."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, frame: Frame) -> None:
        """Show one."""


class Lines:
    """Plain text: a line for each step of a rotation, and a summary every few seconds."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self._summarised = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, frame: Frame) -> None:
        """Say what is new."""
        for line in frame.news:
            say(f"rotation {line.number}: {line.stage.value}: {line.sentence}", self._stopping)
        if time.monotonic() - self._summarised >= _SUMMARY_EVERY:
            self._summarised = time.monotonic()
            parts = (
                f"{it.name} {it.tally.worked} worked {it.tally.failed} failed as {it.tally.username or '-'} "
                f"{it.tally.milliseconds:.1f} ms"
                for it in frame.applications
            )
            story = frame.story
            say(
                f"{frame.left:.0f} s left: generation {story.generation}, retired {story.retired}; {'; '.join(parts)}",
                self._stopping,
            )


class LiveTable:
    """A table that is drawn over itself. It fits into 80 columns and 24 lines."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, frame: Frame) -> None:
        """Draw one."""
        self._live.update(Group(*_head(frame), _table(frame.applications)), refresh=True)


def screen(stopping: Stopping) -> Screen:
    """The one that fits standard output."""
    console = Console()
    if sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return LiveTable()
    return Lines(stopping)


def say(text: str, stopping: Stopping) -> None:
    """Print a line; when nobody reads any more, ask to stop."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        stopping.ask()


def _head(frame: Frame) -> tuple[Table, Text, Text]:
    story = frame.story
    title = Table.grid(expand=True)
    title.add_column(no_wrap=True)
    title.add_column(justify="right", no_wrap=True)
    title.add_row(
        Text.assemble((f"{ENVIRONMENT} {CONNECTION}", "bold"), f"   generation {story.generation}"),
        Text.assemble((f"{story.retired}", "bold green"), " retired   ", (f"{frame.left:.0f} s", "bold"), " left"),
    )
    now = story.latest.stage.value if story.latest else ""
    stages = Text(" > ", style="dim", overflow="ellipsis", no_wrap=True).join(
        Text(stage, style="bold reverse" if stage == now else "dim") for stage in _STAGES
    )
    if now and now not in _STAGES:
        stages = Text(now, style="bold red")
    sentence = story.latest.sentence if story.latest else "the first rotation is not due yet"
    return title, stages, Text(sentence, style="italic", overflow="ellipsis", no_wrap=True)


def _table(applications: Sequence[Application]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    table.add_column("application", no_wrap=True)
    table.add_column("habit", no_wrap=True, style="dim")
    table.add_column("worked", justify="right", no_wrap=True)
    table.add_column("failed", justify="right", no_wrap=True)
    table.add_column("logs in as", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    for it in applications:
        failed = Text(str(it.tally.failed), style="bold red" if it.tally.failed else "green")
        median = f"{it.tally.milliseconds:.1f} ms"
        table.add_row(it.name, it.habit.words, str(it.tally.worked), failed, it.tally.username or "-", median)
    return table
