"""Who may name an administration connection, and who may go on with the one that is named."""

from typing import Any

import pytest

from service.core.access import Caller
from service.core.errors import Invalid
from service.core.rotation import Strategy
from service.core.secret import Secret
from service.keeper.registration import registration
from tests.rigs.rotating import Stand, stand


def put(here: Stand, caller: Caller, login: str | None = None, **rotation: Any) -> Any:
    """Put `shop/db` again, as somebody who sees nothing else."""
    policy = {"strategy": "alternating", "drain_minimum": "10s", "drain_limit": "60s"} | rotation
    data = here._target() | {"administered_by": "admin", "rotation": policy}
    data |= {"login": {"username": login}} if login else {}
    wanted = registration(data, Secret("first-password") if login else None)
    return here.service.keeper.connections.put(caller, "production", "shop/db", wanted, if_match=None)


def test_what_is_named_already_may_stay() -> None:
    """Whoever may edit a connection need not see the one that administers it, to change a schedule."""
    with stand(Strategy.ALTERNATING) as here:
        editor = here.machine("editor", "edit")
        shown, new = put(here, editor, every="1h")
        assert (shown.administered_by, new) == ("admin", False)
        assert put(here, editor, "shop")[0].administered_by == "admin"


@pytest.mark.parametrize("more", [{"role": "owner_of_all"}, {"logins": ["shop_a", "somebody"]}], ids=str)
def test_it_changes_no_other_logins_for_whom_it_is_not_seen(more: dict[str, Any]) -> None:
    """Or whoever may edit one connection would have the passwords of all logins on its server."""
    with stand(Strategy.ALTERNATING) as here:
        editor = here.machine("editor", "edit")
        with pytest.raises(Invalid, match="takes a grant on it") as refused:
            put(here, editor, **more)
        assert refused.value.field == "administered_by"
        here.fake.create("another", "first-password")
        with pytest.raises(Invalid, match="to have admin change another"):
            put(here, editor, "another")


def test_who_does_not_see_it_may_not_name_it_first() -> None:
    """Nor learn whether it is there."""
    with stand(Strategy.ALTERNATING) as here:
        editor = here.machine("editor", "edit", "other/db")
        data = here._target() | {"administered_by": "admin", "login": {"username": "shop"}}
        keeper = here.service.keeper.connections
        said = []
        for name in ("admin", "no/such"):
            wanted = registration(data | {"administered_by": name}, Secret("first-password"))
            with pytest.raises(Invalid) as refused:
                keeper.put(editor, "production", "other/db", wanted, if_match=None)
            said.append(refused.value.message.replace(f"connection {name} ", "…"))
        assert said[0] == said[1]
