"""Rehearsals: what a rotation would do, in sentences and SQL, and what would keep it from it.

Nothing is changed: the target is only logged in to and looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.core import names
from service.core.access import Caller, Level
from service.core.administration import admitted
from service.core.connection import Accepted, Access, Account, Engine
from service.core.database import Database, Examination, Pairing
from service.core.errors import ChangeError, Conflict
from service.core.rotation import RotationPolicy, Strategy, resting_login
from service.core.schedule import duration_text
from service.keeper.briefs import Briefs, Standpoint
from service.keeper.budget import Budget
from service.keeper.credentials import connection_found
from service.keeper.door import Deed, Door
from service.keeper.walls import Walls
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Rehearsal:
    """What was found."""

    sentences: tuple[str, ...]
    statements: tuple[str, ...]
    problems: tuple[str, ...]


class Rehearsals:
    """Looks ahead."""

    def __init__(
        self, door: Door, walls: Walls, briefs: Briefs, databases: Mapping[Engine, Database], budget: Budget
    ) -> None:
        self._door = door
        self._walls = walls
        self._briefs = briefs
        self._databases = databases
        self._budget = budget

    def rehearse(self, caller: Caller, environment: str, name: str) -> Rehearsal:
        """Look at everything that a rotation of this connection needs. Raises Absent, Forbidden, Conflict."""
        names.path(name, "connection")

        def evaluate(tx: Transaction) -> Standpoint:
            wall = self._walls.enter(tx, caller, environment)
            stored = connection_found(tx, wall, caller, name, Level.EDIT)
            if stored.policy is None:
                raise Conflict(f"connection {name} has no rotation policy; put one under `rotation` first")
            return self._briefs.standpoint(tx, stored)

        at = self._door.fetch(caller, Deed("rotation.rehearse", environment, name), evaluate)
        at = replace(at, administration=admitted(self._budget.way, at.ways))
        problems = self._problems(at)
        role, username = self._chosen(at)
        statements: tuple[str, ...] = ()
        database = self._databases[at.target.engine]
        if at.administration and username:
            try:
                # Under `single` a login that administers itself changes its own password, which every login may.
                own = at.administers_itself and at.policy.strategy is Strategy.SINGLE
                if isinstance(database, Examination) and not own:
                    # A login of the pair may be yet to be made: what must be permitted is on the role.
                    problems += database.lacks(at.administration, role or username)
                if at.policy.strategy is Strategy.ALTERNATING and isinstance(database, Pairing):
                    statements = database.explain(at.administration, role, username)
            except ChangeError as error:
                problems.append(error.message)
        return Rehearsal(tuple(self._sentences(at.policy, role, username, at.live)), statements, tuple(problems))

    def _problems(self, at: Standpoint) -> list[str]:
        problems = []
        if at.administration is None:
            problems.append("there is no administration credential to change the password with")
        else:
            probe = self._budget.way(at.administration, at.ways)
            if not isinstance(probe, Accepted):
                problems.append(f"the administration login does not get in: {probe.reason}")
        if at.live:
            for endpoint in at.target.endpoints:
                probe = self._budget.probe(Access(at.target, at.live), endpoint, lasting=True)
                if not isinstance(probe, Accepted) and endpoint.required:
                    problems.append(f"{endpoint} does not accept the live credential: {probe.reason}")
        return problems

    @staticmethod
    def _chosen(at: Standpoint) -> tuple[str, str | None]:
        if at.policy.strategy is not Strategy.ALTERNATING:
            return "", at.live.username if at.live else at.adopted
        role, pair = at.policy.pair(at.adopted or "")
        return role, resting_login(pair, at.live.username if at.live else None)

    @staticmethod
    def _sentences(policy: RotationPolicy, role: str, username: str | None, live: Account | None) -> list[str]:
        now = live.username if live else "nobody yet"
        minimum, limit = duration_text(policy.drain_minimum), duration_text(policy.drain_limit)
        match policy.strategy:
            case Strategy.ALTERNATING:
                said = [
                    f"Applications log in as {now} now.",
                    f"{username} is made, or brought in line, as a login of its own that acts as the role {role}.",
                    "It logs in on every required endpoint and is compared with the present login.",
                    f"Then it is published. {now} keeps working for at least {minimum},",
                    f"and until nobody is connected as it, {limit} at most.",
                ]
                if live and username and live.username == role:
                    said.append(f"{role} itself keeps its password until an operator makes it NOLOGIN.")
                else:
                    said.append(
                        f"Then the password of {now} is replaced by a sealed one, and the old one shown to be dead."
                    )
                return said
            case Strategy.OVERLAPPING:
                return [
                    f"{username} gets a second password beside its present one; both work.",
                    "The new one logs in on every required endpoint, then it is published.",
                    f"After at least {minimum} the old one is dropped, and shown to be dead.",
                ]
            case Strategy.SINGLE:
                return [
                    f"The next password of {username} is announced to applications for at least {minimum}.",
                    "Then it replaces the present one at once; whoever holds the announced set tries its next entry.",
                    "The new one logs in on every required endpoint, and the old one is shown to be dead.",
                ]
