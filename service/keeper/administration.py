"""Who administers a connection: another one on the same engine, or the connection itself."""

from service.core.access import Caller
from service.core.environment import Environment
from service.core.errors import Invalid
from service.keeper.registration import Registration
from service.keeper.walls import of_connection
from service.ledger import connections
from service.ledger.ledger import Transaction


def check_administration(tx: Transaction, wall: Environment, caller: Caller, name: str, wanted: Registration) -> None:
    """Raises Invalid unless the connection named as `administered_by` may and can administer this one."""
    administrator = wanted.administered_by
    if administrator is None:
        return
    if administrator == name:
        if wanted.kept_in:
            raise Invalid(
                f"kept_in: {name} cannot administer itself while its password is kept in a store: whoever turns it "
                "must hold it",
                field="kept_in",
            )
        return
    stored = connections.find(tx, wall.id, administrator)
    # Who names it lets Keywright act with its password: so it must be one that the caller could fetch.
    if stored is None or caller.level(of_connection(wall, administrator)) is None:
        raise Invalid(f"administered_by: connection {administrator} does not exist", field="administered_by")
    if stored.definition["engine"] != wanted.target.engine.value:
        raise Invalid(f"administered_by: {administrator} is {stored.definition['engine']}", field="administered_by")
    if wanted.login and wanted.login.username in connections.usernames(tx, stored.id):
        raise Invalid(
            "login.username is the administration login itself; only a connection that is administered by its own "
            "name turns that one",
            field="login.username",
        )


def administrator_id(tx: Transaction, wall: Environment, wanted: Registration, name: str, own_id: str) -> str | None:
    """The id of the connection that administers `name`, whose own id is `own_id`."""
    if wanted.administered_by == name:
        return own_id
    found = connections.find(tx, wall.id, wanted.administered_by) if wanted.administered_by else None
    return found.id if found else None
