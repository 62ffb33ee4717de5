"""`python -m tests.guards [NAME…]`: remove guards, one at a time, and see that the named test fails."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.guards.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PARTS = ("service", "providers", "scheduler", "client", "tests", "docs", "bench", "pyproject.toml", "README.md")
WITHIN = 300


def main() -> int:
    """The exit status: 1 if a guard's test stays green without it, or fails with it."""
    wanted = [guard for guard in GUARDS if not sys.argv[1:] or guard.name in sys.argv[1:]]
    folder = Path(tempfile.mkdtemp(prefix="keywright-guards-"))
    wrong = 0
    try:
        for part in PARTS:
            there = ROOT / part
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            (shutil.copytree(there, folder / part, ignore=ignored) if there.is_dir() else shutil.copy(there, folder))
        for number, guard in enumerate(wanted, 1):
            red = _red(folder, guard)
            wrong += not red
            verdict = "red, as it must be" if red else "STILL GREEN"
            print(f"{number:>3} of {len(wanted)}  {guard.name}: {verdict} ({guard.test})", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"guards: removed={len(wanted)} unnoticed={wrong}")
    return 1 if wrong else 0


def _red(folder: Path, guard: Guard) -> bool:
    file = folder / guard.file
    whole = file.read_text()
    if whole.count(guard.text) != 1:
        raise SystemExit(f"guards: {guard.name}: its text is not once in {guard.file}")
    file.write_text(whole.replace(guard.text, guard.without))
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", guard.test]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN, check=False)
    finally:
        file.write_text(whole)
    if done.returncode not in (0, 1):
        raise SystemExit(f"guards: {guard.name}: the test did not run\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
