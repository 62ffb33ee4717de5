"""`python -m bench [SECTION…]`: measure on the loopback, print, and write bench/out/results.json after every section.

Sections that are not asked for keep what an earlier run found. Ctrl-C and SIGTERM end every process and remove every
folder of the run.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import bars, child, page, report, results
from bench.interruption import Interrupted, OutOfTime, limit, listening
from bench.run import FULL, QUICK, Run, running
from bench.sections import Section, chosen, listed
from service.core.errors import KeywrightError


def main() -> int:
    """The exit status: 0 whatever was found, 1 if a section failed, or a bar was missed and `--strict` given."""
    given = _parser().parse_args()
    if given.page:
        page.write(results.earlier())
        return 0
    sections = chosen(given.sections)
    _allow_files()
    began = time.monotonic()
    try:
        with listening(), running(QUICK if given.quick else FULL) as run:
            failed = measured(run, sections, "quick" if given.quick else "full")
    except (KeyboardInterrupt, Interrupted):
        return 130
    found = results.earlier()
    report.show(found, {section.name for section in sections})
    judged = bars.judged(found)
    report.show_bars(judged)
    print(f"It took {time.monotonic() - began:.0f} seconds. Written down in {results.FILE}")
    missed = any(each.verdict is bars.Verdict.MISSED for each in judged)
    return int(bool(failed) or (given.strict and missed))


def measured(run: Run, sections: Sequence[Section], pace: str) -> list[str]:
    """Every section, each written down when it is done. The names of those that failed."""
    failed = []
    for section in sections:
        began, load = time.monotonic(), os.getloadavg()[0]
        try:
            with limit(section.seconds):
                found = section.measure(run)
        except OutOfTime:
            found = {"failed": f"it took longer than {section.seconds:.0f} seconds"}
        except (KeywrightError, SystemExit, OSError, subprocess.SubprocessError, AssertionError) as error:
            found = {"failed": str(error) or type(error).__name__}
        except Exception as error:  # noqa: BLE001 - one section's mistake must not cost the others' figures
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {error}"}
        finally:
            child.end_all()
            run.clear()
        if "failed" in found:
            failed.append(section.name)
            run.tell(f"{section.name} failed: {found['failed']}")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        noted = {"at": at, "took_s": round(time.monotonic() - began, 1), "load": round(load, 2), "pace": pace}
        results.write_down(section.name, found | {"run": noted})
    return failed


def _allow_files() -> None:
    """As many open files as the system lets us: thousands of connections, at both their ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="How fast Keywright is. All sections, or those that are named:\n\n" + "\n".join(listed()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="one short round, smaller sizes: to see that it works")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bar is missed")
    parser.add_argument("--page", action="store_true", help="renew docs/performance.md from the results, and no more")
    return parser


if __name__ == "__main__":
    sys.exit(main())
