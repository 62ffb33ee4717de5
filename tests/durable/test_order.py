"""The judge of traces, on small ones: two fetches as strace saw them, whole, and with something taken out or moved.

`python -m tests.durable.traced` makes such traces, and of thousands of fetches.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durable.calls import Call, calls, plain
from tests.durable.order import Order, Stream, on_postgresql, on_sqlite

TRACES = Path(__file__).with_name("traces")
Tampering = Callable[[list[Call]], list[Call]]


def trace(name: str) -> list[Call]:
    return list(calls((TRACES / name).read_text(encoding="latin-1").splitlines()))


def without(pattern: str) -> Tampering:
    """Calls on files whose name matches left out, those named `what name`."""
    return lambda seen: [call for call in seen if not re.search(pattern, f"{call.name} {call.file}")]


def moved(pattern: str, microseconds: int) -> Tampering:
    """Calls that came so much later."""
    return lambda seen: [
        Call(c.pid, c.began + microseconds, c.ended + microseconds, c.name, c.file, c.data)
        if re.search(pattern, f"{c.name} {c.file}")
        else c
        for c in seen
    ]


def slow(pattern: str, microseconds: int) -> Tampering:
    """Calls that ended so much later."""
    return lambda seen: [
        Call(c.pid, c.began, c.ended + microseconds, c.name, c.file, c.data)
        if re.search(pattern, f"{c.name} {c.file}")
        else c
        for c in seen
    ]


def sqlite(tampering: Tampering = lambda seen: seen) -> Order:
    return on_sqlite(tampering(trace("sqlite")))


def postgresql(tampering: Tampering = lambda seen: seen) -> Order:
    return on_postgresql(trace("keywright"), tampering(trace("postgresql")))


@pytest.mark.parametrize("order", [sqlite(), postgresql()], ids=["sqlite", "postgresql"])
def test_what_is_in_order(order: Order) -> None:
    assert (order.answers, order.wrong, len(order.lags)) == (2, [], 2)
    assert min(order.lags) > 0
    assert order.line().startswith("answers=2 unordered=0 syncs=2 ")


@pytest.mark.parametrize(
    "order",
    [
        sqlite(without(r"fdatasync .*-wal")),
        sqlite(without(r"pwrite64 .*-wal")),
        sqlite(moved(r"fdatasync .*-wal", 5_000)),
        sqlite(moved(r"fdatasync .*-wal", -900)),
        sqlite(slow(r"fdatasync .*-wal", 3_000)),
        postgresql(without(r"fdatasync .*/pg_wal/")),
        postgresql(without(r"recvfrom socket")),
        postgresql(without(r"sendto socket")),
        postgresql(moved(r"fdatasync .*/pg_wal/", 80_000)),
        postgresql(slow(r"fdatasync .*/pg_wal/", 800)),
        postgresql(moved(r"sendto socket", 80_000)),
    ],
)
def test_what_is_not(order: Order) -> None:
    assert (order.answers, len(order.wrong)) == (2, 2)


def test_a_word_that_was_cut_is_found_when_it_is_whole() -> None:
    stream = Stream([(1, b"abc"), (2, b"def"), (3, b"abcdef")])
    assert [stream.when(word) for word in (b"bc", b"cd", b"fa", b"no")] == [1, 2, 3, None]


def test_calls_are_read_as_strace_writes_them() -> None:
    lines = [
        r'12 5.000100 pwrite64(5</a b/x-wal>, "\r\0\17\"\\<", 6, 0) = 6 <0.000020>',
        "13 5.000200 fdatasync(5</a b/x-wal>) = 0 <1.000001>",
        "13 5.000300 +++ exited with 0 +++",
        "14 6.000001 fdatasync(6</c> <unfinished ...>",
        "15 6.000002 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---",
        "15 6.000003 recvfrom(7<socket:[1]>,  <unfinished ...>",
        "16 6.000003 recvfrom(8<socket:[2]>, 0x7, 10, 0, NULL, NULL) = -1 EAGAIN (Resource busy) <0.000001>",
        "14 6.000100 <... fdatasync resumed>) = 0 <0.000098>",
        '15 6.000200 <... recvfrom resumed>"GET /", 10, 0, NULL, NULL) = 5 <0.000150>',
    ]
    assert list(calls(lines)) == [
        Call(12, 5_000_100, 5_000_120, "pwrite64", "/a b/x-wal", b'\r\0\x0f"\\<'),
        Call(13, 5_000_200, 6_000_201, "fdatasync", "/a b/x-wal", b""),
        Call(14, 6_000_001, 6_000_099, "fdatasync", "/c", b""),
        Call(15, 6_000_003, 6_000_153, "recvfrom", "socket:[1]", b"GET /"),
    ]
    assert plain(r"\303\274\n") == "ü\n".encode()
