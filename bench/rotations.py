"""Rotations a second over many PostgreSQL logins, beside the bare limit of the same server.

Strategy `single`, asked for as emergencies, so that nothing waits for an announcement: what is measured is
work, not promises. They are asked for while the clock is off; the server is started again with its clock
on, and the time runs from its readiness to the last retirement.
"""

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import bare
from bench.process import Process
from bench.rounds import Rounds
from bench.shop import ADMINISTRATOR, DATABASE, LOGINS, Shop
from service.core.secret import Secret
from service.demo.server import HOST
from service.demo.wire import Wire
from service.settings import Settings

WORKERS: int = Settings.model_fields["workers"].default
"""Rotations at once on one database server by default; as many threads for the bare limit."""
ENDS_WITHIN = 90.0
_ENVIRONMENT = "turning"


def measure(data: Path, log: Path, owner: Secret, shop: Shop, rounds: Rounds) -> dict[str, Any]:
    """Medians over the rounds, of Keywright and of the bare limit, one before and the others after it."""
    limits, rates, retired, others = [], [], 0, 0
    for number in rounds:
        first = number == 0
        if first:
            limits.append(LOGINS / bare.seconds(shop, WORKERS))
        _ask(data, log, owner, shop, register=first)
        rate, ended_well, ended_otherwise = _turned(data, log, owner)
        rates.append(rate)
        retired += ended_well
        others += ended_otherwise
    _passwords_now(data, log, owner, shop)
    limits += [LOGINS / bare.seconds(shop, WORKERS) for _ in rates[1:]]
    rate, limit = statistics.median(rates), statistics.median(limits)
    return {
        "logins": LOGINS,
        "rotations_per_second": rate,
        "bare_per_second": limit,
        "ratio": rate / limit,
        "workers": WORKERS,
        "retired": retired,
        "not_retired": others,
        "rounds": len(rates),
    }


def _ask(data: Path, log: Path, owner: Secret, shop: Shop, *, register: bool) -> None:
    process = Process(data, log, clock=False)
    wire = Wire(process.address, owner)
    try:
        if register:
            _register(wire, shop)
        for username in shop.passwords:
            body = {"connection": f"bench/{username}", "emergency": True, "reason": "to measure"}
            wire.post(f"/environments/{_ENVIRONMENT}/rotations", body)
    finally:
        wire.close()
        process.stop()


def _register(wire: Wire, shop: Shop) -> None:
    wire.post("/environments", {"name": _ENVIRONMENT})
    target: dict[str, Any] = {
        "engine": "postgresql",
        "endpoints": [{"host": HOST, "port": shop.server.port}],
        "database": DATABASE,
        "tls": {"mode": "disable"},
    }
    rotation = {"strategy": "single", "drain_minimum": "1s", "drain_limit": "2s"}
    path = f"/environments/{_ENVIRONMENT}/connections"
    wire.put(f"{path}/admin", target | {"login": {"username": ADMINISTRATOR, "password": shop.administration}})
    for username, password in shop.passwords.items():
        login = {"username": username, "password": password}
        more = {"login": login, "administered_by": "admin", "rotation": rotation}
        wire.put(f"{path}/bench/{username}", target | more)


def _turned(data: Path, log: Path, owner: Secret) -> tuple[float, int, int]:
    """Rotations a second, how many were retired, how many ended otherwise or not at all."""
    process = Process(data, log)
    wire = Wire(process.address, owner)
    try:
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            listed = wire.get(f"/environments/{_ENVIRONMENT}/rotations", limit=LOGINS)["items"]
            open_ones = [it for it in listed if it["ended_at"] is None and it["stage"] != "stuck"]
            if not open_ones or time.monotonic() > deadline:
                break
            time.sleep(0.5)
    finally:
        wire.close()
        process.stop()
    ended = [datetime.fromisoformat(it["ended_at"]) for it in listed if it["stage"] == "retired"]
    if not ended:
        raise SystemExit("bench: no rotation was retired")
    began = datetime.fromtimestamp(process.ready_at, UTC)
    return len(ended) / (max(ended) - began).total_seconds(), len(ended), len(listed) - len(ended)


def _passwords_now(data: Path, log: Path, owner: Secret, shop: Shop) -> None:
    process = Process(data, log, clock=False)
    wire = Wire(process.address, owner)
    try:
        for username in shop.passwords:
            found = wire.get(f"/environments/{_ENVIRONMENT}/credentials/bench/{username}")
            shop.passwords[username] = found["password"]
    finally:
        wire.close()
        process.stop()
