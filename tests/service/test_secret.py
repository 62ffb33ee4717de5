"""Plaintext that cannot slip out by accident, and ciphertext that opens only where it was sealed."""

import copy
import dataclasses
import json
import pickle
import secrets
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import SealBroken
from service.core.keyring import Keyring
from service.core.sealed import (
    Context,
    credential_context,
    data_key_context,
    key_number,
    reply_context,
    seal,
    unseal,
    version_context,
)
from service.core.secret import Secret

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@dataclasses.dataclass
class Holder:
    """Something that a secret is in."""

    inside: Secret


WAYS: dict[str, Callable[[Secret], object]] = {
    "str": str,
    "format": lambda it: f"{it}",
    "format with a width": lambda it: f"{it:>10}",
    "str.format": lambda it: "{}".format(it),  # noqa: UP032 - the way itself
    "percent": lambda it: "%s" % it,  # noqa: UP031
    "join": lambda it: "".join([it]),  # type: ignore[list-item]
    "concatenation": lambda it: "x" + it,  # type: ignore[operator]
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "vars": vars,
    "hash": hash,
    "iteration": list,  # type: ignore[dict-item]
    "bytes": bytes,  # type: ignore[dict-item]
    "asdict": lambda it: dataclasses.asdict(Holder(it)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_out_but_one_refuses(way: str) -> None:
    secret = Secret("hunter2")
    with pytest.raises(TypeError) as refused:
        WAYS[way](secret)
    assert "hunter2" not in str(refused.value)
    assert secret.reveal() == "hunter2"


def test_what_shows_objects_shows_no_secret() -> None:
    for shown in (
        repr(Secret("hunter2")),
        f"{Secret('hunter2')!r}",
        repr([Secret("hunter2")]),
        repr(Holder(Secret("hunter2"))),
    ):
        assert "hunter2" not in shown
        assert "Secret(…)" in shown
    assert "hunter2" not in repr(Keyring("e", {1: b"hunter2"}))


def test_secrets_are_compared_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)


# Sealing.

IDS = st.text(st.sampled_from("abc012"), max_size=6)
CONTEXTS = st.one_of(
    st.tuples(st.just(version_context), IDS, IDS, st.integers(0, 99)),
    st.tuples(st.just(credential_context), IDS, IDS, IDS),
    st.tuples(st.just(reply_context), IDS, IDS, IDS),
    st.tuples(st.just(data_key_context), IDS, st.integers(0, 99)),
)


def context_of(drawn: tuple[object, ...]) -> Context:
    make, *parts = drawn
    made: Context = make(*parts)  # type: ignore[operator]
    return made


KEY = secrets.token_bytes(32)
HERE = version_context("environment", "variable", 1)


def sealed_here(text: str, number: int = 1) -> bytes:
    return seal(Secret(text), key=KEY, key_number=number, context=HERE, randomness=secrets.token_bytes)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 2**32 - 1), CONTEXTS)
def test_what_is_sealed_opens_again(text: str, number: int, where: tuple[object, ...]) -> None:
    context = context_of(where)
    sealed = seal(Secret(text), key=KEY, key_number=number, context=context, randomness=secrets.token_bytes)
    assert unseal(sealed, key=KEY, context=context).reveal() == text
    assert key_number(sealed) == number
    assert len(text) < 4 or text.encode() not in sealed


@settings(deadline=None)
@given(TEXTS, st.data())
def test_one_changed_bit_and_it_does_not_open(text: str, data: st.DataObject) -> None:
    sealed = bytearray(sealed_here(text))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(SealBroken):
        unseal(bytes(sealed), key=KEY, context=HERE)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_truncated_or_lengthened_it_does_not_open(text: str, data: st.DataObject) -> None:
    sealed = sealed_here(text)
    cut = data.draw(st.integers(0, len(sealed) - 1))
    more = data.draw(st.binary(min_size=1, max_size=20))
    for changed in (sealed[:cut], sealed[cut + 1 :], sealed + more):
        with pytest.raises(SealBroken):
            unseal(changed, key=KEY, context=HERE)


@settings(deadline=None)
@given(CONTEXTS, CONTEXTS)
def test_it_opens_in_its_own_place_only(here: tuple[object, ...], there: tuple[object, ...]) -> None:
    sealed = seal(Secret("x"), key=KEY, key_number=1, context=context_of(here), randomness=secrets.token_bytes)
    if here == there:
        assert unseal(sealed, key=KEY, context=context_of(there)).reveal() == "x"
        return
    with pytest.raises(SealBroken):
        unseal(sealed, key=KEY, context=context_of(there))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (version_context("a", "bc", 1), version_context("ab", "c", 1)),
        (version_context("a", "b", 11), version_context("a", "b1", 1)),
        (version_context("a", "b", 1), credential_context("a", "b", "1")),
        (credential_context("a", "b", "1"), reply_context("a", "b", "1")),
        (data_key_context("a", 1), version_context("a", "", 1)),
    ],
)
def test_no_two_places_have_the_same_bytes(one: Context, other: Context) -> None:
    assert one != other


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_another_key_does_not_open_it(other: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(sealed_here("x"), key=other, context=HERE)


def test_the_number_of_the_key_is_bound_too() -> None:
    sealed = bytearray(sealed_here("x", 1))
    sealed[4] = 2
    ring = Keyring("environment", {1: KEY, 2: KEY})
    with pytest.raises(SealBroken):
        ring.unseal(bytes(sealed), HERE)


def test_the_same_text_is_never_sealed_alike() -> None:
    assert len({sealed_here("x") for _ in range(50)}) == 50


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 100), min_size=1, max_size=4))
def test_a_keyring_seals_under_its_newest_key_and_opens_with_all(numbers: set[int]) -> None:
    ring = Keyring("environment", {number: secrets.token_bytes(32) for number in numbers})
    sealed = ring.seal(Secret("x"), HERE, secrets.token_bytes)
    assert key_number(sealed) == max(numbers)
    for number, key in ring.keys.items():
        older = seal(Secret("y"), key=key, key_number=number, context=HERE, randomness=secrets.token_bytes)
        assert ring.unseal(older, HERE).reveal() == "y"
    with pytest.raises(SealBroken, match="data key 101"):
        ring.unseal(seal(Secret("z"), key=KEY, key_number=101, context=HERE, randomness=secrets.token_bytes), HERE)
