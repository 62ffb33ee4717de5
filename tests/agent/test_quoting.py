"""Every filter against the reader that it is for."""

import json
import subprocess
import tomllib
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from keywright import Invalid
from keywright.agent import quoting

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
WORST = "a'b\"c\\d$e`f\n\t\r # ü€😀\x01\x7f\x85\u2028\ufeff{{ }}: - ~"


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_readers_read_exactly_what_was_written(text: str) -> None:
    for value in (text, text + WORST):
        assert tomllib.loads(f"x = {quoting.toml(value)}") == {"x": value}
        assert yaml.safe_load(f"x: {quoting.yaml(value)}") == {"x": value}
        assert json.loads(quoting.as_json(value)) == value
        assert unquote(quoting.url(value)) == value
        assert "\n" not in quoting.toml(value) + quoting.yaml(value) + quoting.as_json(value) + quoting.url(value)


def test_a_shell_reads_one_word() -> None:
    told = subprocess.run(
        ["sh", "-c", f"printf %s {quoting.shell(WORST)}"], capture_output=True, timeout=30, check=True
    )
    assert told.stdout.decode() == WORST
    assert quoting.shell("") == "''"


def test_numbers_and_objects() -> None:
    assert (quoting.toml(5), quoting.toml(True), quoting.toml(1.5), quoting.url(5432)) == ("5", "true", "1.5", "5432")
    assert yaml.safe_load(quoting.yaml({"a": [1, None, "x"]})) == {"a": [1, None, "x"]}
    assert quoting.pgpass("a:b\\c") == "a\\:b\\\\c"


@pytest.mark.parametrize(
    ("filter_", "value"),
    [
        ("shell", "hunter2\0"),
        ("shell", {"hunter2": 1}),
        ("toml", {"hunter2": 1}),
        ("toml", float("nan")),
        ("json", {"a": object()}),
        ("url", None),
        ("url", True),
        ("pgpass", "hunter2\nother:line"),
    ],
)
def test_what_cannot_be_written_is_refused_without_its_value(filter_: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        quoting.FILTERS[filter_](value)
    assert "hunter2" not in str(caught.value)
