"""Continuity: what a change of a connection must not break for those who hold its credentials.

while a rotation is under way   its strategy, role, logins, store and login stay as they are
a shorter drain minimum         promises given under the longer one are remembered until their end
the place of the password       is not changed in passing: the only copy could be lost
"""

from datetime import datetime
from typing import Any

from service.core import schedule as schedules
from service.core.errors import Conflict
from service.core.rotation import Rotation, RotationPolicy, Strategy
from service.keeper import definitions
from service.keeper.registration import Registration
from service.ledger.connections import StoredConnection

_FREE = {
    *schedules.KEYS,
    "drain_minimum",
    "drain_limit",
    "after_limit",
    "siblings",
    "spacing",
    "check_every",
    "password",
}
"""Parts of a policy that a rotation under way does not stand on."""


def refuse_meanwhile(stored: StoredConnection, wanted: Registration, open_one: Rotation | None) -> None:
    """Raises Conflict for a change that would break what was begun or promised."""
    name = stored.name
    if stored.definition["engine"] != wanted.target.engine.value:
        raise Conflict(f"connection {name} is {stored.definition['engine']}; delete it to make it another engine")
    if stored.definition.get("kept_in") != definitions.kept_in_data(wanted.kept_in):
        raise Conflict(f"connection {name}: kept_in cannot be changed; delete the connection and put it again")
    if open_one is None:
        return
    if wanted.login:
        raise Conflict(f"connection {name} is in a rotation; its login cannot be replaced meanwhile")
    if _frozen(stored.policy) != _frozen(definitions.policy_data(wanted.policy)):
        raise Conflict(
            f"connection {name} is in a rotation ({open_one.stage.value}): its strategy, role and logins "
            "stay as they are until that has ended"
        )


def _frozen(policy: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if policy is None else {key: value for key, value in policy.items() if key not in _FREE}


def logins_of(definition: dict[str, Any], policy: RotationPolicy | None) -> tuple[str, ...]:
    """The logins that a connection uses or will use."""
    adopted = definition.get("login")
    pair = policy.pair(adopted)[1] if policy and policy.strategy is Strategy.ALTERNATING and adopted else ()
    return tuple(login for login in (adopted, *pair) if login)


def promised_until(former: StoredConnection | None, wanted: Registration, now: datetime) -> datetime | None:
    """Until when promises reach that were given under a longer drain minimum than the one that is put."""
    if former is None:
        return None
    policy = definitions.policy(former.policy, wanted.target.engine)
    before = policy.drain_minimum if policy else definitions.DRAIN_MINIMUM
    after = wanted.policy.drain_minimum if wanted.policy else definitions.DRAIN_MINIMUM
    if after >= before:
        return former.promised_until
    return max(now + before, former.promised_until or now)
