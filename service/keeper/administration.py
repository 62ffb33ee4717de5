"""Who administers a connection: another one on the same engine, or the connection itself."""

from typing import Any

from service.core.access import Caller
from service.core.environment import Environment
from service.core.errors import Invalid
from service.core.rotation import RotationPolicy, Strategy
from service.keeper import definitions
from service.keeper.registration import Registration
from service.keeper.walls import of_connection
from service.ledger import connections
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


def check_administration(
    tx: Transaction,
    wall: Environment,
    caller: Caller,
    name: str,
    wanted: Registration,
    former: StoredConnection | None,
) -> None:
    """Raises Invalid unless the connection named as `administered_by` may and can administer this one.

    `former` is the connection as it was, which may keep what it had.
    """
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
    seen = stored is not None and caller.level(of_connection(wall, administrator)) is not None
    # Who names it lets Keywright act with its password: so it must be one that the caller could fetch. Whoever only
    # repeats what was there (and what GET shows) names nothing new, as long as it is to change no other logins.
    if stored is None or not (seen or (former and former.administered_by == stored.id)):
        raise Invalid(f"administered_by: connection {administrator} does not exist", field="administered_by")
    if not seen and former and (more := _changed(wanted, former)):
        raise Invalid(
            f"administered_by: to have {administrator} change {', '.join(sorted(more))} as well takes a grant on it",
            field="administered_by",
        )
    if stored.definition["engine"] != wanted.target.engine.value:
        raise Invalid(f"administered_by: {administrator} is {stored.definition['engine']}", field="administered_by")
    if wanted.login and wanted.login.username in connections.usernames(tx, stored.id):
        raise Invalid(
            "login.username is the administration login itself; only a connection that is administered by its own "
            "name turns that one",
            field="login.username",
        )


def _changed(wanted: Registration, former: StoredConnection) -> set[str]:
    """Logins and roles that the administration login is to change and did not before."""
    definition = wanted.definition()
    before = definitions.policy(former.policy, wanted.target.engine)
    had = _reached(former.definition, before)
    return _reached(definition if definition["login"] else former.definition, wanted.policy) - had


def _reached(definition: dict[str, Any], policy: RotationPolicy | None) -> set[str]:
    adopted = definition.get("login") or ""
    role, pair = policy.pair(adopted) if policy and policy.strategy is Strategy.ALTERNATING else ("", ())
    return {name for name in (adopted, role, *pair) if name}


def administrator_id(tx: Transaction, wall: Environment, wanted: Registration, name: str, own_id: str) -> str | None:
    """The id of the connection that administers `name`, whose own id is `own_id`."""
    if wanted.administered_by == name:
        return own_id
    found = connections.find(tx, wall.id, wanted.administered_by) if wanted.administered_by else None
    return found.id if found else None
