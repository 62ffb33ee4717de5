"""What is put as a connection: parsed, and judged as far as that needs nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core import names
from service.core.connection import Target
from service.core.errors import Invalid
from service.core.rotation import RotationPolicy, Strategy
from service.core.secret import Secret
from service.keeper import definitions
from service.keeper.definitions import KeptIn


@dataclass(frozen=True)
class Login:
    """A login to import. Without a password it lives in the connection's `kept_in`, or is yet to be made."""

    username: str
    password: Secret | None


@dataclass(frozen=True)
class Registration:
    """What is put as a connection, parsed."""

    target: Target
    kept_in: KeptIn | None
    policy: RotationPolicy | None
    administered_by: str | None
    login: Login | None

    def definition(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        role = self.login.username if self.login else None
        return definitions.target_data(self.target) | {
            "kept_in": definitions.kept_in_data(self.kept_in),
            "login": role,
        }


def registration(data: Mapping[str, Any], password: Secret | None) -> Registration:
    """What a request means. Raises Invalid naming the field."""
    target = definitions.target(data)
    login = data.get("login")
    home = definitions.kept_in(data.get("kept_in"))
    if login is not None and password is not None and home is not None:
        raise Invalid("login.password: it lives in kept_in, so it is not given here too", field="login.password")
    user = None
    if login is not None:
        user = Login(definitions.username(login.get("username"), target.engine, "login.username"), password)
    policy = definitions.policy(data.get("rotation"), target.engine)
    if policy and policy.check_every and policy.check_every < definitions.MOST_OFTEN:
        raise Invalid(
            "rotation.check_every: logins are tried once a minute at most; say 1m or longer, or never",
            field="rotation.check_every",
        )
    administered_by = data.get("administered_by")
    if administered_by is not None:
        names.path(administered_by, "administered_by")
    if policy and policy.strategy is Strategy.ALTERNATING and home and not home.username_key:
        raise Invalid(
            "kept_in.username_key: alternating changes the user name too, so both must be keys of that secret",
            field="kept_in.username_key",
        )
    return Registration(target, home, policy, administered_by, user)
