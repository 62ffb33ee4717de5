"""Names, checked before they become part of a URL.

The server has the last word; these are its rules, so that `../` or a space never travels.
"""

import re
from urllib.parse import quote

from keywright.errors import Invalid

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
LONGEST = 200
"""Characters, at most."""


def path(text: str, field: str = "name") -> str:
    """`text`, if it can name a variable, connection or folder. Raises Invalid naming `field`."""
    if len(text) > LONGEST or not all(_SEGMENT.fullmatch(part) for part in text.split("/")):
        raise Invalid(
            f"{field} is not a name: use segments of letters, digits, '.', '_' and '-' joined by single '/', "
            f"none starting with '.' or '-', {LONGEST} characters at most",
            field=field,
        )
    return text


def segment(text: str, field: str = "environment") -> str:
    """`text`, if it can name an environment. Raises Invalid naming `field`."""
    if len(text) > LONGEST or not _SEGMENT.fullmatch(text):
        raise Invalid(
            f"{field} is not a name: use letters, digits, '.', '_' and '-', not starting with '.' or '-'", field=field
        )
    return text


def identifier(text: str, field: str = "id") -> str:
    """`text` as one segment of a URL's path. Raises Invalid naming `field` when it cannot be an id."""
    if not _SEGMENT.fullmatch(text):
        raise Invalid(f"{field} is not an id: use letters, digits, '.', '_' and '-'", field=field)
    return quote(text, safe="")


def last(name: str) -> str:
    """The last segment of a name."""
    return name.rpartition("/")[2]
