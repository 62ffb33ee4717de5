"""A connection's health: what each source found last, kept as `{source: sentences}` in the connection's row.

    failing   overdue      a rotation that nobody began, or that does not move         the watch
              rotation     the last rotation failed, was missed, or waits              the rotator, planning
              check        the live credential is not accepted                         the sentinel
    warned    away         it could not be tried                                       the sentinel
              drift        what the login is and may do was changed                    the sentinel
              registered   what was found when it was put                              connections
              fence        what the target's fence lacks                               the rotator

A source that has nothing to say has an empty list, None, or no entry. A new source is a word in one of the two lists.
"""

from collections.abc import Iterable, Mapping
from typing import Any

FAILING = ("overdue", "rotation", "check")
WARNED = ("away", "drift", "registered", "fence")


def told(
    health: Mapping[str, Any], warnings: Iterable[str] = (), troubles: Iterable[str] = ()
) -> tuple[str, list[str]]:
    """`well`, `warned` or `failing`, and the sentences that say why, the worst first."""
    failing, warned = [*troubles, *_of(health, FAILING)], [*_of(health, WARNED), *warnings]
    return ("failing" if failing else "warned" if warned else "well"), [*failing, *warned]


def _of(health: Mapping[str, Any], sources: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for source in sources:
        said = health.get(source) or []
        found += [said] if isinstance(said, str) else said
    return found
