"""Walls: how an operation gets into an environment, or does not."""

from service.core.access import Caller, Kind, Thing, admitted
from service.core.environment import Environment
from service.core.errors import Absent, Forbidden
from service.core.event import LONGEST_ENVIRONMENT, fit
from service.ledger import environments
from service.ledger.ledger import Transaction


class Walls:
    """Finds environments for callers. `pinned` names the only ones this instance serves; None for all."""

    def __init__(self, pinned: frozenset[str] | None = None) -> None:
        self.pinned = pinned

    def enter(self, tx: Transaction, caller: Caller, name: str) -> Environment:
        """The environment, if the caller has any business in it.

        Raises Absent when it does not exist, lies outside what this instance serves, or the caller has no
        grant there: one sentence for all three. Raises Forbidden for an address that is not on its allowlist.
        """
        return self.judge(environments.find(tx, fit(name)), caller, name)

    def judge(self, found: Environment | None, caller: Caller, name: str) -> Environment:
        """What `enter` finds, judged: raises as it does."""
        if found is None or not self.serves(name) or not caller.sees(found.id):
            raise Absent(f"environment {fit(name)[:LONGEST_ENVIRONMENT]} does not exist")
        if caller.kind != "system" and not admitted(caller.address, found.allowlist):
            raise Forbidden(f"environment {name} is not open to the address {caller.address}")
        return found

    def require_whole(self, caller: Caller, what: str) -> None:
        """For `what` holds in all environments. Raises Forbidden where this instance does not serve them all."""
        if self.pinned is not None and caller.kind != "system":
            raise Forbidden(f"{what}: this is not changed through an instance that serves some environments")

    def serves(self, name: str) -> bool:
        """Does this instance serve an environment of that name?"""
        return self.pinned is None or name in self.pinned


def of_environment(environment: Environment) -> Thing:
    """The environment as a whole."""
    return Thing(Kind.ENVIRONMENT, environment.id)


def of_variable(environment: Environment, name: str) -> Thing:
    """A variable: judged as what lies in its folder."""
    return Thing(Kind.FOLDER, environment.id, name)


def of_policy(environment: Environment, name: str) -> Thing:
    """The rotation policy of a connection."""
    return Thing(Kind.POLICY, environment.id, name)


def of_connection(environment: Environment, name: str) -> Thing:
    """A connection."""
    return Thing(Kind.CONNECTION, environment.id, name)
