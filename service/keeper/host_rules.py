"""Host rules of a connection: what `service.core.host_rules` tells, from what the ledger knows."""

from dataclasses import dataclass

from service.core import names
from service.core.access import Caller, Level, networks
from service.core.errors import Conflict, Invalid
from service.core.host_rules import Parties, Party, distinct, rules
from service.core.rotation import Strategy
from service.keeper import definitions
from service.keeper.credentials import connection_found
from service.keeper.door import Deed, Door
from service.keeper.walls import Walls, of_connection
from service.ledger import connections
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Told:
    """Who is let in, and the lines to paste."""

    parties: Parties
    lines: tuple[str, ...]


class HostRules:
    """Tells them."""

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def told(
        self, caller: Caller, environment: str, name: str, from_: tuple[str, ...], keywright_from: tuple[str, ...]
    ) -> Told:
        """For applications in the networks `from_`, or in the environment's allowlist where none are given; for
        Keywright in `keywright_from`, or in the same ones. Raises Invalid, Absent, Conflict."""
        names.path(name)
        given, own = networks(from_, "from"), networks(keywright_from, "keywright_from")

        def evaluate(tx: Transaction) -> Told:
            wall = self._walls.enter(tx, caller, environment)
            stored = connection_found(tx, wall, caller, name, Level.USE)
            theirs = given or wall.allowlist
            if not theirs:
                raise Invalid(
                    f"from: name the networks that applications come from, such as 10.1.0.0/16; environment "
                    f"{environment} has no allowlist that says it",
                    field="from",
                )
            keywright = distinct(own or theirs)
            # The administration connection is one that this caller might not see: then nothing of it is told.
            admin = connections.get(tx, stored.administered_by) if stored.administered_by else None
            apart = admin if admin and admin.id != stored.id else None
            seen = apart if apart and caller.level(of_connection(wall, apart.name)) else None
            parties = Parties(
                _party(tx, stored, distinct((*theirs, *keywright))),
                _party(tx, seen, keywright) if seen else None,
                untold=apart.name if apart and not seen else "",
                assumed=not own,
            )
            return Told(parties, rules(parties))

        return self._door.fetch(caller, Deed("connection.host_rules", environment, name), evaluate)


def _party(tx: Transaction, stored: StoredConnection, networks: tuple[str, ...]) -> Party:
    """All logins that the connection has, and those that a rotation would make."""
    target = definitions.target(stored.definition)
    policy = definitions.policy(stored.policy, target.engine)
    known = connections.usernames(tx, stored.id)
    adopted = stored.definition.get("login") or ""
    if adopted and adopted not in known:
        known = [adopted, *known]
    if policy and policy.strategy is Strategy.ALTERNATING and (policy.role or adopted):
        known += [login for login in policy.pair(adopted)[1] if login not in known]
    if not known:
        raise Conflict(f"connection {stored.name}: no login is known yet: put it again with login.username")
    return Party(stored.name, tuple(known), target, networks)
