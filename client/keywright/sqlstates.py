"""Connections of psycopg whose failed logins say why by code: `error.sqlstate`, and a class such as InvalidPassword.

What a failed login tells is its SQLSTATE (PostgreSQL manual, appendix A); its text follows the server's language.
libpq keeps the code of a failed *connection* to itself, so it is asked to write it before the text:
`PQsetErrorVerbosity(…, PQERRORS_VERBOSE)` (manual, 34.11) makes `FATAL:  28P01: …` of every error of the server.
psycopg does not offer that function; it is called in the very library that psycopg loaded, before the connection is
made.

A psycopg that cannot be made to tell (another way of connecting, a libpq that is not found) connects as ever, and its
failed logins have no code: then no other entry is tried.
"""

import ctypes
import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.abc import PQGenConn
from psycopg.waiting import Wait

_DEFAULT, _VERBOSE = 1, 2  # PQERRORS_DEFAULT and PQERRORS_VERBOSE in libpq-fe.h
_CODE = re.compile(r":  ([0-9A-Z]{5}): ")


def _telling(conninfo: str) -> PQGenConn[pq.abc.PGconn]:
    """Connect as psycopg's own generator does, with the codes in the texts."""
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    if tell := _set_error_verbosity():
        tell(pgconn.pgconn_ptr, _VERBOSE)  # type: ignore[attr-defined]
    while pgconn.status != pq.ConnStatus.BAD:
        match pgconn.connect_poll():
            case pq.PollingStatus.OK:
                if tell:
                    tell(pgconn.pgconn_ptr, _DEFAULT)  # type: ignore[attr-defined]
                pgconn.nonblocking = 1
                return pgconn
            case pq.PollingStatus.READING:
                wanted = Wait.R
            case pq.PollingStatus.WRITING:
                wanted = Wait.W
            case _:
                break
        while not (yield pgconn.socket, wanted):
            pass
    text = pgconn.get_error_message()
    pgconn.finish()
    raise failure(text)


def failure(text: str) -> errors.OperationalError:
    """What libpq said of a failed connection, as the class of its code. Of several the last one counts."""
    codes = _CODE.findall(text)
    return _kind(codes[-1] if codes else None)(f"connection failed: {text}")


@cache
def _kind(code: str | None) -> type[errors.OperationalError]:
    if code is None:
        return errors.OperationalError
    try:
        known = errors.lookup(code)
    except KeyError:
        known = errors.OperationalError
    if issubclass(known, errors.OperationalError) and known.sqlstate == code:
        return known
    # Whoever opens connections waits for OperationalError, as psycopg itself raises.
    return type(known.__name__, (errors.OperationalError,), {"sqlstate": code, "__module__": __name__})


class TellingConnection(psycopg.Connection[Any]):
    """A connection whose failed login says why."""

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Any]:
        return cls((yield from _telling(conninfo)))


class TellingAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same, for who waits without a thread."""

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Any]:
        return cls((yield from _telling(conninfo)))


@cache
def _set_error_verbosity() -> Callable[[Any, int], int] | None:
    module = sys.modules[pq.PGconn.__module__]
    try:
        # A handle of psycopg's extension finds the symbols of the libpq that it is linked with (dlsym(3)).
        library = module.impl.pq if hasattr(module, "impl") else ctypes.CDLL(str(module.__file__))
        function = library.PQsetErrorVerbosity
    except (OSError, AttributeError):
        return None
    function.restype, function.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]
    made: Callable[[Any, int], int] = function
    return made
