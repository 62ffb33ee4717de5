"""What commands show. Text from the server reaches a terminal only through `printable`; JSON is ASCII."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keywright.printable import printable, printable_lines

_UNBOUNDED = 100_000  # columns, where nobody looks and a program reads


def say(text: str) -> None:
    """One line on standard output."""
    print(printable(text), flush=True)


def complain(text: str) -> None:
    """One line on standard error."""
    print(f"keywright: {printable(text)}", file=sys.stderr, flush=True)


def dump(content: Any) -> None:
    """JSON on standard output."""
    print(_ascii(content, indent=2), flush=True)


def line(content: Any) -> None:
    """JSON on standard output, on one line."""
    print(_ascii(content, indent=None), flush=True)


def dump_error(content: Any) -> None:
    """JSON on standard error, on one line."""
    print(_ascii(content, indent=None), file=sys.stderr, flush=True)


def value(content: str | dict[str, Any]) -> None:
    """A fetched value on standard output: to the letter for a program, without control characters for a terminal."""
    text = content if isinstance(content, str) else json.dumps(content)
    if sys.stdout.isatty():
        print(printable_lines(text))
    else:
        sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; as wide as it needs to be when no terminal cuts it."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        # Text, because a str would be read as markup.
        grid.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    Console(width=None if sys.stdout.isatty() else _UNBOUNDED).print(grid)


def _ascii(content: Any, indent: int | None) -> str:
    return json.dumps(content, indent=indent).replace("\x7f", "\\u007f")
