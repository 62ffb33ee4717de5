"""Which environment variables references can reach."""

import pytest

from providers.stores.env import EnvStore
from service.core.errors import StoreMalformed, StoreRefused
from service.core.reference import Reference
from service.core.secret import Secret

ENVIRONMENT = {"SHOP_DB": "a", "SHOP": "b", "PATH": "/bin", "KEYWRIGHT_MASTER_KEY": "hush", "BIG": "x" * 65537}


def _read(name: str, *allowed: str) -> Secret:
    return EnvStore(ENVIRONMENT, allowed).read(Reference("env", name)).value


def test_exact_names_and_beginnings_are_allowed() -> None:
    assert _read("SHOP_DB", "SHOP_*") == Secret("a")
    assert _read("SHOP", "SHOP") == Secret("b")


@pytest.mark.parametrize("name", ["PATH", "SHOP", "UNSET"])
def test_what_is_not_allowed_is_refused_whether_it_is_set_or_not(name: str) -> None:
    with pytest.raises(StoreRefused, match="not covered"):
        _read(name, "SHOP_*")


def test_nothing_is_allowed_by_default() -> None:
    with pytest.raises(StoreRefused):
        _read("SHOP")


@pytest.mark.parametrize("allowed", ["*", "KEYWRIGHT_*", "KEYWRIGHT_MASTER_KEY", "keywright_*"])
@pytest.mark.parametrize("name", ["KEYWRIGHT_MASTER_KEY", "KEYWRIGHT_OTHER", "keywright_master_key"])
def test_keywrights_own_settings_are_closed_whatever_is_allowed(name: str, allowed: str) -> None:
    with pytest.raises(StoreRefused, match="Keywright itself") as caught:
        _read(name, allowed)
    assert "hush" not in caught.value.message


def test_a_value_over_the_limit_is_malformed() -> None:
    with pytest.raises(StoreMalformed):
        _read("BIG", "*")
