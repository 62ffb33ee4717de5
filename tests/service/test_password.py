"""Password policies and generated passwords."""

import secrets
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import Invalid
from service.core.password import CLASSES, LEAST_BITS, LONGEST, PasswordPolicy, profile


@given(
    length=st.integers(24, LONGEST),
    classes=st.lists(st.sampled_from(sorted(CLASSES)), min_size=1, unique=True),
    excluded=st.text("aeiouAEIOU01lI!#$%", max_size=8),
)
def test_a_generated_password_fits_its_policy(length: int, classes: list[str], excluded: str) -> None:
    try:
        policy = PasswordPolicy(length, tuple(classes), excluded)
    except Invalid:
        return
    text = policy.generate(secrets.token_bytes).reveal()
    assert len(text) == length
    assert set(text) <= set(policy.alphabet)
    assert not set(text) & set(excluded)
    assert all(set(text) & set(CLASSES[name]) for name in classes)


def test_every_character_has_the_same_chance() -> None:
    policy = PasswordPolicy(length=LONGEST, classes=("lower", "digit"))
    # All byte values, each once in turn: whatever is drawn from them evenly is uniform, a plain modulo is not.
    stream = iter(bytes(range(256)) * 400)
    drawn = Counter[str]()
    for _ in range(700):
        drawn.update(policy.generate(lambda n: bytes(next(stream) for _ in range(n))).reveal())
    assert set(drawn) == set(policy.alphabet)
    assert max(drawn.values()) - min(drawn.values()) <= 2


def test_two_passwords_are_never_the_same() -> None:
    made = [profile().generate(secrets.token_bytes).reveal() for _ in range(200)]
    assert len(set(made)) == len(made)


def test_passwords_that_need_no_quoting_anywhere_are_the_default() -> None:
    assert profile().generate(secrets.token_bytes).reveal().isalnum()
    strict = profile(strict=True).generate(secrets.token_bytes).reveal()
    assert all(set(strict) & set(CLASSES[name]) for name in CLASSES)
    assert not set(strict) & set("\"'\\`@/:?#%& ")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"classes": ()}, "classes"),
        ({"classes": ("vowel",)}, "classes"),
        ({"length": 0}, "length"),
        ({"length": LONGEST + 1}, "length"),
        ({"length": 12}, "length"),
        ({"length": 27, "classes": ("digit",)}, "length"),
        ({"excluded": "0123456789"}, "excluded"),
    ],
)
def test_a_policy_that_cannot_be_kept_or_is_weak_is_refused(fields: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        PasswordPolicy(**fields)  # type: ignore[arg-type]
    assert caught.value.field == f"rotation.password.{field}"


def test_the_least_strength_is_that_of_random_bits() -> None:
    assert len(PasswordPolicy(length=28, classes=("digit",)).alphabet) == 10
    assert 28 * 3.3219 >= LEAST_BITS > 27 * 3.3219
