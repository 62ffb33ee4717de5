"""Reading one version of a variable, whichever it is: for doors whose clients ask for versions by number.

What is live is fetched as everything is (`values.py`). This is for the others, and rare: it asks the ledger.
"""

from dataclasses import dataclass, field

from service.core import names
from service.core.access import Caller, Level
from service.core.errors import Absent, Conflict
from service.core.variable import Value, ValueKind, Variable, Version, VersionState
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.guard import reveal
from service.keeper.variables import Variables, found
from service.keeper.walls import Walls, of_variable
from service.ledger import variables
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Read:
    """A version with its value: None if it was deleted or destroyed, or if it must be fetched to be known."""

    variable: Variable
    version: Version
    value: Value | None = field(repr=False)


class Versions:
    """Single versions of variables."""

    def __init__(self, door: Door, walls: Walls, definitions: Variables) -> None:
        self._door = door
        self._walls = walls
        self._definitions = definitions

    def get(self, caller: Caller, environment: str, name: str, number: int) -> Read:
        """The version as it was put. Raises Absent, Conflict for one whose value is not here, SealBroken."""
        names.path(name)

        def evaluate(tx: Transaction) -> Read:
            wall = self._walls.enter(tx, caller, environment)
            variable = found(tx, wall, caller, name, Level.USE)
            version = variables.version(tx, variable.id, number)
            if version is None:
                raise Absent(f"variable {name} has no version {number}")
            # Also of one that is plain by now: it may have been secret when this version was put.
            require_fresh(tx, caller, "showing a version by its number")
            gone = version.state in (VersionState.DELETED, VersionState.DESTROYED)
            if gone or (version.state is VersionState.LIVE and version.kind is not ValueKind.LITERAL):
                return Read(variable, version, None)
            if version.kind is not ValueKind.LITERAL:
                raise Conflict(
                    f"version {number} of {name} is a {version.kind.value}: what it stands for is told only "
                    "while it is the live one"
                )
            secrets = (of_variable(wall, name),) if variable.secret else ()
            deed.detail |= reveal(wall, caller, tx.now, deed.action, name, secrets)
            return Read(variable, version, self._definitions.opened(tx, wall, version))

        deed = Deed("value.fetch", environment, name, {"versions": f"{name}:{number}"})
        return self._door.fetch(caller, deed, evaluate)
