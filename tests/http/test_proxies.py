"""Proxies in front: whose word is taken, and how far."""

import pytest

from service.core.errors import Invalid
from service.http.proxies import MOST, UNKNOWN, Proxies

PROXIES = Proxies(("10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "10.0.0.2"),
        (["192.0.2.1"], "192.0.2.1"),
        (["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
        (["198.51.100.9", "192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, 10.0.0.1, 2001:db8::1"], "192.0.2.1"),
        (["192.0.2.1,10.0.0.1", "10.0.0.3"], "192.0.2.1"),
        (["10.0.0.7, 10.0.0.1"], "10.0.0.7"),
        (["192.0.2.1:5678"], "192.0.2.1"),
        (["[2001:db9::1]:80"], "2001:db9::1"),
        (["2001:db9::1"], "2001:db9::1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        (["::ffff:10.0.0.1"], "10.0.0.1"),
        ([""], UNKNOWN),
        (["192.0.2.1, "], UNKNOWN),
        (["192.0.2.1, unknown"], UNKNOWN),
        (["192.0.2.1, 10.0.0.1x"], UNKNOWN),
        (["192.0.2.1\xff"], UNKNOWN),
        (["2001:db9::1%eth0"], UNKNOWN),
        (['192.0.2.1, 2001:db8::1%evil"x'], UNKNOWN),
        (["[fe80::1%" + "A" * 6000 + "]:80"], UNKNOWN),
        ([", ".join(["10.0.0.1"] * (MOST + 1))], UNKNOWN),
        ([", ".join(["192.0.2.1"] * 10_000)], "192.0.2.1"),
    ],
)
def test_it_is_read_from_the_right(lines: list[str], client: str) -> None:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    assert PROXIES.client("10.0.0.2", [(b"host", b"x"), *headers, (b"forwarded", b"for=192.0.2.9")]) == client


def test_who_is_trusted() -> None:
    for address in ("10.0.0.1", "2001:db8::9", "::ffff:10.1.2.3"):
        assert PROXIES.trusts(address)
    for address in ("192.0.2.1", "", "unknown", "2001:db9::1", "10.0.0.1:80"):
        assert not PROXIES.trusts(address)
    assert not Proxies().trusts("127.0.0.1")
    with pytest.raises(Invalid, match="KEYWRIGHT_TRUSTED_PROXIES"):
        Proxies(("everybody",))
