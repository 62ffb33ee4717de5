"""The settings that hold for everybody, as administrators see and change them; replicas have them in memory."""

from collections.abc import Mapping
from dataclasses import fields, replace

from service.core.access import EVERYTHING, SETTINGS, Caller, Level, require
from service.core.errors import Forbidden, Invalid
from service.core.event import Detail
from service.core.person import Settings
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.standing import an_owner_stays
from service.keeper.walls import Walls
from service.ledger import settings
from service.ledger.ledger import Transaction

_WHAT = "the settings"
_ADOPTS = (
    "scim_adopts lets an identity provider take over accounts that are there already: "
    "this needs the grant 'own' on everything, since it can let in anybody"
)


class SettingsKept:
    """Operations on the settings: *use* on settings sees them, *own* changes them.

    Letting SCIM take over accounts that are there already is for owners of everything: they may be anybody's.
    """

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def get(self, caller: Caller) -> Settings:
        """As they are. Raises Absent."""

        def evaluate(tx: Transaction) -> Settings:
            require(caller, Level.USE, SETTINGS, _WHAT)
            return settings.read(tx)

        return self._door.fetch(caller, Deed("settings.get"), evaluate)

    def change(self, caller: Caller, wanted: Mapping[str, object], if_match: int | None = None) -> Settings:
        """Change what is given, by the names of `Settings`. Raises Invalid, Absent, Forbidden, Conflict, Outdated."""
        if unknown := wanted.keys() - ({each.name for each in fields(Settings)} - {"revision"}):
            raise Invalid(f"{min(unknown)} is no setting", field=min(unknown))

        def act(tx: Transaction) -> Settings:
            require(caller, Level.OWN, SETTINGS, _WHAT)
            former = settings.read(tx)
            if wanted.get("scim_adopts") and not former.scim_adopts and caller.level(EVERYTHING) is not Level.OWN:
                raise Forbidden(_ADOPTS)
            self._walls.require_whole(caller, _WHAT)
            require_fresh(tx, caller, "changing the settings")
            check_revision(if_match, former.revision)
            changed = replace(former, **wanted, revision=former.revision + 1)  # type: ignore[arg-type]
            for name, value in wanted.items():
                if value != getattr(former, name):
                    deed.detail[name] = _told(value)
            with an_owner_stays(tx):
                settings.write(tx, changed)
            return changed

        deed = Deed("settings.change")
        return self._door.change(caller, deed, act)


def _told(value: object) -> Detail:
    """As an event has it."""
    return value if isinstance(value, (str, int, bool)) else str(value)
