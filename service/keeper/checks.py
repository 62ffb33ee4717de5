"""Checks: now and then somebody logs in with the live credential, from outside of the rotation path.

    accepted everywhere   well; and who it is and what it may do is compared with what was known (drift)
    rejected              failing: it was changed outside of Keywright
    unreachable           warned

What is looked at is claimed by one conditional statement, so that of many replicas one looks. Whatever a login
shows counts only if the connection is, afterwards, as it was before: a rotation may have passed in between.
That an administration login administers the roles that Keywright made by it is known when it is seen, and no drift:
that it does not any more is.
An event tells what became another, not that all is as before.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from service.core.connection import Accepted, Access, Account, NotPermitted, Rejected, Target
from service.core.database import FENCE
from service.core.errors import StoreError
from service.core.reference import select
from service.core.rotation import CredentialState, Stage, Strategy
from service.keeper import definitions, drift
from service.keeper.briefs import Briefs
from service.keeper.budget import Budget, Withheld
from service.keeper.definitions import KeptIn
from service.keeper.door import Deed, Door
from service.keeper.references import References
from service.keeper.tokens import SYSTEM
from service.keeper.walls import Walls
from service.ledger import checks, connections, restorations, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

_UNCHECKED = timedelta(days=1)
_CALM = {Stage.PLANNED, Stage.PUBLISHED, Stage.DRAINING}
"""Under `single`, and where the password lives in a store, it is clear only in these what should be in force."""


@dataclass(frozen=True)
class _Before:
    stored: StoredConnection
    target: Target
    live_id: str
    username: str
    account: Account | None
    home: KeptIn | None

    def same(self, other: "_Before | None") -> bool:
        """Is what should be in force the same?"""
        mine = (self.stored.generation, self.stored.revision, self.live_id)
        return other is not None and mine == (other.stored.generation, other.stored.revision, other.live_id)


@dataclass(frozen=True)
class Finding:
    """What a check saw: sentences for the connection's health, and the identity at each endpoint."""

    outcome: str
    check: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    identity: tuple[tuple[str, dict[str, str]], ...] = ()


class Checks:
    """Claims and makes them. `key` keys the digests of settings that may be secrets."""

    def __init__(
        self, door: Door, walls: Walls, briefs: Briefs, references: References, budget: Budget, key: bytes
    ) -> None:
        self._door = door
        self._walls = walls
        self._briefs = briefs
        self._references = references
        self._budget = budget
        self._key = key

    def claim(self, limit: int) -> list[str]:
        """Ids of connections that this caller is to look at now."""
        # While the ledger's past may have been lost, its passwords are nothing to judge a server by.
        due = self._door.look(lambda tx: [] if restorations.open_one(tx) else checks.due(tx, limit, self._walls.pinned))
        if not due:
            return []
        mine = []
        with self._door.ledger.work() as tx:
            for connection_id in due:
                every = self._every(tx, connection_id)
                # A tenth more or less, so that what was put at once is not looked at at once for ever.
                share = 0.9 + int.from_bytes(self._door.randomness(2), "big") / 2**16 / 5
                if checks.claim(tx, connection_id, tx.now + (every or _UNCHECKED) * share) and every:
                    mine.append(connection_id)
        return mine

    @staticmethod
    def _every(tx: Transaction, connection_id: str) -> timedelta | None:
        stored = connections.get(tx, connection_id)
        if stored is None:
            return None
        policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
        return policy.check_every if policy else definitions.CHECK_EVERY

    def check(self, connection_id: str) -> str:
        """Log in and record what became another. The outcome; empty if nothing could be said just now."""
        before = self._door.look(lambda tx: self._before(tx, connection_id))
        if before is None:
            return ""
        finding = self._found(before)
        after, known, made = self._door.look(
            lambda tx: (self._before(tx, connection_id), checks.known(tx, connection_id), _made(tx, connection_id)),
        )
        if after is None or not before.same(after):
            return ""
        kept, drifted = self._compared(known, finding, made)
        news = self._news(after.stored, finding, drifted)
        if news and not self._record(before, finding, drifted, news):
            return ""
        if kept != known:
            with self._door.ledger.work() as tx:
                if before.same(self._before(tx, connection_id)):
                    checks.keep(tx, connection_id, kept)
        return finding.outcome

    def _before(self, tx: Transaction, connection_id: str) -> _Before | None:
        stored = connections.get(tx, connection_id)
        if stored is None:
            return None
        home = definitions.kept_in(stored.definition.get("kept_in"))
        open_one = rotations.open_one(tx, connection_id)
        if open_one and (home or open_one.strategy is Strategy.SINGLE) and open_one.reached not in _CALM:
            return None
        live = next((c for c in connections.standing(tx, stored.id) if c.state is CredentialState.LIVE), None)
        if live is None:
            return None
        account = self._briefs.account(tx, stored, live)
        return _Before(stored, definitions.target(stored.definition), live.id, live.username, account, home)

    def _found(self, before: _Before) -> Finding:
        account = before.account
        if account is None and before.home:
            try:
                password = select(self._references.now(before.home.location), before.home.password())
            except StoreError as error:
                return Finding("unreachable", away=(f"the password could not be read: {error.message}",))
            account = Account(before.username, password)
        if account is None:
            return Finding("")
        check, away, identity = [], [], []
        for endpoint in (e for e in before.target.endpoints if e.required):
            who = account.username
            match self._budget.probe(Access(before.target, account), endpoint, lasting=True):
                case Accepted(seen):
                    identity.append((str(endpoint), drift.parts(seen, self._key)))
                case Rejected():
                    check.append(
                        f"{endpoint} does not accept the live password of {who}: it was changed outside of Keywright"
                    )
                case NotPermitted(reason):
                    check.append(f"{endpoint} does not let {who} in: {reason}")
                case Withheld() if former := before.stored.health.get("check"):
                    check += [sentence for sentence in former if sentence not in check]
                case other:
                    away.append(f"{endpoint} could not be checked: {other.reason}")
        outcome = "rejected" if check else "unreachable" if away else "accepted"
        return Finding(outcome, tuple(check), tuple(away), tuple(identity))

    @staticmethod
    def _compared(
        known: dict[str, dict[str, dict[str, str]]], finding: Finding, made: frozenset[str]
    ) -> tuple[dict[str, object], list[str]]:
        """What is to be kept as known, and what drifted from it, in sentences. `made`: parts that are ours."""
        identity, seen = dict(known.get("identity", {})), {}
        drifted: list[str] = []
        for endpoint, now in finding.identity:
            identity[endpoint] = dict.fromkeys(made & now.keys(), "") | identity.get(endpoint, now)
            if changes := drift.difference(identity[endpoint], now):
                seen[endpoint] = now
                drifted += [f"{endpoint}: {change}" for change in changes]
        kept: dict[str, object] = {"identity": identity}
        return (kept | {"seen": seen} if seen else kept), drifted

    @staticmethod
    def _news(stored: StoredConnection, finding: Finding, drifted: list[str]) -> dict[str, list[str]]:
        now = {"check": list(finding.check), "away": list(finding.away)}
        if finding.identity:  # where nobody got in, nothing is known of drift
            now["drift"] = drifted
        return {source: said for source, said in now.items() if (stored.health.get(source) or []) != said}

    def _record(self, before: _Before, finding: Finding, drifted: list[str], news: dict[str, list[str]]) -> bool:
        """False: it moved in this very moment, and nothing is said."""
        where = (before.stored.environment, before.stored.name)
        deeds = []
        if news.keys() & {"check", "away"}:
            deeds.append(Deed("connection.check", *where, {"outcome": finding.outcome, "login": before.username}))
        if "drift" in news:
            deeds.append(Deed("connection.drift", *where, {"difference": "; ".join(drifted), "login": before.username}))

        def act(tx: Transaction) -> bool:
            now = self._before(tx, before.stored.id)
            if now is None or not before.same(now):
                deeds.clear()
                return False
            connections.replace(tx, replace(now.stored, health=now.stored.health | news))
            return True

        return self._door.change(SYSTEM, deeds, act)


def _made(tx: Transaction, connection_id: str) -> frozenset[str]:
    """Parts that a login gains as Keywright makes roles by it: fences, and what logins act as or are.

    The login that was imported was there before, whoever gave it to the administration login.
    """
    roles = {FENCE + connection_id}
    for stored in connections.administered_by(tx, connection_id):
        imported = stored.definition.get("login")
        policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
        shared = [policy.role] if policy and policy.role else []
        roles |= {FENCE + stored.id, *shared, *connections.usernames(tx, stored.id)} - {imported}
    return frozenset(map(drift.administration, roles))
