"""Restorations as people see them: begun, listed, with what was found of each connection."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.access import EVERYTHING, Caller, Kind, Level, Thing, require
from service.core.errors import Absent, Invalid
from service.core.event import Detail, fit
from service.core.restoration import Finding
from service.keeper.door import Deed, Door
from service.keeper.walls import Walls
from service.ledger import findings, restorations
from service.ledger.findings import Found, Outline
from service.ledger.ledger import Transaction
from service.ledger.restorations import Restoration

__all__ = ["Found", "Outlook", "Restorations"]

_LONGEST = 500


@dataclass(frozen=True)
class Outlook:
    """A restoration as it is shown: how far it has come, in what the caller may see."""

    restoration: Restoration
    counts: Mapping[Finding, int]
    tells_why: bool
    """The reason may name what the caller may not see: owners of everything are told."""


class Restorations:
    """Operations on restorations. Probing is `probes.py`, driven by the scheduler; noticing is `past.py`."""

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def begin(self, caller: Caller, reason: str) -> tuple[Outlook, bool]:
        """Say that the ledger came back from a copy: every rotation is held until every login was probed.

        True beside it if it is new; False if one was under way already. Raises Invalid, Forbidden.
        """
        reason = fit(reason).strip()
        if not 1 <= len(reason) <= _LONGEST:
            raise Invalid(
                f"reason must be 1 to {_LONGEST} characters: what was brought back, from when", field="reason"
            )
        require(caller, Level.OWN, EVERYTHING, "the ledger")
        begun = self.notice(caller, lambda _: reason)
        return self._latest(caller), begun

    def notice(self, caller: Caller, why: Callable[[Transaction], str]) -> bool:
        """Begin a restoration if `why` still gives a reason once `head` is held; whether a new one was begun."""
        deeds: list[Deed] = []

        def act(tx: Transaction) -> bool:
            reason = why(tx)
            if not reason or restorations.open_one(tx):
                return False
            restoration_id = self._door.new_id()
            count = restorations.begin(tx, restoration_id, reason, caller.name)
            about: dict[str, Detail] = {"restoration": restoration_id, "reason": reason, "connections": count}
            deeds.append(Deed("restoration.begin", detail=about))
            if not count:
                restorations.close(tx, restoration_id)
                deeds.append(Deed("restoration.end", detail={"restoration": restoration_id}))
            return True

        return self._door.change(caller, deeds, act)

    def listed(self, caller: Caller, after: str, limit: int) -> list[Outlook]:
        """The latest first."""

        def evaluate(tx: Transaction) -> list[Outlook]:
            return [self._outlook(tx, caller, it) for it in restorations.listed(tx, after, limit)]

        return self._door.fetch(caller, Deed("restoration.list"), evaluate)

    def findings(
        self, caller: Caller, restoration_id: str, finding: Finding | None, after: tuple[str, str], limit: int
    ) -> list[Found]:
        """What was found of the connections that the caller may see, by environment and name. Raises Absent."""

        def evaluate(tx: Transaction) -> list[Found]:
            if restorations.find(tx, restoration_id) is None:
                raise Absent(f"restoration {restoration_id[:64]} does not exist")
            seen: list[Found] = []
            position = after
            while len(seen) < limit:
                page = findings.listed(tx, restoration_id, finding, position, limit)
                seen += [found for found in page if self._sees(caller, found)]
                if len(page) < limit:
                    break
                position = (page[-1].environment, page[-1].connection)
            return seen[:limit]

        return self._door.fetch(caller, Deed("restoration.get", resource=restoration_id), evaluate)

    def held_now(self) -> tuple[bool, int]:
        """Is every rotation held; and of how many connections. For those who watch; no event. Raises Unavailable."""
        return self._door.look(lambda tx: (restorations.open_one(tx) is not None, restorations.count_held(tx)))

    def _latest(self, caller: Caller) -> Outlook:
        return self._door.look(lambda tx: self._outlook(tx, caller, restorations.listed(tx, "", 1)[0]))

    def _outlook(self, tx: Transaction, caller: Caller, it: Restoration) -> Outlook:
        counts = Counter(o.finding for o in findings.outlines(tx, it.id) if self._sees(caller, o))
        return Outlook(it, counts, caller.level(EVERYTHING) is Level.OWN)

    def _sees(self, caller: Caller, found: Found | Outline) -> bool:
        thing = Thing(Kind.CONNECTION, found.environment_id, found.connection)
        return caller.level(thing) is not None and self._walls.serves(found.environment)
