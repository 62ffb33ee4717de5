"""A clock for services in this process."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time of the ledger, moved by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead
