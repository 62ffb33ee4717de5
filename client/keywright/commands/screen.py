"""What commands show. Text from the server reaches a terminal only through `printable`; JSON is ASCII."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keywright.printable import printable, printable_lines

_UNBOUNDED = 100_000  # columns, where nobody looks and a program reads
_GAP = 2  # columns between two columns of a table
_NARROWEST = 20  # columns for a sentence


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
    """A table on standard output; as wide as it needs to be when no terminal cuts it.

    On a terminal sentences wrap between words. What has no blanks (an id, a stage, a time) is never broken, so that it
    can be copied: where a terminal has no room for that, each row is told line by line.
    """
    cells = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
    console = Console(width=None if sys.stdout.isatty() else _UNBOUNDED)
    sentences = [any(" " in row[number] for row in cells) for number in range(len(columns))]
    if not _fits(console.width, columns, cells, sentences):
        _blocks(columns, cells)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column, wraps in zip(columns, sentences, strict=True):
        grid.add_column(column, no_wrap=not wraps)
    for row in cells:
        grid.add_row(*map(Text, row))  # Text, because a str would be read as markup
    console.print(grid)


def _fits(width: int, columns: Sequence[str], cells: Sequence[Sequence[str]], sentences: Sequence[bool]) -> bool:
    """Is there room for every column, without a word that would be broken?"""
    left, longest = width - _GAP * (len(columns) - 1), _NARROWEST
    for number, column in enumerate(columns):
        words = [word for row in cells for word in row[number].split()]
        needed = max(map(cell_len, [column, *words]))
        if sentences[number]:
            longest = max(longest, needed)
        else:
            left -= needed
    return left >= longest * sum(sentences)


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Each row in lines of its own, one for each cell that holds anything; a terminal copies them whole."""
    room = max(map(len, columns))
    shown = ["\n".join(f"{c:<{room}}  {cell}" for c, cell in zip(columns, row, strict=True) if cell) for row in cells]
    print("\n\n".join(shown), flush=True)


def _ascii(content: Any, indent: int | None) -> str:
    return json.dumps(content, indent=indent).replace("\x7f", "\\u007f")
