"""Escrows: what is kept of self-administered connections outside of the ledger, written and looked at."""

from dataclasses import replace

import structlog

from service.core.administration import MOST_WAYS, in_order
from service.core.connection import Accepted, Access, Target, Unreachable
from service.core.errors import EscrowError, KeywrightError
from service.core.escrow import FORMER, Entry, Escrow, Escrowed
from service.keeper import definitions
from service.keeper.briefs import Briefs
from service.keeper.budget import Budget, Withheld
from service.keeper.door import Deed, Door
from service.keeper.tokens import SYSTEM
from service.keeper.walls import Walls
from service.ledger import connections, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

log = structlog.get_logger("escrow")

ALONE = (
    "it administers itself, and there is no second way in: if the ledger were lost, nobody would know its password; "
    "set KEYWRIGHT_ESCROW, or register a second administration connection to this server"
)


class Escrows:
    """Keeps and checks them. Without an `escrow` there is nothing to do."""

    def __init__(self, door: Door, walls: Walls, briefs: Briefs, budget: Budget, escrow: Escrow | None) -> None:
        self._door = door
        self._walls = walls
        self._briefs = briefs
        self._budget = budget
        self._escrow = escrow

    def findings(self, tx: Transaction, stored: StoredConnection) -> tuple[str, ...]:
        """What is wrong with the second way in to a connection, as sentences."""
        if stored.administered_by != stored.id:
            return ()
        if self._escrow is None and not _second_login(tx, stored):
            return (ALONE,)
        return tuple(stored.health.get("escrow", ())) if self._escrow else ()

    def keep(self, connection_id: str, *, proven: bool = False) -> None:
        """Write what the ledger knows of a connection that administers itself; on disk when this returns.

        `proven`: its live password was just seen to log in, so that former ones may be forgotten.
        Raises EscrowError, the key errors, SealBroken.
        """
        if self._escrow is None:
            return
        entry = self._door.look(lambda tx: self._entry(tx, connection_id))
        if entry:
            self._escrow.keep(entry, proven=proven)

    def check_all(self) -> None:
        """Check every connection that administers itself."""
        for stored in self._door.look(lambda tx: connections.self_administered(tx, self._walls.pinned)):
            self.check(stored.id)

    def check(self, connection_id: str) -> None:
        """Bring an entry in line with the ledger, see that it logs in, and tell the connection's health.

        Nothing is done for a connection that does not administer itself. At most `MOST_WAYS` passwords are
        tried, within the budget. A target that does not answer tells nothing.
        """
        stored = self._door.look(lambda tx: connections.get(tx, connection_id))
        if self._escrow is None or stored is None or stored.administered_by != stored.id:
            return
        try:
            said = self._checked(self._escrow, stored)
        except KeywrightError as error:
            place = error.place if isinstance(error, EscrowError) else None
            log.error("the second way in is not up to date", error=error.message, place=place)
            said = f"the second way in is not up to date: {error.message}"
        if said is not None:
            self._tell(stored, tuple(filter(None, (said, self._escrow.exposed()))))

    def _checked(self, escrow: Escrow, stored: StoredConnection) -> str | None:
        """What is wrong; empty if nothing; None if that cannot be told now."""
        self.keep(stored.id)
        entry = next((e for e in escrow.entries() if e.connection_id == stored.id), None)
        if entry is None:
            return "the escrow holds no password of it"
        target = definitions.target(stored.definition)
        working = self._working(target, entry)
        if working is None:
            return None
        if not working:
            return f"no password in the escrow logs in at {target.primary}"
        if working[0].standing == FORMER:
            return (
                f"only a password that the ledger does not know any more logs in at {target.primary}; "
                f"`keywrightd escrow open {stored.name}` shows it: put the connection again with it"
            )
        self.keep(stored.id, proven=True)
        return ""

    def _working(self, target: Target, entry: Entry) -> list[Escrowed] | None:
        """The first account that logs in; none if all are refused; None if the target does not answer."""
        tried = entry.accounts[:MOST_WAYS]
        for held in tried:
            who = held.account
            others = [o.account for o in tried if o.account.username == who.username and o.account != who]
            # Not by `Budget.way`: what a check is for is to see, not to believe.
            match self._budget.probe(Access(target, who), target.primary, next(iter(others), None), lasting=True):
                case Accepted():
                    return [held]
                case Withheld():
                    continue
                case Unreachable():
                    return None
        return []

    def _tell(self, seen: StoredConnection, findings: tuple[str, ...]) -> None:
        if tuple(seen.health.get("escrow", ())) == findings:
            return

        def act(tx: Transaction) -> None:
            stored = connections.get(tx, seen.id)
            if stored:
                connections.replace(tx, replace(stored, health=stored.health | {"escrow": list(findings)}))

        deed = Deed("escrow.check", seen.environment, seen.name, {"findings": len(findings)})
        self._door.change(SYSTEM, deed, act)

    def _entry(self, tx: Transaction, connection_id: str) -> Entry | None:
        stored = connections.get(tx, connection_id)
        if stored is None or stored.administered_by != stored.id:
            return None
        standing = connections.standing(tx, stored.id)
        likeliest = in_order(standing, rotations.open_one(tx, stored.id))
        ordered = [*likeliest, *(credential for credential in standing if credential not in likeliest)]
        held = [(credential.state.value, self._briefs.account(tx, stored, credential)) for credential in ordered]
        accounts = tuple(Escrowed(state, account) for state, account in held if account)
        database = definitions.target(stored.definition).database
        return Entry(stored.id, stored.environment, stored.name, stored.server, database, accounts, tx.now)


def _second_login(tx: Transaction, stored: StoredConnection) -> bool:
    """Is there another administration connection to the same server?"""
    others = [other for other in connections.on_server(tx, stored.server) if other.id != stored.id]
    return any(
        connections.administered(tx, other.id) for other in others if other.environment_id == stored.environment_id
    )
