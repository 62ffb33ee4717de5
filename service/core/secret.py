"""Plaintext that cannot slip out by accident.

A `Secret` refuses every way by which Python turns an object into text unasked: `repr`, `str`,
`format`, f-strings, `%`, pickling, copying into JSON. `.reveal()` is the only way out, so one
grep over the sources lists every place where plaintext is used.
"""

import hmac
from typing import NoReturn, final


@final
class Secret:
    """A piece of plaintext: a password, a token, the value of a variable."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The plaintext. Whoever calls this answers for where it goes."""
        return self._text

    def __eq__(self, other: object) -> bool:
        """Compared in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret could end up in a dump

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> NoReturn:
        raise TypeError("a Secret has no text form; call .reveal() where the plaintext is really needed")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a Secret cannot be formatted; call .reveal() where the plaintext is really needed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")
