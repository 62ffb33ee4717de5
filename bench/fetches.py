"""Fetches of one secret of five fields: Keywright beside OpenBao, without TLS and with it, by turns.

Keywright runs on SQLite with synchronous=FULL, a long log behind it, and records every fetch before it answers;
OpenBao runs on raft with a file as its audit device. Each has the machine to itself while it is asked.
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
from service.core.secret import Secret

CONNECTIONS = (1, 16, 64, 256)


def measure(run: Run) -> dict[str, Any]:
    """Both transports, and the ceiling."""
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
    for transport, certificate in (("plain", None), ("tls", issued(folder))):
        run.tell(f"fetching, {transport}: Keywright and OpenBao by turns")
        _compare(run, results, transport, certificate, data, token)
    results["errors"] = errors(*results["keywright"].values(), *results["openbao"].values())
    run.tell("the Vault door and the native one by turns")
    results["vault"] = vault.measure(run, data, token)
    results["errors"] += sum(results["vault"][door]["errors"] for door in ("native", "door"))
    run.tell("the ceiling: the same server with nothing behind it")
    return results | ceiling.measure(run, data, token)


def _compare(
    run: Run, results: dict[str, Any], transport: str, certificate: Certificate | None, data: Path, token: Secret
) -> None:
    process = Process(data, run.log, certificate=certificate)
    try:
        bao = Bao(run.new_folder("bao") / "bao", certificate)
        try:
            ours = Contender(keep.target(token, process), lambda: process.child.cpu_seconds)
            theirs = Contender(bao.target, lambda: bao.child.cpu_seconds)
            by_turns([ours, theirs], CONNECTIONS, run.pace.rounds, run.pace.seconds)
            mine, its = ours.figures(), theirs.figures()
            ratios(mine, its)
            results["keywright"][transport] = mine | {"peak_mb": process.child.peak_megabytes}
            results["openbao"][transport] = its | {"peak_mb": bao.child.peak_megabytes, "audited": bao.audited}
        finally:
            bao.stop()
    finally:
        process.stop()
