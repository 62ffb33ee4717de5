"""The successor: another process on the same ledger. It looks at what the victim left, and ends the rotation.

It does what `keywrightd serve` does at its start and at each tick, and in between tries every login that
somebody was promised. What it finds is written to the file `found` of the case.
"""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass, field

from sqlalchemy import select

from service.core.rotation import ENDED, Stage, Strategy
from service.core.sealed import credential_context
from service.keeper.tokens import SYSTEM
from service.ledger import connections, environments
from service.ledger.tables import credentials, logins
from tests.torture.holders import Pair
from tests.torture.site import FIRST, Case, Site
from tests.torture.victim import PATIENCE, STEP, Actor


@dataclass
class Finding:
    """How a case ended. `failed` are logins that were promised, `wrong` everything else that must not be."""

    stage: str = ""
    reason: str = ""
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    locked_out: bool = False
    logins: int = 0
    logins_oldest: int = 0
    seconds: float = 0.0
    """From this process's start to the end of the rotation."""
    right: float = 0.0
    """From this process's start until the first entry of the newest answer was one that logs in."""
    attempts: int = 0
    points: list[str] = field(default_factory=list)
    died: str = ""


def run(site: Site, case: Case, victim: int) -> None:
    """The whole life of a successor. `victim` is the process that was stopped, if it was."""
    began = time.monotonic()
    it, found = Actor(site, case), Finding()
    it.flow = "turn" if case.flow == "lost" else case.flow
    it.service.keeper.rotations.take_over()
    found.failed += it.holders.broken(it.doors.accepts)
    found.wrong += _unsealed(it, [*_lines(it, "asked"), FIRST])
    stage = _until_ended(it, found, began)
    found.seconds = time.monotonic() - began
    if case.pause:
        os.kill(victim, signal.SIGCONT)
        _wait_for_end(victim)
        it.doors.fresh()
        found.failed += it.holders.broken(it.doors.accepts)
    found.stage, found.reason, found.attempts = stage.value, it.latest().reason, it.latest().attempts
    if stage not in ENDED:
        found.wrong.append(f"it did not end: {stage.value} {found.reason}")
    _offered(it, found)
    _in_force(it, found)
    found.logins, found.logins_oldest = found.logins + it.holders.logins, it.holders.logins_oldest
    if case.ledger == "sqlite" and it.service.keeper.events.verify(SYSTEM).broken_at is not None:
        found.wrong.append("the chain of events is broken")
    died = _lines(it, "died")
    found.died, found.points = (died[0] if died else ""), _lines(it, "points")
    (it.home / "found").write_text(json.dumps(asdict(found)))
    it.service.close()


def _until_ended(it: Actor, found: Finding, began: float) -> Stage:
    deadline, stage = time.monotonic() + PATIENCE, it.latest().stage
    while stage not in ENDED and stage is not Stage.STUCK and time.monotonic() < deadline:
        worked = it.work()
        if worked:
            it.doors.fresh()
        it.fetch()
        if not found.right and it.doors.accepts(it.holders.answers[-1][0][0]):
            found.right = time.monotonic() - began
        if worked:
            found.failed += it.holders.broken(it.doors.accepts)
        else:
            it.rest()
        stage = it.latest().stage
    return stage


def _offered(it: Actor, found: Finding) -> None:
    """What applications get at the end: its first entry logs in."""
    it.fetch()
    pairs = [pair for pair, _ in it.holders.answers[-1]]
    found.logins += 1
    if not it.doors.accepts(pairs[0]):
        found.failed.append(f"the first entry of the last answer does not get in: {pairs[0][0]}")
        found.locked_out = not any(it.doors.accepts(pair) for pair in {*pairs, *sealed(it).values()})


def _in_force(it: Actor, found: Finding) -> None:
    """No password is in force that the ledger does not know, and a retired one is dead."""
    known = set(sealed(it).values())
    shared = it.case.strategy is Strategy.ALTERNATING
    users = (it.case.login, it.case.login.removesuffix("_a") + "_b") if shared else (it.case.login,)
    for password in {*_lines(it, "asked"), FIRST}:
        for user in users:
            if (user, password) not in known and it.doors.accepts((user, password)):
                found.wrong.append(f"{user} has a password that the ledger has lost, or that should be dead")


def sealed(it: Actor) -> dict[str, Pair]:
    """Every password of the connection that the ledger can open, by its id."""
    with it.service.ledger.read() as tx:
        wall = environments.find(tx, it.case.environment)
        assert wall is not None
        stored = connections.find(tx, wall.id, "shop/db")
        assert stored is not None
        query = select(credentials.c.id, credentials.c.login_id, credentials.c.sealed, logins.c.username)
        query = query.join(logins).where(credentials.c.connection_id == stored.id, credentials.c.sealed.is_not(None))
        found = {}
        for row in tx.sql.execute(query):
            ring = it.service.keeper.keyrings.opener(tx, wall.id, row.sealed)
            text = ring.unseal(row.sealed, credential_context(wall.id, row.login_id, row.id)).reveal()
            found[row.id] = (row.username, text)
        return found


def _unsealed(it: Actor, asked: list[str]) -> list[str]:
    """Promise 2 and 3: whatever the target was asked for, and may have, is sealed in the ledger."""
    kept = {password for _, password in sealed(it).values()}
    if it.latest().stage in ENDED:
        return []
    users = {user for user, _ in sealed(it).values()}
    lost = [p for p in asked if p not in kept and any(it.doors.accepts((user, p)) for user in users)]
    return ["the target has a password that is not sealed"] if lost else []


def _lines(it: Actor, name: str) -> list[str]:
    file = it.home / name
    return [line for line in file.read_text().splitlines() if line] if file.exists() else []


def _wait_for_end(pid: int) -> None:
    """Until another process of the same parent has ended (it stays a zombie until that one looks)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(STEP)
