"""Tokens that are bound to certificates."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.errors import Invalid
from service.core.token import Shown, fingerprints, usable_over

ONE, OTHER, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def shown(sha256: str, left: timedelta = timedelta(days=1)) -> Shown:
    return Shown(sha256, NOW + left)


def test_a_bound_token_is_of_use_with_its_certificates_only() -> None:
    assert usable_over((ONE,), shown(ONE), NOW)
    assert usable_over((OTHER, ONE), shown(ONE), NOW)
    assert not usable_over((ONE,), shown(OTHER), NOW)
    assert not usable_over((ONE, OTHER), shown(THIRD), NOW)
    assert not usable_over((ONE,), None, NOW)
    assert not usable_over((ONE,), shown(""), NOW)


def test_a_certificate_that_ran_out_is_none() -> None:
    """A connection may last longer than the certificate that was shown when it began."""
    assert usable_over((ONE,), shown(ONE, timedelta(seconds=1)), NOW)
    assert not usable_over((ONE,), shown(ONE, timedelta(0)), NOW)


def test_a_token_that_is_not_bound_is_of_use_anywhere() -> None:
    assert usable_over((), None, NOW)
    assert usable_over((), shown(ONE), NOW)
    assert usable_over((), shown(ONE, timedelta(0)), NOW)


def test_a_fingerprint_is_kept_in_one_form() -> None:
    assert fingerprints([":".join(["AB"] * 32)]) == (ONE,)
    assert fingerprints([ONE, OTHER, ONE.upper()]) == (ONE, OTHER)
    assert fingerprints([]) == ()


@pytest.mark.parametrize("text", ["", "ab", "ab" * 31, "ab" * 33, "xy" * 32, f" {ONE}", "sha256 Fingerprint=" + ONE])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(Invalid, match="64 hex digits"):
        fingerprints([text])


def test_two_are_the_most() -> None:
    with pytest.raises(Invalid, match="2 are the most"):
        fingerprints([ONE, OTHER, THIRD])
