"""How commands end: one table from errors to exit codes."""

from typing import NoReturn

import typer

from keywright import errors
from keywright.commands import screen

DONE = 0
UNEXPECTED = 1
FAILING = 1
USAGE = 2
NOT_ALLOWED = 3
ABSENT = 4
REFUSED = 5
ROTATION_FAILED = 6
NOT_ANSWERED = 7

EPILOG = """\b
Exit codes:
  0  done
  1  unexpected, or `health` or `events verify` found something
  2  wrong usage
  3  not signed in, or forbidden
  4  absent
  5  invalid, or in conflict with what is there
  6  the rotation failed, or did not finish in time
  7  the server or a store could not be reached, or gave no answer"""

_CODES: dict[type[errors.KeywrightError], int] = {
    errors.Unauthenticated: NOT_ALLOWED,
    errors.Forbidden: NOT_ALLOWED,
    errors.FactorNeeded: NOT_ALLOWED,
    errors.Absent: ABSENT,
    errors.Invalid: REFUSED,
    errors.TooLarge: REFUSED,
    errors.Conflict: REFUSED,
    errors.Outdated: REFUSED,
    errors.StoreFailed: NOT_ANSWERED,
    errors.Unavailable: NOT_ANSWERED,
    errors.Unreachable: NOT_ANSWERED,
    errors.Unexpected: UNEXPECTED,
}


def exit_code(error: errors.KeywrightError) -> int:
    """The exit code for an error."""
    return _CODES.get(type(error), UNEXPECTED)


def fail(error: errors.KeywrightError, as_json: bool) -> NoReturn:
    """Tell an error and end the command."""
    if as_json:
        told = {
            "error": error.slug or type(error).__name__.lower(),
            "message": error.message,
            "status": error.status,
            "field": error.field,
            "request_id": error.request_id,
            "exit": exit_code(error),
        }
        screen.dump_error({name: entry for name, entry in told.items() if entry is not None})
    else:
        about = f" (field {error.field})" if error.field and error.field not in error.message else ""
        about += f" (request {error.request_id})" if error.request_id else ""
        screen.complain(error.message + about)
    raise typer.Exit(exit_code(error))


def fail_usage(message: str, as_json: bool) -> NoReturn:
    """Tell of a wrong use and end the command."""
    if as_json:
        screen.dump_error({"error": "usage", "message": message, "exit": USAGE})
    else:
        screen.complain(message)
    raise typer.Exit(USAGE)
