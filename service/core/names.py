"""Names: what environments, variables, connections and tokens may be called.

A variable's name is a path, `shop/db/PASSWORD`; the part before the last `/` is its folder.
"""

import re

from service.core.errors import Invalid

SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
PATH = rf"{SEGMENT}(?:/{SEGMENT})*"
LONGEST = 200
"""Characters, at most."""

_SEGMENT = re.compile(SEGMENT)
_PATH = re.compile(PATH)


def _checked(text: str, pattern: re.Pattern[str], field: str, rule: str) -> str:
    if len(text) > LONGEST:
        raise Invalid(f"{field} has {len(text)} characters; {LONGEST} are the most", field=field)
    if not pattern.fullmatch(text):
        raise Invalid(f"{field} is not a name: {rule}", field=field)
    return text


def path(text: str, field: str = "name") -> str:
    """`text`, if it names a variable, connection or folder. Raises Invalid naming `field`."""
    return _checked(
        text,
        _PATH,
        field,
        "segments of letters, digits, '.', '_' and '-' joined by single '/', none starting with '.' or '-'",
    )


def segment(text: str, field: str = "name") -> str:
    """`text`, if it names an environment or a token. Raises Invalid naming `field`."""
    return _checked(text, _SEGMENT, field, "letters, digits, '.', '_' and '-', not starting with '.' or '-'")


def folder(name: str) -> str:
    """The folder of a name; empty at the top."""
    return name.rpartition("/")[0]


def last(name: str) -> str:
    """The last segment of a name."""
    return name.rpartition("/")[2]


def within(name: str, folder_path: str) -> bool:
    """Is `name` in the folder, at any depth? Everything is in the folder with the empty path."""
    return not folder_path or name.startswith(folder_path + "/")
