"""Grants in the words of policies, and what they allow on a path of this door.

    own                       a grant on everything           use/production            on an environment
    edit/production/shop/     on a folder                     use/production/shop/db    on a connection

`default`, which every token has in Vault, stands beside them: to look at itself, renew and revoke itself, and unwrap.
"""

from collections.abc import Sequence

from service.core.access import Caller, Kind, Level, Thing
from service.http.vault.mounts import Engine, Mounts, Place
from service.keeper.granting import ShownGrant

_DEFAULT = {
    "auth/token/lookup-self": ["read"],
    "auth/token/renew-self": ["update"],
    "auth/token/revoke-self": ["update"],
    "sys/capabilities-self": ["update"],
    "sys/wrapping/lookup": ["update"],
    "sys/wrapping/unwrap": ["update"],
    "sys/wrapping/wrap": ["update"],
    "sys/mounts": ["read"],
}
_CHANGE = ["create", "patch", "update"]
_BY_KIND: dict[str, dict[Level, list[str]]] = {
    "data": {Level.USE: ["read"], Level.EDIT: [*_CHANGE, "delete"]},
    "metadata": {Level.USE: ["list", "read"], Level.EDIT: _CHANGE, Level.OWN: ["delete"]},
    "subkeys": {Level.USE: ["read"]},
    "delete": {Level.EDIT: ["create", "update"]},
    "undelete": {Level.EDIT: ["create", "update"]},
    "destroy": {Level.OWN: ["create", "update"]},
    "static-creds": {Level.USE: ["read"]},
    "static-roles": {Level.USE: ["list", "read"]},
    "rotate-role": {Level.EDIT: ["create", "update"]},
}
_KV1 = {Level.USE: ["list", "read"]}


def policies(grants: Sequence[ShownGrant]) -> list[str]:
    """Their names, in order."""
    return sorted({"default", *map(_policy, grants)})


def _policy(it: ShownGrant) -> str:
    end = "/" if it.grant.kind is Kind.FOLDER else ""
    path = it.grant.path + end if it.grant.path else ""
    return "/".join(part for part in (it.grant.level.word, it.environment or "", path) if part)


def capabilities(caller: Caller, grants: Sequence[ShownGrant], mounts: Mounts, namespace: str, path: str) -> list[str]:
    """What the caller may do on a path, in Vault's words; `deny` for nothing."""
    path = path.strip("/")
    found = mounts.find(path)
    if found is None:
        if path == "sys/wrapping/wrap" and not caller.grants:
            return ["deny"]
        return _DEFAULT.get(path, ["deny"])
    mount, rest = found
    allowed = _KV1
    if mount.engine is not Engine.KV1:
        kind, _, rest = rest.partition("/")
        allowed = _BY_KIND.get(kind, {})
    place = mount.place(rest, namespace)
    level = _level(caller, grants, place, connection=mount.engine is Engine.DATABASE)
    held = [word for least, words in allowed.items() if level is not None and level >= least for word in words]
    return sorted(held) or ["deny"]


def _level(caller: Caller, grants: Sequence[ShownGrant], place: Place, *, connection: bool) -> Level | None:
    walls = {it.environment: it.grant.environment_id for it in grants if it.environment}
    kind = Kind.CONNECTION if connection else Kind.FOLDER
    return caller.level(Thing(kind, walls.get(place.environment, ""), place.name))
