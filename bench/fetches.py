"""Fetches of one secret of five fields: Keywright beside OpenBao, without TLS and with it, by turns.

Keywright runs on SQLite with synchronous=FULL, a long log behind it, and records every fetch before it answers;
OpenBao runs on raft with a file as its audit device. Each has the machine to itself while it is asked. Once more
without TLS, Keywright keeps the processors awake, where this process may (KEYWRIGHT_AWAKE).
"""

from pathlib import Path
from typing import Any

from bench import ceiling, disk, journal, keep, vault
from bench.bao import Bao
from bench.certificate import Certificate, issued
from bench.contender import Contender, by_turns, errors, ratios
from bench.process import Process
from bench.run import Run
from bench.target import generator
from service.core.errors import Invalid
from service.core.secret import Secret
from service.http.awake import DEVICE, Awake

CONNECTIONS = (1, 16, 64, 256)
AWAKE = "awake"


def measure(run: Run) -> dict[str, Any]:
    """Both transports, with the processors kept awake, the Vault door, and the ceiling."""
    folder = run.new_folder("fetch")
    results: dict[str, Any] = {"generator": generator(), "seconds": run.pace.seconds, "rounds": run.pace.rounds}
    results |= {"disk": disk.measure(folder), "keywright": {}, "openbao": {}}
    data, about = journal.copied(run)
    results["events"] = about["events"]
    owner = Secret(about["owner"])
    process = Process(data, run.log)
    try:
        token = keep.furnished(process, owner)
    finally:
        process.stop()
    for kind, certificate in (("plain", None), (AWAKE, None), ("tls", issued(folder))):
        if kind == AWAKE and not _may_keep_awake():
            run.tell(f"{DEVICE} may not be written, so the processors are kept awake for nobody")
            continue
        run.tell(f"fetching, {kind}: Keywright and OpenBao by turns")
        _compare(run, results, kind, certificate, data, token)
    results["errors"] = errors(*results["keywright"].values(), *results["openbao"].values())
    run.tell("the Vault door and the native one by turns")
    results["vault"] = vault.measure(run, data, token)
    results["errors"] += sum(results["vault"][door]["errors"] for door in ("native", "door"))
    run.tell("the ceiling: the same server with nothing behind it")
    return results | ceiling.measure(run, data, token)


def _may_keep_awake() -> bool:
    try:
        Awake(lambda: 0).check()
    except Invalid:
        return False
    return True


def _compare(
    run: Run, results: dict[str, Any], kind: str, certificate: Certificate | None, data: Path, token: Secret
) -> None:
    settings = {"awake": "true"} if kind == AWAKE else {}
    process = Process(data, run.log, certificate=certificate, settings=settings)
    try:
        bao = Bao(run.new_folder("bao") / "bao", certificate)
        try:
            ours = Contender(keep.target(token, process), lambda: process.child.cpu_seconds)
            theirs = Contender(bao.target, lambda: bao.child.cpu_seconds)
            by_turns([ours, theirs], CONNECTIONS, run.pace.rounds, run.pace.seconds)
            mine, its = ours.figures(), theirs.figures()
            ratios(mine, its)
            results["keywright"][kind] = mine | {"peak_mb": process.child.peak_megabytes}
            results["openbao"][kind] = its | {"peak_mb": bao.child.peak_megabytes, "audited": bao.audited}
        finally:
            bao.stop()
    finally:
        process.stop()
