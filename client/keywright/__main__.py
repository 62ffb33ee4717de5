"""The process `keywright`."""

import os
import sys

import typer

from keywright import __version__
from keywright.commands import build
from keywright.commands.endings import UNEXPECTED, USAGE, fail_usage


def main() -> int:
    """Run the command line and return its exit code (see `keywright.commands.endings`)."""
    arguments = sys.argv[1:] or ["--help"]
    if arguments == ["--version"]:
        print(f"keywright {__version__}")
        return 0
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        code = build()(arguments, standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as error:
        try:
            fail_usage(error.format_message() or "see `keywright --help`", "--json" in own)
        except typer.Exit:
            return USAGE
    except typer.Abort:
        return UNEXPECTED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNEXPECTED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
