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

from bench import bare, openbao
from bench.process import Process, initialised
from bench.rounds import Rounds
from bench.run import Run
from bench.shop import ADMINISTRATOR, DATABASE, LOGINS, Shop
from service.core.secret import Secret
from service.demo.server import HOST, Server
from service.demo.stopping import Stopping
from service.demo.wire import Wire

WORKERS = (1, 8)
"""Rotations at once on the server; as many threads for the bare limit beside it."""
ENDS_WITHIN = 90.0
_ENVIRONMENT = "turning"


def measure(run: Run) -> dict[str, Any]:
    """By the number of workers: medians over the rounds, of Keywright and, by turns, of the bare limit.

    Beside them what OpenBao does with the same logins.
    """
    home = run.new_folder("postgresql")
    server = Server(home, Stopping())
    try:
        run.tell(f"making {LOGINS} logins in a PostgreSQL")
        server.start()
        shop = Shop(server)
        data, log = run.new_folder("rotations"), run.log
        owner = initialised(data)
        process = Process(data, log, clock=False)
        wire = Wire(process.address, owner)
        try:
            _register(wire, shop)
        finally:
            wire.close()
            process.stop()
        run.tell("rotating them")
        rounds = Rounds(run.pace.rounds)
        found: dict[str, Any] = {str(w): _measured(data, log, owner, shop, rounds, w) for w in WORKERS}
        run.tell("the same logins in an OpenBao")
        return found | {"openbao": openbao.measure(shop, Rounds(run.pace.rounds))}
    finally:
        server.close()


def _measured(data: Path, log: Path, owner: Secret, shop: Shop, rounds: Rounds, workers: int) -> dict[str, Any]:
    limits, rates, retired, others = [], [], 0, 0
    for _ in rounds:
        # The bare loop has copies of the passwords and gives them back: what it turned, it turns back.
        limits.append(LOGINS / bare.seconds(shop, workers))
        bare.put_back(shop)
        _ask(data, log, owner, shop)
        rate, ended_well, ended_otherwise = _turned(data, log, owner, workers)
        rates.append(rate)
        retired += ended_well
        others += ended_otherwise
        _passwords_now(data, log, owner, shop)
    rate, limit = statistics.median(rates), statistics.median(limits)
    return {
        "logins": LOGINS,
        "rotations_per_second": rate,
        "bare_per_second": limit,
        "ratio": rate / limit,
        "workers": workers,
        "retired": retired,
        "not_retired": others,
        "rounds": len(rates),
    }


def _ask(data: Path, log: Path, owner: Secret, shop: Shop) -> None:
    process = Process(data, log, clock=False)
    wire = Wire(process.address, owner)
    try:
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


def _turned(data: Path, log: Path, owner: Secret, workers: int) -> tuple[float, int, int]:
    """Rotations a second, how many were retired, how many ended otherwise or not at all."""
    process = Process(data, log, workers=workers)
    wire = Wire(process.address, owner)
    try:
        deadline = time.monotonic() + ENDS_WITHIN
        path = f"/environments/{_ENVIRONMENT}/rotations"
        # Asked for little and seldom: answering takes of the same processors.
        while wire.get(path, stage="planned", limit=1)["items"] and time.monotonic() < deadline:
            time.sleep(0.5)
        while True:
            listed = wire.get(path, limit=LOGINS)["items"]
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
            shop.passwords[username] = shop.known[username] = found["password"]
    finally:
        wire.close()
        process.stop()
