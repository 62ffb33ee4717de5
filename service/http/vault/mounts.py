"""Mounts: which paths of the Vault door lead to which variables and connections.

    {"secret/": {"type": "kv-v2"}, "kv/": {"type": "kv-v1"}, "database/": {"type": "database"}}

What is behind a mount begins with the environment, `secret/data/production/shop/db`; where the mount is fixed to one
(`{"type": "kv-v2", "environment": "production"}`) it does not, `secret/data/shop/db`. A namespace (`X-Vault-Namespace`)
fixes every mount to the environment of its name.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core import names
from service.core.errors import Invalid

DEFAULT = '{"secret/": {"type": "kv-v2"}, "kv/": {"type": "kv-v1"}, "database/": {"type": "database"}}'
NAMESPACES = uuid.UUID("6f1c4b5e-7a53-4e0c-9a3c-0d5b6f1e2a77")
_OURS = ("auth", "sys", "cubbyhole", "identity")
_KEYS = {"type", "environment"}


class Engine(StrEnum):
    """What a mount is."""

    KV1 = "kv-v1"
    KV2 = "kv-v2"
    DATABASE = "database"


@dataclass(frozen=True)
class Place:
    """An environment and a name in it. Either may be empty: the mount as a whole, the environment as a whole."""

    environment: str
    name: str


@dataclass(frozen=True)
class Mount:
    """One mount. `path` is without the `/` at its end."""

    path: str
    engine: Engine
    environment: str = ""
    """The one that it is fixed to; empty for any."""

    def place(self, rest: str, namespace: str) -> Place:
        """Where the rest of a path leads; with a namespace that the mount is not in, to an environment that is none."""
        fixed = self.environment or namespace
        if namespace and namespace != fixed:
            # No environment's name ends so. From here it goes as with one that the caller has no grant in, to the same
            # answer: nobody learns which environment a mount is fixed to.
            return Place(f"{namespace}/", rest)
        if fixed:
            return Place(fixed, rest)
        environment, _, name = rest.partition("/")
        return Place(environment, name)

    def shown(self, version: str) -> dict[str, Any]:
        """As `sys/mounts` tells it. What runs there is of this program and its version, and no plugin."""
        kind = "kv" if self.engine is not Engine.DATABASE else "database"
        options = {Engine.KV1: {"version": "1"}, Engine.KV2: {"version": "2"}, Engine.DATABASE: {}}[self.engine]
        mark = hashlib.sha256(self.path.encode()).hexdigest()[:8]
        told = {
            "accessor": f"{kind}_{mark}",
            "config": {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0},
            "description": "",  # whoever has a token may read it: it does not tell the environment
            "external_entropy_access": False,
            "local": False,
            "options": options,
            "plugin_version": "",
            "running_plugin_version": f"v{version}+builtin.keywright",
            "running_sha256": "",
            "seal_wrap": False,
            "type": kind,
            "uuid": str(uuid.uuid5(NAMESPACES, self.path)),
        }
        return told if kind == "database" else told | {"deprecation_status": "supported"}


class Mounts:
    """All of them."""

    def __init__(self, mounts: tuple[Mount, ...]) -> None:
        self.all = mounts

    def find(self, path: str) -> tuple[Mount, str] | None:
        """The mount that a path is in, and what is behind it."""
        for mount in self.all:
            if path == mount.path or path.startswith(mount.path + "/"):
                return mount, path[len(mount.path) + 1 :]
        return None


def parse(text: str, field: str = "KEYWRIGHT_VAULT_MOUNTS") -> Mounts:
    """The mounts of a JSON object, see above. Raises Invalid naming `field`."""
    try:
        said = json.loads(text or DEFAULT)
    except ValueError:
        raise Invalid(f"{field} is not JSON", field=field) from None
    if not isinstance(said, dict):
        raise Invalid(f"{field} must be an object of mounts, such as {DEFAULT}", field=field)
    found = tuple(_mount(path, what, field) for path, what in said.items())
    for one in found:
        if any(other is not one and f"{other.path}/".startswith(f"{one.path}/") for other in found):
            raise Invalid(f"{field}: there is another mount within {one.path}/", field=field)
    return Mounts(found)


def _mount(path: str, what: Any, field: str) -> Mount:
    where = f"{field}, {path[:100]}"
    found = names.path(path.removesuffix("/"), where)
    if found.partition("/")[0] in _OURS:
        raise Invalid(f"{where}: {', '.join(_OURS)} are no names for mounts", field=field)
    if not isinstance(what, dict) or not what.keys() <= _KEYS or not all(isinstance(it, str) for it in what.values()):
        raise Invalid(f'{where}: must be an object of "type" and, if it is fixed to one, "environment"', field=field)
    try:
        engine = Engine(what.get("type", ""))
    except ValueError:
        raise Invalid(f"{where}: type must be {', '.join(Engine)}", field=field) from None
    environment = names.segment(what["environment"], where) if "environment" in what else ""
    return Mount(found, engine, environment)
