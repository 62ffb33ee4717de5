"""Filters that write a value so that the file's own reader reads exactly it.

| filter | for |
| --- | --- |
| shell | one word of a POSIX shell (XCU 2.2) |
| json | a JSON document (RFC 8259), on one line |
| toml | a TOML string, number or truth value (TOML 1.0) |
| yaml | a YAML scalar (YAML 1.2, 7.3.1), of a flow mapping for an object |
| url | a part of a URL (RFC 3986, 2.1) |
| pgpass | a field of .pgpass (PostgreSQL, libpq, "The Password File") |
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from keywright.errors import Invalid

# Neither TOML nor YAML takes these as they are; JSON's escape is one of both.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def shell(value: Any) -> str:
    """Raises Invalid for a NUL, which no word can hold."""
    return shlex.quote(_text(value, "\0"))


def as_json(value: Any) -> str:
    """Raises Invalid for what JSON does not know."""
    try:
        return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise Invalid("the filter json takes text, numbers, truth values, lists and objects of them") from None


def toml(value: Any) -> str:
    """Raises Invalid for what is no scalar."""
    if not isinstance(value, str | int | float):
        raise Invalid("the filter toml takes text, numbers and truth values")
    return _ESCAPED.sub(_escape, as_json(value))


def yaml(value: Any) -> str:
    """Raises as `as_json`."""
    return _ESCAPED.sub(_escape, as_json(value))


def url(value: Any) -> str:
    """Everything that is not unreserved is percent-encoded."""
    return quote(_text(value), safe="")


def pgpass(value: Any) -> str:
    """Raises Invalid for a line break, which no field can hold."""
    return _text(value, "\n\r\0").replace("\\", "\\\\").replace(":", "\\:")


FILTERS: Mapping[str, Callable[[Any], str]] = {
    "shell": shell,
    "json": as_json,
    "toml": toml,
    "yaml": yaml,
    "url": url,
    "pgpass": pgpass,
}


def _text(value: Any, without: str = "") -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid("this filter takes text and numbers; for an object there is json")
    text = str(value)
    if any(mark in text for mark in without):
        raise Invalid("a value holds a character that cannot be written here (NUL, or a line break)")
    return text


def _plain(value: Any) -> Any:
    """Without what a template undefined: its own refusal would quote more."""
    return dict(value) if isinstance(value, Mapping) else value


def _escape(mark: re.Match[str]) -> str:
    return f"\\u{ord(mark[0]):04x}"
