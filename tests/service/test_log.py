"""The log for people: one event, one line, whatever a request brought."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.log import configure
from service.settings import read


@pytest.fixture
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logging")
def test_what_a_request_brought_neither_breaks_a_line_nor_steers_a_terminal() -> None:
    stream = io.StringIO()
    configure(read({}), stream)
    forged = "/x\n2026-11-22 [info] request path=/forged\r\x1b[2J\x85\u2028\u202e\ud800"
    structlog.get_logger("http").info("request", path=forged)
    logging.getLogger("uvicorn").warning("Invalid\x1b[31m request %s", "\n")
    said = stream.getvalue()
    assert said.count("\n") == len(said.splitlines()) == 2
    assert all(c.isprintable() or c == "\n" for c in said)
    assert r"/x\n2026" in said.replace("\\\\", "\\")


@pytest.mark.usefixtures("own_logging")
def test_a_traceback_keeps_its_lines() -> None:
    stream = io.StringIO()
    configure(read({}), stream)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        structlog.get_logger("http").exception("a defect")
    assert "\n  File " in stream.getvalue()


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize("shape", ["text", "json"])
@pytest.mark.parametrize("kind", ["kw", "ks"])
def test_a_token_in_a_path_is_not_told(shape: str, kind: str) -> None:
    stream = io.StringIO()
    configure(read({}, log_format=shape), stream)
    secret = "aZ0-_" * 8 + "aaa"
    path = f"/v1/auth/token/lookup/{kind}_0123456789abcdef_{secret}"
    structlog.get_logger("http").info("request", path=path, again=path[:-20])
    logging.getLogger("foreign").warning("asked for %s", path)
    said = stream.getvalue()
    assert secret[:10] not in said
    assert said.count("0123456789abcdef") == 3
