"""Rehearsals: what a rotation would do, and what would keep it from it, tried as far as that goes without effect.

    every endpoint        logged in to with the live credential; how that is protected
    the administration    logged in to; the whole change tried and taken back (`service.core.database.Rehearsing`)
    who is on it          callers by the event log, sessions by the target
    what would follow     stage by stage, with the earliest moments (`service.core.rehearsal`)

Problems would keep the rotation from working; warnings would not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.core import names
from service.core.access import Caller, Level
from service.core.administration import admitted
from service.core.connection import (
    Accepted,
    Access,
    Account,
    Endpoint,
    Engine,
    NotPermitted,
    Probe,
    Rejected,
    TlsMode,
    Unreachable,
)
from service.core.database import (
    Database,
    DrainView,
    Examination,
    Fence,
    Findings,
    Pairing,
    Rehearsing,
    Session,
    Trial,
)
from service.core.errors import ChangeError, Conflict
from service.core.password import profile
from service.core.rehearsal import PROTECTION, Cast, Planned, plan
from service.core.rotation import AfterLimit, CredentialState, Rotation, Strategy, resting_login
from service.core.secret import Secret
from service.keeper.briefs import Briefs, Standpoint
from service.keeper.budget import Budget
from service.keeper.credentials import connection_found
from service.keeper.door import Deed, Door
from service.keeper.holders import Holder, Holders, lately
from service.keeper.walls import Walls
from service.ledger import connections, rotations
from service.ledger.ledger import Transaction

LATELY = timedelta(days=30)
"""Callers whose last fetch is older are not told."""


@dataclass(frozen=True)
class Reached:
    """What a login at one endpoint told. `protocol` is empty where nothing protects it, None where nobody got in."""

    endpoint: Endpoint
    outcome: str
    reason: str | None
    protection: str
    protocol: str | None


@dataclass(frozen=True)
class Rehearsal:
    """What was found. `sessions` is None where they cannot be told; a warning says why."""

    cast: Cast | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    plan: tuple[Planned, ...]
    endpoints: tuple[Reached, ...]
    statements: tuple[str, ...]
    callers: tuple[Holder, ...]
    sessions: tuple[Session, ...] | None


@dataclass(frozen=True)
class _Start:
    """What the ledger knows."""

    at: Standpoint
    fence: Fence
    now: datetime
    promised_until: datetime | None
    rotation: Rotation | None
    callers: tuple[Holder, ...]


class Rehearsals:
    """Looks ahead."""

    def __init__(
        self,
        door: Door,
        walls: Walls,
        briefs: Briefs,
        holders: Holders,
        databases: Mapping[Engine, Database],
        budget: Budget,
    ) -> None:
        self._door = door
        self._walls = walls
        self._briefs = briefs
        self._holders = holders
        self._databases = databases
        self._budget = budget

    def rehearse(self, caller: Caller, environment: str, name: str) -> Rehearsal:
        """Look at everything that a rotation of this connection needs. Raises Absent, Forbidden, Conflict."""
        names.path(name, "connection")

        def evaluate(tx: Transaction) -> _Start:
            wall = self._walls.enter(tx, caller, environment)
            stored = connection_found(tx, wall, caller, name, Level.EDIT)
            if stored.policy is None:
                raise Conflict(f"connection {name} has no rotation policy; put one under `rotation` first")
            standing = connections.standing(tx, stored.id)
            ending = [c.good_until for c in standing if c.state is CredentialState.DRAINING and c.good_until]
            return _Start(
                self._briefs.standpoint(tx, stored),
                Fence(stored.id, connections.fence(tx, stored.id)),
                tx.now,
                max(ending, default=None),
                rotations.open_one(tx, stored.id),
                lately(tx, stored, tx.now - LATELY),
            )

        self._holders.catch_up()
        start = self._door.fetch(caller, Deed("rotation.rehearse", environment, name), evaluate)
        at, database = start.at, self._databases[start.at.target.engine]
        at = replace(at, administration=admitted(self._really, at.ways))
        cast = _cast(at)
        reached = tuple(self._reached(database, at, endpoint) for endpoint in at.target.endpoints)
        found = [_of_ledger(start, cast), _of_endpoints(at, reached)]
        statements: tuple[str, ...] = ()
        sessions: tuple[Session, ...] | None = None
        if at.administration is None:
            found.append(Findings(("there is no administration credential to change the password with",)))
        elif not isinstance(probe := self._really(at.administration, at.ways), Accepted):
            # Nothing more is tried with it: rejected logins may lock an account.
            found.append(Findings((f"the administration login does not get in: {probe.reason}",)))
        elif cast:
            seen, statements = self._tried(database, at, at.administration, cast, start.fence)
            sessions, who = _connected(database, at.administration, cast)
            found += [seen, who]
        return Rehearsal(
            cast,
            tuple(dict.fromkeys(sentence for each in found for sentence in each.problems)),
            tuple(dict.fromkeys(sentence for each in found for sentence in each.warnings)),
            plan(at.policy, cast, start.now, start.promised_until) if cast else (),
            reached,
            statements,
            start.callers,
            sessions,
        )

    def _reached(self, database: Database, at: Standpoint, endpoint: Endpoint) -> Reached:
        """Log in as applications do; where nobody knows how, as somebody who does not exist."""
        protection = PROTECTION[at.target.tls.mode]
        if at.live is None:
            access = Access(at.target, Account(f"keywright-{self._door.new_id()[:8]}", Secret(self._door.new_id())))
            probe = database.probe(access, endpoint)
        else:
            access = Access(at.target, at.live)
            probe = self._budget.probe(access, endpoint, lasting=True)
        if not isinstance(probe, Accepted):
            return Reached(endpoint, _outcome(probe), probe.reason, protection, None)
        protocol = database.protocol(access, endpoint) if isinstance(database, Rehearsing) else None
        return Reached(endpoint, "accepted", None, protection, protocol)

    def _really(self, way: Access, ways: Sequence[Access]) -> Probe:
        """What follows logs in outside of the budget: so nothing is believed, and a rejection ends the rehearsal."""
        return self._budget.way(way, ways, believing=False)

    def _tried(
        self, database: Database, at: Standpoint, administration: Access, cast: Cast, fence: Fence
    ) -> tuple[Findings, tuple[str, ...]]:
        """Everything that can be asked of the administration login, and the statements that it would send."""
        problems: list[str] = []
        warnings: list[str] = []
        statements: tuple[str, ...] = ()
        # Under `single` a login that administers itself changes its own password, which every login may.
        own = at.administers_itself and at.policy.strategy is Strategy.SINGLE
        try:
            if isinstance(database, Examination) and not own:
                # A login of the pair may be yet to be made: what must be permitted is on the role.
                problems += database.lacks(administration, cast.role or cast.turns)
            if isinstance(database, Rehearsing):
                password = (at.policy.password or profile()).generate(self._door.randomness)
                ends = at.policy.after_limit is AfterLimit.END
                trial = Trial(cast.turns, cast.role, cast.live, at.target.database, password, ends)
                found = database.rehearse(administration, trial, fence)
                problems += found.problems
                warnings += found.warnings
            if at.policy.strategy is Strategy.ALTERNATING and isinstance(database, Pairing):
                statements = database.explain(administration, cast.role, cast.turns)
        except ChangeError as error:
            problems.append(error.message)
        return Findings(tuple(problems), tuple(warnings)), statements


def _outcome(probe: Rejected | NotPermitted | Unreachable) -> str:
    match probe:
        case Rejected():
            return "rejected"
        case NotPermitted():
            return "not permitted"
        case Unreachable():
            return "unreachable"


def _cast(at: Standpoint) -> Cast | None:
    """Who would take part; None if nobody ever named a login."""
    store, live = str(at.kept_in.location) if at.kept_in else "", at.live_username or ""
    if at.policy.strategy is not Strategy.ALTERNATING:
        turns = at.live_username or at.adopted
        return Cast(turns, live, "", store) if turns else None
    role, pair = at.policy.pair(at.adopted or "")
    return Cast(resting_login(pair, live or None), live, role, store) if role else None


def _of_ledger(start: _Start, cast: Cast | None) -> Findings:
    problems: list[str] = []
    warnings: list[str] = []
    if cast is None:
        problems.append("no login is known: put the connection again with login.username")
    if start.rotation:
        warnings.append(
            f"a rotation is under way, and is {start.rotation.stage.value}: who asks for one now joins it "
            f"(keywright rotation {start.rotation.id})"
        )
    if start.at.kept_in:
        warnings.append(
            f"the password lives in {start.at.kept_in.location}, which a rehearsal neither reads nor writes"
        )
    return Findings(tuple(problems), tuple(warnings))


def _of_endpoints(at: Standpoint, reached: tuple[Reached, ...]) -> Findings:
    problems: list[str] = []
    warnings: list[str] = []
    for one in reached:
        if one.outcome == "accepted" or (at.live is None and one.outcome != "unreachable"):
            continue
        sentence = f"{one.endpoint} does not accept the live credential: {one.reason}"
        if one.outcome == "unreachable":
            sentence = f"{one.endpoint} cannot be reached: {one.reason}"
        (problems if one.endpoint.required else warnings).append(sentence)
    if at.target.tls.mode is TlsMode.DISABLE:
        warnings.append("TLS is disabled: whatever passes between applications and the database can be read on the way")
    elif at.target.tls.mode is TlsMode.REQUIRE:
        warnings.append("the server's certificate is not verified: whoever answers at the endpoint is believed")
    return Findings(tuple(problems), tuple(warnings))


def _connected(database: Database, administration: Access, cast: Cast) -> tuple[tuple[Session, ...] | None, Findings]:
    """Who is connected as the login that applications use."""
    if not isinstance(database, DrainView):
        return None, Findings(warnings=("who is connected cannot be told",))
    seen = database.sessions(administration, cast.live or cast.turns)
    if isinstance(seen, NotPermitted | Unreachable):
        return None, Findings(warnings=(f"who is connected cannot be told: {seen.reason}",))
    return seen, Findings()
