"""The list of known passwords: searched by halves, whatever its size and its line ends."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.breaches import BreachFile
from service.core.errors import Invalid, Unavailable

_HASH = st.text("0123456789ABCDEF", min_size=40, max_size=40)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.sets(_HASH, min_size=1, max_size=60),
    others=st.sets(_HASH, max_size=10),
    end=st.sampled_from(["\n", "\r\n"]),
    counts=st.booleans(),
    last=st.booleans(),
    lower=st.booleans(),
)
def test_it_holds_what_is_in_it_and_nothing_else(
    tmp_path: Path, kept: set[str], others: set[str], end: str, counts: bool, last: bool, lower: bool
) -> None:
    lines = [f"{each}:{number}" if counts else each for number, each in enumerate(sorted(kept))]
    text = end.join(lines) + (end if last else "")
    (tmp_path / "known").write_bytes((text.lower() if lower else text).encode())
    file = BreachFile(tmp_path / "known")
    assert [each for each in sorted(kept) if not file.hold(each)] == []
    assert [each for each in others - kept if file.hold(each)] == []


@pytest.mark.parametrize("text", ["", "password\n", "21BD1\n", "<html>"])
def test_what_is_no_such_list_is_refused_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "known").write_text(text)
    with pytest.raises(Invalid, match="SHA-1"):
        BreachFile(tmp_path / "known")


def test_a_list_that_is_not_there_is_said_at_once_and_one_that_goes_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        BreachFile(tmp_path / "known")
    (tmp_path / "known").write_text("A" * 40)
    file = BreachFile(tmp_path / "known")
    (tmp_path / "known").unlink()
    with pytest.raises(Unavailable):
        file.hold("A" * 40)
