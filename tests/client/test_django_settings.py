"""What Django's settings may say, and what Keywright says in their place."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from keywright.django.logins import Keyed


class Backend:
    """Django's own part: it insists on a NAME, and takes the rest as it is."""

    def __init__(self, options: dict[str, Any], **settings: str) -> None:
        self.settings_dict = {"NAME": "", "USER": "", "PASSWORD": "", "OPTIONS": options} | settings

    def get_connection_params(self) -> dict[str, Any]:
        it = self.settings_dict
        assert it["NAME"]
        return {"dbname": it["NAME"], "user": it["USER"], "password": it["PASSWORD"]} | it["OPTIONS"]


class Wrapper(Keyed, Backend):  # type: ignore[misc]
    """As the backends are made."""


def test_what_the_settings_name_stays_and_the_login_does_not() -> None:
    options = {"keywright": "shop/db", "application_name": "shop"}
    it = Wrapper(options, NAME="other", USER="me", PASSWORD="mine")
    assert it.get_connection_params() == {"application_name": "shop", "dbname": "other", "password": "", "user": ""}
    assert options == {"keywright": "shop/db", "application_name": "shop"}
    assert it.settings_dict["USER"] == "me"
    assert it.keywright_connection == "shop/db"


def test_without_a_name_it_is_the_connections() -> None:
    assert "dbname" not in Wrapper({"keywright": "shop/db"}).get_connection_params()


@pytest.mark.parametrize("options", [{}, {"keywright": ""}, {"keywright": 5}])
def test_a_connection_must_be_named(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="shop/db"):
        Wrapper(options).get_connection_params()


def test_a_pool_that_keeps_one_password_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="pool"):
        Wrapper({"keywright": "shop/db", "pool": True}).get_connection_params()
