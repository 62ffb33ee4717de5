"""What wrk prints, read; and connections shared out among replicas."""

import math
from pathlib import Path

import pytest

from bench import wrk
from bench.target import Seen, Target, shares, together

PRINTED = """Running 4s test @ http://127.0.0.1:8420/api/v1/environments/bench/values/shop/db
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.51ms    1.98ms  41.22ms   91.24%
    Req/Sec     9.91k   512.00    10.8k    75.00%
  Latency Distribution
     50%  950.00us
     75%    7.01ms
     90%    8.20ms
     99%    1.25s
  39512 requests in 4.02s, 18.31MB read
Requests/sec:   9828.86
Transfer/sec:      4.55MB
"""
REFUSED = "  Non-2xx or 3xx responses: 12\n"
CUT = "  Socket errors: connect 1, read 2, write 3, timeout 4\n"


def test_answers_and_times_are_read_in_their_units() -> None:
    seen = Seen(**wrk.read(PRINTED))  # type: ignore[arg-type]
    assert (seen.answers, seen.seconds, seen.errors) == (39512, 4.02, 0)
    assert (seen.p50, seen.p99) == (pytest.approx(0.95), 1250.0)
    assert seen.throughput == pytest.approx(39512 / 4.02)


def test_refusals_and_cut_connections_are_errors_and_refusals_are_no_answers() -> None:
    assert (found := wrk.read(PRINTED + REFUSED))["errors"] == 12
    assert found["answers"] == 39500
    assert wrk.read(PRINTED + CUT)["errors"] == 10
    assert wrk.read(PRINTED + CUT + REFUSED)["errors"] == 22


def test_where_nothing_was_answered_there_is_no_time() -> None:
    found = wrk.read(PRINTED.replace("39512 requests", "0 requests"))
    assert math.isnan(found["p50"])
    assert math.isnan(found["p99"])


def test_something_unknown_is_not_taken_for_figures() -> None:
    with pytest.raises(SystemExit, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:1 Connection refused")


def test_the_header_is_no_argument(tmp_path: Path) -> None:
    command = wrk.command("http://127.0.0.1:1/x", 16, 4.0, ("X-Vault-Token", "s.secret"), tmp_path)
    assert not any("s.secret" in word for word in command)
    assert "s.secret" not in repr(Target((1,), "/x", ("X-Vault-Token", "s.secret")))
    script = tmp_path / "header-1.lua"
    assert script.stat().st_mode & 0o777 == 0o600
    assert script.read_text() == 'wrk.headers["X-Vault-Token"] = "s.secret"\n'


def test_connections_are_shared_out_evenly() -> None:
    assert shares(64, 3) == [22, 21, 21]
    assert shares(64, 1) == [64]
    assert shares(1, 3) == [1, 1, 1]


def test_several_generators_are_one() -> None:
    seen = together([Seen(100, 4.0, 1.0, 9.0, 0), Seen(50, 4.2, 2.0, 5.0, 3), Seen(60, 4.1, 4.0, 7.0, 1)])
    assert seen == Seen(210, 4.2, 2.0, 9.0, 4)
