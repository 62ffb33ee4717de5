"""Tokens that are bound to a certificate."""

import pytest

from service.core.errors import Invalid
from service.core.token import fingerprint, usable_over

ONE, OTHER = "ab" * 32, "cd" * 32


def test_a_bound_token_is_of_use_with_its_certificate_only() -> None:
    assert usable_over(ONE, ONE)
    assert not usable_over(ONE, OTHER)
    assert not usable_over(ONE, None)
    assert not usable_over(ONE, "")


def test_a_token_that_is_not_bound_is_of_use_anywhere() -> None:
    assert usable_over("", None)
    assert usable_over("", ONE)


def test_a_fingerprint_is_kept_in_one_form() -> None:
    assert fingerprint(":".join(["AB"] * 32)) == ONE
    assert fingerprint(ONE) == ONE


@pytest.mark.parametrize("text", ["", "ab", "ab" * 31, "ab" * 33, "xy" * 32, f" {ONE}", "sha256 Fingerprint=" + ONE])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(Invalid, match="64 hex digits"):
        fingerprint(text)
