"""`python -m bench`: measure, print, and write bench/out/results.json. Under four minutes; loopback only."""

import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import due, fetches, idle, openbao, report, rotations
from bench.process import Process, initialised
from bench.rounds import Rounds
from bench.shop import Shop
from service.core.errors import KeywrightError
from service.demo.server import Server
from service.demo.stopping import Stopped, Stopping

OUT = Path(__file__).parent / "out" / "results.json"


def main() -> int:
    """The exit status: 0; 1 if something kept it from measuring; 130 when it was interrupted."""
    folder = Path(tempfile.mkdtemp(prefix="keywright-bench-"))
    folder.chmod(0o711)  # where PostgreSQL runs as nobody, it must be able to pass
    try:
        results = measured(folder)
    except KeywrightError as error:
        print(f"bench: {error.message}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Stopped):
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2) + "\n")
    report.show(results)
    return 0


def measured(folder: Path) -> dict[str, Any]:
    """Everything. Raises KeywrightError."""
    log, rounds = folder / "log", Rounds()
    results: dict[str, Any] = {"where": where(), "generator": fetches.generator()}
    tell("starting, six times")
    results["start"] = idle.starts(folder / "started", log)
    data = folder / "data"
    owner = initialised(data)
    process = Process(data, log)
    try:
        tell("doing nothing")
        results["idle"] = idle.idle(process)
        tell("fetching")
        results["fetches"] = fetches.measure(process, owner, rounds)
    finally:
        process.stop()
    tell("looking for due work")
    results["due"] = due.measure(folder / "due")
    home = folder / "postgresql"
    home.mkdir(mode=0o700)
    server = Server(home, Stopping())
    try:
        tell("making 200 logins in a PostgreSQL")
        server.start()
        shop = Shop(server)
        tell("rotating them")
        results["rotations"] = rotations.measure(data, log, owner, shop, Rounds())
        tell("the same logins in an OpenBao")
        results["openbao"] = openbao.measure(shop, Rounds())
    finally:
        server.close()
    return results


def where() -> dict[str, Any]:
    """On what it was measured."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def tell(text: str) -> None:
    """Progress, on standard error."""
    print(f"bench: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
