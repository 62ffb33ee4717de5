"""Rules: what narrows a grant, judged by who asks, from where and when.

A rule that cannot be judged does not hold.
"""

from dataclasses import dataclass
from datetime import datetime

from service.core.access import CurrentUser


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule can ask about."""

    user: CurrentUser | None
    name: str
    kind: str
    address: str
    at: datetime

    def holds(self, rule: str) -> bool:  # noqa: ARG002
        """Does it hold, for this caller at this moment?"""
        return False
