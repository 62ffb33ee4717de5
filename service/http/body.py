"""Bodies, read strictly: whatever two readers of JSON could understand differently is refused (RFC 8259, I-JSON).

not UTF-8, not JSON, NaN or Infinity, a number beyond a double      one sentence, nothing repeated of it
the same name twice in one object                                   which of the two would count?
half of a surrogate pair ("\\ud800")                                 no text: it cannot be stored or sent
nested deeper than DEEPEST                                          nobody means that
"""

import json
import math
import re
from typing import Any

from service.core.errors import Invalid

DEEPEST = 32
"""Objects and lists within one another, at most."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class _Twice(ValueError):
    """One name stands twice in one object."""


def document(body: bytes) -> Any:
    """The JSON document in a body. Raises Invalid."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8", field="body") from None
    try:
        read = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except _Twice as twice:
        name = str(twice) if _NAME.fullmatch(str(twice)) else "a name"
        raise Invalid(f"{name} stands twice in one object of the body", field="body") from None
    except RecursionError:
        raise Invalid(f"the body is nested deeper than {DEEPEST} levels", field="body") from None
    except ValueError:  # also for a number with thousands of digits (sys.set_int_max_str_digits)
        raise Invalid("the body is not JSON", field="body") from None
    _look(read)
    return read


def _look(read: Any) -> None:
    waiting: list[tuple[Any, str, int]] = [(read, "body", 1)]
    while waiting:
        here, field, depth = waiting.pop()
        match here:
            case str() if _SURROGATE.search(here):
                raise Invalid(f"{field} holds half of a surrogate pair, which is no text", field=field)
            case float() if not math.isfinite(here):
                raise Invalid(f"{field} holds a number that is too large", field=field)
            case dict() | list() if depth > DEEPEST:
                raise Invalid(f"{field} is nested deeper than {DEEPEST} levels", field=field)
            case dict():
                for name, value in here.items():
                    # Only the outermost name is told: further in, names may be part of a value.
                    inner = (name if _NAME.fullmatch(name) else "body") if depth == 1 else field
                    waiting += [(name, inner, depth), (value, inner, depth + 1)]
            case list():
                waiting += [(item, field, depth + 1) for item in here]
            case _:
                pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _Twice(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return made


def _constant(name: str) -> Any:
    raise ValueError(name)
