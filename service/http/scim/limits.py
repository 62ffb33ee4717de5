"""What no directory asks: filters, paths and names of attributes that are too long or too deep.

They are parsed by a grammar of nested brackets, for each of them and by whoever holds a token: so there is an end of
it. Whatever is in a body may be one (a path of PATCH, a key of its value), so every name in it is held to the limits.
"""

import re
from typing import Any

from scim2_models import InvalidFilterException, InvalidPathException, InvalidSyntaxException, SCIMException

from service.core.errors import Invalid
from service.http.body import document

LONGEST = 1000
"""Characters of a filter, a path, or a list of attributes."""
DEEPEST = 10
"""Brackets within one another."""
_PATHS = frozenset(("path", "filter", "sortby", "attributes", "excludedattributes"))
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


def check_query(query: dict[str, str]) -> None:
    """Raises SCIMException."""
    for name, value in query.items():
        if name.lower() in _PATHS:
            _check(value, _error(name))


def checked(body: bytes) -> Any:
    """What is in a body: strict JSON, in which nothing is beyond the limits. Raises SCIMException."""
    try:
        said = document(body)
    except Invalid as error:
        raise InvalidSyntaxException(detail=error.message) from error
    waiting = [said]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            for name, value in here.items():
                _check(name, InvalidPathException)
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, str) and name.lower() in _PATHS:
                        _check(each, _error(name))
                waiting.append(value)
    return said


def _error(name: str) -> type[SCIMException]:
    return InvalidFilterException if name.lower() == "filter" else InvalidPathException


def _check(text: str, error: type[SCIMException]) -> None:
    if len(text) > LONGEST:
        raise error(detail=f"longer than {LONGEST} characters")
    depth = 0
    for sign in _TEXT.sub("", text) if "(" in text or "[" in text else "":
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(sign, 0)
        if depth > DEEPEST:
            raise error(detail=f"more than {DEEPEST} brackets within one another")
