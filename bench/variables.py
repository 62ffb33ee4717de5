"""Few variables beside many, in fifty environments: fetches by turns, the start, and memory for each variable."""

import time
from typing import Any

from bench import bulk, keep, kept
from bench.contender import Contender, by_turns, point, ratio
from bench.process import Process
from bench.run import Run
from service.core.secret import Secret
from service.demo.wire import Wire

FEW = 10
CONNECTIONS = 64
SETTLES = 2.0


def measure(run: Run) -> dict[str, Any]:
    """`bytes_per_variable` is what more of them add to the resident memory of a server that was just started.

    `ready_s` is the time until it is ready, and that of the first fetch.
    """
    many = run.pace.variables
    few_data = run.new_folder("few")
    few_about = bulk.made(few_data, FEW)
    many_data, many_about = kept.copied(run, "variables", many, lambda data: bulk.made(data, many))
    run.tell(f"fetching one of {FEW} variables and one of {many:,} by turns")
    few = Process(few_data, run.log)
    try:
        ready_few = few.seconds + _opened(few, few_about, FEW)
        more = Process(many_data, run.log)
        try:
            ready = more.seconds + _opened(more, many_about, many)
            time.sleep(SETTLES)
            added = (more.child.megabytes - few.child.megabytes) * 1e6 / (many - FEW)
            contenders = [_contender(few, few_about), _contender(more, many_about)]
            by_turns(contenders, [CONNECTIONS], run.pace.rounds, run.pace.seconds)
        finally:
            more.stop()
    finally:
        few.stop()
    figures = [point(each.points[CONNECTIONS]) for each in contenders]
    return {
        "few": FEW,
        "many": many,
        "environments": bulk.ENVIRONMENTS,
        "fetch_few": figures[0],
        "fetch_many": figures[1],
        "throughput_ratio": ratio(figures[1]["throughput"], figures[0]["throughput"]),
        "ready_few_s": ready_few,
        "ready_s": ready,
        "bytes_per_variable": added,
    }


def _opened(process: Process, about: dict[str, Any], count: int) -> float:
    """Fetch a variable of every environment, so that memory holds whatever it ever will; seconds of the first."""
    took = []
    wire = Wire(process.address, Secret(about["token"]))
    try:
        for number in range(min(count, bulk.ENVIRONMENTS)):
            environment, name = bulk.name_of(number)
            began = time.perf_counter()
            wire.get(f"/environments/{environment}/values/{name}")
            took.append(time.perf_counter() - began)
    finally:
        wire.close()
    return took[0]


def _contender(process: Process, about: dict[str, Any]) -> Contender:
    environment, name = bulk.name_of(0)
    path = f"/api/v1/environments/{environment}/values/{name}"
    return Contender(keep.target(Secret(about["token"]), process, path=path), lambda: process.child.cpu_seconds)
