"""Lateness: one database hangs for half a minute, and the others turn on their schedules as before.

A service of its own, ticking as `keywrightd` does, with healthy connections on PostgreSQL and others on MariaDB
behind a proxy that hangs. How late a rotation begins is its first step (the candidate is sealed) minus the
moment that the ledger had it due at.
"""

import statistics
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from service.core.connection import Access
from service.core.rotation import Stage
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.settings import read
from service.wiring import Service, build, utc_now
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.torture.proxies import Proxy

LEASE = 5
BEFORE, HANGS = 13.0, 31.0
"""Seconds."""
COUNT = 5
PLACE = "production"
# A rotation takes up to three seconds while all else is tortured: due again only when the former one has ended.
POLICY = {"strategy": "single", "every": "6s", "drain_minimum": "1s", "drain_limit": "1s"}


@dataclass
class Lateness:
    """Seconds, of the healthy ones."""

    before: list[float]
    meanwhile: list[float]
    turned: int
    """Rotations of the hanging ones that got on while they hung, which would mean that they did not hang."""

    @property
    def wrong(self) -> list[str]:
        """Empty if nobody else noticed."""
        if not self.before or not self.meanwhile:
            return ["one database hangs: nothing turned beside it"]
        lines = [f"one database hangs: it did not, {self.turned} rotations got on"] if self.turned else []
        if max(self.meanwhile) - max(self.before) > LEASE:
            lines.append(f"one database hangs: others were {max(self.meanwhile):.1f} s late")
        return lines

    def __str__(self) -> str:
        def told(late: list[float]) -> str:
            return f"{statistics.median(late):.2f} s, at worst {max(late):.2f} s, of {len(late)}" if late else "none"

        late = f"one database hangs for {HANGS:.0f} s: others begin late by {told(self.meanwhile)}"
        return f"{late}; without it by {told(self.before)}"


def lateness(healthy: PostgresServer, hanging: MariaDBServer, folder: Path) -> Lateness:
    """Takes 44 seconds."""
    proxy = Proxy(hanging.port)
    service = build(read({}, data=folder, lease=LEASE, tick=0.2))
    try:
        service.keeper.environments.add(SYSTEM, PLACE, {}, ())
        for server, prefix, port in ((healthy, "healthy", healthy.port), (hanging, "hanging", proxy.port)):
            _connect(service, server, prefix, port)
        service.clock.start()
        due = _dues(service, BEFORE)
        began = utc_now()
        proxy.hang(HANGS + 30)
        due |= _dues(service, HANGS)
        late = _late(service, due)
        hung = service.keeper.rotations.listed(SYSTEM, PLACE, None, None, "", 500)
        turned = sum(
            s.rotation.connection.startswith("hanging")
            and s.rotation.stage is Stage.RETIRED
            and s.rotation.created_at > began
            for s in hung
        )
        return Lateness(
            [seconds for at, seconds in late if at < began], [seconds for at, seconds in late if at >= began], turned
        )
    finally:
        proxy.close()
        service.close()


def _connect(service: Service, server: PostgresServer | MariaDBServer, prefix: str, port: int) -> None:
    """An administration connection and some that turn."""
    admin = f"keywright_{prefix}"
    logins = [f"{prefix}_{number}" for number in range(COUNT)]
    for login in logins:
        server.login(login, "first-password")
    way = server.administration(admin)
    if isinstance(server, PostgresServer):
        server.administers(admin, *logins)
    service.keeper.connections.put(SYSTEM, PLACE, f"admin/{prefix}", _wanted(way, port), if_match=None)
    for number, login in enumerate(logins):
        wanted = _wanted(server.access(login, "first-password"), port, f"admin/{prefix}")
        service.keeper.connections.put(SYSTEM, PLACE, f"{prefix}/{number}", wanted, if_match=None)


def _wanted(access: Access, port: int, administered_by: str = "") -> Any:
    target = access.target
    data: dict[str, Any] = {
        "engine": target.engine.value,
        "endpoints": [{"host": "127.0.0.1", "port": port}],
        "database": target.database,
        "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
        "login": {"username": access.account.username},
    }
    if administered_by:
        data |= {"administered_by": administered_by, "rotation": POLICY}
    return registration(data, Secret(access.account.password.reveal()))


def _dues(service: Service, seconds: float) -> set[tuple[str, datetime]]:
    """Whatever the ledger has due within that time, by connection, of the healthy ones."""
    found = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(COUNT):
            name = f"healthy/{number}"
            stored = service.keeper.connections.get(SYSTEM, PLACE, name).stored
            if stored.next_due_at:
                found.add((name, stored.next_due_at))
        time.sleep(0.4)
    over = utc_now()
    return {(name, at) for name, at in found if at < over}


def _late(service: Service, due: set[tuple[str, datetime]]) -> list[tuple[datetime, float]]:
    """When each was due, and how many seconds later it began."""
    found = []
    for number in range(COUNT):
        name = f"healthy/{number}"
        moments = sorted(at for connection, at in due if connection == name)
        stories = service.keeper.rotations.listed(SYSTEM, PLACE, name, None, "", 100)
        begun = []
        for story in stories:
            lines = service.keeper.rotations.get(SYSTEM, story.rotation.id).lines
            begun += [line.at for line in lines if line.stage == Stage.STAGED.value][:1]
        for at in moments:
            later = min((moment for moment in begun if moment >= at), default=utc_now())
            found.append((at, (later - at).total_seconds()))
    return found
