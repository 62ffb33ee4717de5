"""Logs: one line each on standard error, and never a secret."""

import sys

from keywright.printable import printable


def note(text: str) -> None:
    """One line."""
    print(f"keywright: {printable(text)}", file=sys.stderr, flush=True)
