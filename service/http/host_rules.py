"""`/environments/{env}/host-rules`: what a database's owner writes there to let exactly a connection's logins in."""

from typing import Annotated, Any

from fastapi import Query

from service.http import shapes
from service.http.native import native
from service.http.request import Asking, TheKeeper

router = native("connections")


@router.get("/environments/{environment}/host-rules/{name:path}", response_model=shapes.HostRules)
def get(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    name: shapes.NamePath,
    from_: Annotated[
        shapes.Cidrs | None,
        Query(alias="from", description="Networks of applications; the environment's allowlist when left out."),
    ] = None,
    keywright_from: Annotated[
        shapes.Cidrs | None,
        Query(description="Networks of Keywright; those of applications when left out."),
    ] = None,
) -> Any:
    """Lines of `pg_hba.conf`, or statements for MariaDB, ready to paste. Nothing is asked of the database."""
    told = keeper.host_rules.told(caller, environment, name, _networks(from_), _networks(keywright_from))
    applications, administration = told.parties.applications, told.parties.administration
    return {
        "connection": applications.connection,
        "engine": applications.target.engine,
        "logins": applications.logins,
        "networks": applications.networks,
        "administration_logins": administration.logins if administration else (),
        "administration_networks": administration.networks if administration else (),
        "lines": told.lines,
    }


def _networks(said: str | None) -> tuple[str, ...]:
    return tuple(said.split(",")) if said else ()
