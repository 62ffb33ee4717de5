"""Comparing: is the new login of a pair to applications what the former one is?

What the two have in common is the shared role. A setting that somebody gave the role since the last rotation
is not yet the former login's, and no reason to undo anything: the new login has it from the role, and the
former one is as it was known. A setting that is the former login's alone would be lost: nothing is published.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.looks import Looks, role
from service.core.connection import Accepted, Endpoint
from service.core.database import Inheritance
from service.core.errors import ChangeNotPermitted
from service.core.rotation import Strategy
from service.keeper import drift
from service.keeper.briefs import Brief, Briefs

_SETTING = "setting "


@dataclass(frozen=True)
class Compared:
    """`differs` is a sentence, empty where nothing does. `moved`: parts that are not as before, and should not be."""

    differs: str = ""
    moved: Mapping[str, str] = field(default_factory=dict)


class Comparison:
    """Compares identities. `key` keys the digests of settings that may be secrets, as the sentinel's looks do."""

    def __init__(self, briefs: Briefs, looks: Looks, key: bytes) -> None:
        self._briefs = briefs
        self._looks = looks
        self._key = key

    def parts(self, seen: Accepted) -> dict[str, str]:
        """What a login showed, as it is kept."""
        return drift.parts(seen.identity, self._key)

    def compare(self, brief: Brief, new: Accepted, endpoint: Endpoint) -> Compared:
        """The new login of a pair with the former one, at the same endpoint. Raises ChangeError."""
        if brief.rotation.strategy is not Strategy.ALTERNATING:
            return Compared()
        if brief.former is None:
            expected = {"current_user": role(brief)}
        else:
            former = self._looks.probe(brief, brief.former, endpoint)
            if not isinstance(former, Accepted):
                return Compared()  # nothing to compare with; the new one works
            expected = dict(former.identity)
        before = drift.parts(expected, self._key)
        now = drift.parts({name: new.identity.get(name, "") for name in expected}, self._key)
        other = {name for name in {*before, *now} if before.get(name) != now.get(name)}
        if not other:
            return Compared()
        moved = {name: now[name] for name in other & self._inherited(brief) if name in now}
        known = self._briefs.known(brief.rotation.connection_id).get(str(endpoint))
        if known is not None:
            # What was changed on the former login itself is somebody's wish for it, and not for the role.
            moved = {name: value for name, value in moved.items() if known.get(name) == before.get(name)}
        said = drift.difference(_without(before, moved), _without(now, moved))
        return Compared(f"{'; '.join(said)}. {self._advice(brief, other - moved.keys())}" if said else "", moved)

    def _inherited(self, brief: Brief) -> frozenset[str]:
        """Parts that the new login has as the shared role has them."""
        database: object = self._looks.database(brief)
        if not isinstance(database, Inheritance) or brief.administration is None or brief.candidate is None:
            return frozenset()
        try:
            with self._looks.changing(brief.administration):
                names = database.inherited(
                    brief.administration, role(brief), brief.candidate.username, brief.target.database
                )
        except ChangeNotPermitted:
            return frozenset()
        return frozenset(_SETTING + name for name in names)

    @staticmethod
    def _advice(brief: Brief, other: set[str]) -> str:
        shared, new = role(brief), brief.candidate.username if brief.candidate else ""
        former = brief.former.username if brief.former else shared
        settings = sorted(name.removeprefix(_SETTING) for name in other if name.startswith(_SETTING))
        if settings and former != shared:
            return (
                f"What both logins are to have is set for their role: ALTER ROLE {shared} SET {settings[0]} TO …; what "
                f"is to go is taken from {former}: ALTER ROLE {former} RESET {settings[0]}. Then rotate again"
            )
        return f"See that {new} acts as {shared} and that nothing was set for {new} alone. Then rotate again"


def _without(parts: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parts.items() if name not in names}
