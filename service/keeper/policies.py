"""Rotation policies by themselves, for who may say how a password turns, and not where the connection leads.

    *use* on the policy    see it
    *edit* on the policy   change it

A grant on the connection, its folder or its environment reaches the policy, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core import names
from service.core.access import Caller, Level, require
from service.core.errors import Absent, Outdated
from service.keeper import definitions
from service.keeper.connections import Connections
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.planning import policy_of
from service.keeper.registration import registration
from service.keeper.walls import Walls, of_policy
from service.ledger import connections
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Shown:
    """A policy, as data, and the connection that it is of; None where nothing turns."""

    stored: StoredConnection
    policy: Mapping[str, Any] | None


class Policies:
    """Operations on the rotation policies of connections."""

    def __init__(self, door: Door, walls: Walls, owners: Connections) -> None:
        self._door = door
        self._walls = walls
        self._connections = owners

    def get(self, caller: Caller, environment: str, name: str) -> Shown:
        """A connection's, with what it is written on. Raises Absent."""
        names.path(name)

        def evaluate(tx: Transaction) -> Shown:
            found = self._found(tx, caller, environment, name, Level.USE)
            return Shown(found, definitions.policy_data(policy_of(found)))

        return self._door.fetch(caller, Deed("policy.get", environment, name), evaluate)

    def put(
        self, caller: Caller, environment: str, name: str, policy: Mapping[str, Any] | None, *, if_match: int | None
    ) -> Shown:
        """Change it; None: the password turns no more. Raises as `Connections.put` does."""
        names.path(name)

        def evaluate(tx: Transaction) -> tuple[StoredConnection, str | None]:
            found = self._found(tx, caller, environment, name, Level.EDIT)
            check_revision(if_match, found.revision)
            administration = connections.get(tx, found.administered_by) if found.administered_by else None
            return found, administration.name if administration else None

        stored, administered_by = self._door.poll(caller, Deed("policy.put", environment, name), evaluate)
        former = definitions.target_data(definitions.target(stored.definition))
        given = {"kept_in": stored.definition.get("kept_in"), "administered_by": administered_by, "rotation": policy}
        wanted = registration(former | given, None)
        try:
            shown, _ = self._connections.put(
                caller, environment, name, wanted, if_match=stored.revision, only_policy=True
            )
        except Outdated:
            raise Outdated("the connection was changed meanwhile: look at its policy, and put it again") from None
        return Shown(shown.stored, definitions.policy_data(shown.policy))

    def _found(self, tx: Transaction, caller: Caller, environment: str, name: str, level: Level) -> StoredConnection:
        wall = self._walls.enter(tx, caller, environment)
        found = connections.find(tx, wall.id, name)
        require(caller, level, of_policy(wall, name), f"connection {name}")
        if found is None:
            raise Absent(f"connection {name} does not exist")
        return found
