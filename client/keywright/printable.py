"""Text from the server, made safe to show on a terminal.

A name or a sentence may hold escape sequences that move the cursor, recolour, or retitle the window
(ECMA-48), or marks that turn the reading direction; somebody with a little access could so dress up
what an administrator sees. Whatever is shown passes through here.
"""

import unicodedata

# Control, format (direction marks, zero-width), surrogate, line and paragraph separator.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """`text` on one line: line breaks and tabs become spaces, other invisible characters go."""
    return "".join(
        " " if mark in "\n\t" else mark for mark in text if mark in "\n\t" or unicodedata.category(mark) not in _HIDDEN
    )


def printable_lines(text: str) -> str:
    """As `printable`, but keeping line breaks and tabs."""
    return "".join(mark for mark in text if mark in "\n\t" or unicodedata.category(mark) not in _HIDDEN)
