"""Proofs: what may be bound, and what fits it."""

from typing import Any

import pytest

from service.core.errors import Invalid
from service.core.proof import (
    Jwt,
    Kubernetes,
    ServiceAccount,
    Signer,
    Unproven,
    account_in,
    account_named,
    fits,
    secure,
)
from service.core.secret import Secret

SIGNER = Signer("https://id.test")


@pytest.mark.parametrize(
    ("stated", "pattern", "fit"),
    [
        ("shop/web", "shop/web", True),
        ("shop/web", "shop/*", True),
        ("shop/", "shop/*", True),
        ("shop", "shop/*", False),
        ("workshop/web", "shop/*", False),
        ("repo:shop/web:ref:refs/heads/main", "repo:shop/*:ref:refs/heads/main", True),
        ("repo:shop/web:ref:refs/heads/main2", "repo:shop/*:ref:refs/heads/main", False),
        ("aXbXc", "a*X*c", True),
        ("aXc", "a*X*Xc", False),
        ("ab", "ab*b", False),
        ("a\nb", "a*b", True),
        ("shopXweb", "shop.web", False),
        ("Shop/web", "shop/web", False),
        (True, "true", True),
        (False, "true", False),
        (7, "7", True),
        (7.0, "7", False),
        (None, "None", False),
        (["x", "shop/web"], "shop/*", True),
        ([["shop/web"]], "shop/*", False),
        ({"shop": "web"}, "*shop*", False),
        ("a" * 20_000, "*a" * 150 + "b", False),
    ],
)
def test_what_fits(stated: Any, pattern: str, fit: bool) -> None:
    assert fits(stated, (pattern,)) is fit


@pytest.mark.parametrize(
    "bad",
    [
        {"audiences": ()},
        {"audiences": ("",)},
        {"subject": ""},
        {"subject": "*"},
        {"claims": {"repository": ("**",)}},
        {"claims": {"repository": ()}},
        {"claims": {"repository": ("",)}},
        {"audiences": tuple(map(str, range(51)))},
    ],
)
def test_what_binds_nothing_is_refused(bad: dict[str, Any]) -> None:
    good: dict[str, Any] = {"audiences": ("us",), "subject": "repo:shop/web"}
    Jwt(SIGNER, **good)
    with pytest.raises(Invalid):
        Jwt(SIGNER, **good | bad)


def test_claims_are_looked_at_each() -> None:
    proof = Jwt(SIGNER, ("us",), claims={"repository": ("shop/web", "shop/api"), "ref_protected": ("true",)})
    proof.check({"repository": "shop/api", "ref_protected": "true"})
    for stated in ({}, {"repository": "shop/api"}, {"repository": "shop/x", "ref_protected": "true"}):
        with pytest.raises(Unproven):
            proof.check(stated)


def test_a_cluster_gives_no_machine_to_everybody() -> None:
    for namespaces, accounts in [(("*",), ("*",)), (("shop", "*"), ("*",)), ((), ("web",)), (("shop",), ())]:
        with pytest.raises(Invalid):
            Kubernetes(namespaces, accounts, ("us",))
    proof = Kubernetes(("shop",), ("*",), ("us",))
    proof.check(ServiceAccount("shop", "any"))
    with pytest.raises(Unproven):
        proof.check(ServiceAccount("bank", "any"))


@pytest.mark.parametrize("text", ["", "a.b.c", "e30.e30.e30", "x.bnVsbA.y", "x.W10.y", "x.eyJzdWIiOjd9.y"])
def test_what_names_no_account(text: str) -> None:
    with pytest.raises(Unproven):
        account_in(Secret(text))


def test_accounts_have_two_parts() -> None:
    assert account_named("system:serviceaccount:shop:web") == ServiceAccount("shop", "web")
    for name in ("system:serviceaccount:shop", "system:node:shop:web", "system:serviceaccount:a:b:c", None):
        with pytest.raises(Unproven):
            account_named(name)


@pytest.mark.parametrize(
    "url",
    ["", "id.test", "http://id.test", "https://", "https://u:p@id.test", "https://id.test?x=1", "https://id.test:x",
     "file:///etc/passwd", "http://127.0.0.1.evil.test", "https://[::1"],
)  # fmt: skip
def test_issuers_are_spoken_to_in_confidence(url: str) -> None:
    with pytest.raises(Invalid):
        secure(url, "issuer")
    with pytest.raises(Invalid):
        Signer(url)


@pytest.mark.parametrize(
    "url", ["https://id.test", "https://id.test:8443/realm", "http://127.0.0.1:80", "http://[::1]"]
)
def test_issuers_may_be_here(url: str) -> None:
    secure(url, "issuer")


PRIVATE = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("bad", [{"keys": ("x",)}, {"ca": "x"}, {"keys": (PRIVATE,)}])
def test_keys_are_public_ones(bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Signer("https://id.test", **bad).check()


@pytest.mark.parametrize("bad", [{"algorithms": ()}, {"algorithms": ("HS256",)}, {"algorithms": ("none",)}])
def test_algorithms_are_those_of_private_keys(bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Signer("https://id.test", **bad)
