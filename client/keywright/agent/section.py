"""One table of a TOML file, taken apart strictly: what is not known, missing or of another type is an error by name."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from keywright.errors import Invalid

_TOML = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    dt.datetime: "a moment",
    dt.date: "a date",
    dt.time: "a time",
}


class Section:
    """`place` is told in errors: `template 2 (/etc/shop.conf)`. `known`: the keys that it may have, any where None.

    What is not known is told before what lacks: the one is often the other, misspelt.
    """

    def __init__(self, place: str, content: Any, known: Collection[str] | None) -> None:
        self.place = place
        if not isinstance(content, dict):
            raise Invalid(f"{place} is {_kind(content)}, and should be a table", field=place)
        self._left: dict[str, Any] = dict(content)
        for key in self._left:
            if known is not None and key not in known:
                raise self.wrong(key, "is not known here: is it misspelt?")

    def wrong(self, key: str, why: str) -> Invalid:
        """The error that says so."""
        where = f"{self.place}: {key}" if self.place else key
        return Invalid(f"{where} {why}", field=key)

    def text(self, key: str) -> str | None:
        """Some text that is not empty, None where it is left out."""
        found = self._take(key, str)
        if found == "":
            raise self.wrong(key, "is empty")
        return found if isinstance(found, str) else None

    def needed(self, key: str) -> str:
        """Some text."""
        found = self.text(key)
        if found is None:
            raise self.wrong(key, "is missing")
        return found

    def word(self, key: str, words: Mapping[str, Any], default: Any) -> Any:
        """What one of these words stands for."""
        found = self.text(key)
        if found is None:
            return default
        if found not in words:
            raise self.wrong(key, f"is one of {', '.join(words)}")
        return words[found]

    def seconds(self, key: str, default: float, most: float) -> float:
        """A number from 0 up to `most`."""
        found = self._take(key, int, float)
        if found is None:
            return default
        if not 0 <= found <= most:
            raise self.wrong(key, f"is a number of seconds from 0 up to {most:g}")
        return float(found)

    def words(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, with at least one: a program and its arguments."""
        found = self._take(key, list)
        if found is None:
            return None
        if not found or not all(isinstance(word, str) and "\0" not in word for word in found) or not found[0]:
            raise self.wrong(key, "is a list of texts, the program first: it is started without a shell")
        return tuple(found)

    def sections(self, key: str) -> list[Any]:
        """A list of tables, for sections of their own."""
        found = self._take(key, list)
        return found if isinstance(found, list) else []

    def section(self, key: str, known: Collection[str] | None) -> "Section | None":
        """A table, None where it is left out."""
        found = self._take(key, dict)
        return None if found is None else Section(f"{self.place}.{key}" if self.place else key, found, known)

    def texts(self) -> dict[str, str]:
        """All that is left, which is text."""
        for key, found in self._left.items():
            if not isinstance(found, str):
                raise self.wrong(key, f"is {_kind(found)}, and should be text")
        found, self._left = self._left, {}
        return found

    def _take(self, key: str, *kinds: type) -> Any:
        found = self._left.pop(key, None)
        if found is not None and (not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds)):
            raise self.wrong(key, f"is {_kind(found)}, and should be {' or '.join(_TOML[kind] for kind in kinds)}")
        return found


def _kind(found: Any) -> str:
    return _TOML.get(type(found), "something else")
