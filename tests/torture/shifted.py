"""`python -m tests.torture.shifted`: `keywrightd serve` whose own clock is off by what a file says, in seconds.

With a ledger in SQLite this clock is the ledger's; with one in PostgreSQL the database's is, and this one must not
matter.
"""

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from service import __main__, serving, wiring


def offset(file: Path) -> timedelta:
    """What the file says; nothing where it says nothing."""
    text = file.read_text().strip() if file.exists() else ""
    return timedelta(seconds=float(text or 0))


def main() -> None:
    """Serve. The file is the first argument."""
    file = Path(sys.argv.pop(1))
    serving.build = partial(wiring.build, now=lambda: datetime.now(UTC) + offset(file))  # type: ignore[assignment]
    sys.argv = ["keywrightd", "serve"]
    __main__.main()


if __name__ == "__main__":
    main()
