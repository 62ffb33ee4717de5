"""What an application keeps of a credential answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.core.secret import Secret
from service.demo.scene import CONNECTION, ENVIRONMENT

PATH = f"/environments/{ENVIRONMENT}/credentials/{CONNECTION}"


@dataclass(frozen=True)
class Entry:
    """One username and password, and until when a login with it may begin."""

    username: str
    url: Secret
    good_until: datetime

    @property
    def good(self) -> bool:
        """May a login begin now?"""
        return now() < self.good_until


def entries(answer: dict[str, Any]) -> list[Entry]:
    """The ordered set of an answer, best first."""
    return [
        Entry(it["username"], Secret(it["url"]), datetime.fromisoformat(it["good_until"]))
        for it in answer["credentials"]
    ]


def now() -> datetime:
    """The wall clock: `good_until` is a moment of the same machine's."""
    return datetime.now(UTC)
