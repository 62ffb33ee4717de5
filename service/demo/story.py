"""The story of a connection's rotations, as an admin follows it over REST."""

from dataclasses import dataclass

import structlog

from service.core.rotation import ENDED, Stage
from service.demo.scene import CONNECTION, ENVIRONMENT
from service.demo.wire import CallFailed, Wire

log = structlog.get_logger("demo")

_LATEST = 5
"""Rotations per look; none ends so soon that more than this many begin between two looks."""


@dataclass(frozen=True)
class Line:
    """One step of one rotation. `number` counts the demo's rotations from 1."""

    number: int
    stage: Stage
    sentence: str


class Story:
    """What has happened so far. `look` asks for the news."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._ended: set[str] = set()
        self.retired = 0
        self.generation = 0
        self.latest: Line | None = None

    def look(self) -> list[Line]:
        """What is new, in order. Keeps what it knew when a call fails."""
        try:
            self.generation = self._wire.get(f"/environments/{ENVIRONMENT}/connections/{CONNECTION}")["generation"]
            listed = self._wire.get(f"/environments/{ENVIRONMENT}/rotations", connection=CONNECTION, limit=_LATEST)
            news = [line for it in reversed(listed["items"]) for line in self._told_by(it["id"])]
        except CallFailed as error:
            log.error("the story could not be read", error=error.message)
            return []
        return news

    def _told_by(self, rotation_id: str) -> list[Line]:
        if rotation_id in self._ended:
            return []
        rotation = self._wire.get(f"/rotations/{rotation_id}")
        number = self._numbers.setdefault(rotation_id, len(self._numbers) + 1)
        steps = rotation["steps"][self._told.get(rotation_id, 0) :]
        self._told[rotation_id] = len(rotation["steps"])
        lines = [Line(number, Stage(step["stage"]), step["sentence"]) for step in steps]
        self.latest = lines[-1] if lines else self.latest
        stage = Stage(rotation["stage"])
        if stage in ENDED:
            self._ended.add(rotation_id)
            self.retired += stage is Stage.RETIRED
        return lines
