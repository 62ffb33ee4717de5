"""A mount of KV version 2: which operation on which path is answered by what."""

from service.core.errors import Absent
from service.http.vault import kv2_metadata, kv2_read, kv2_versions, kv2_write
from service.http.vault.answer import NOTHING, Answer, told
from service.http.vault.ask import Ask, Operation
from service.http.vault.errors import Refused, Unsupported
from service.http.vault.listing import listed
from service.http.vault.mounts import Mount

PATHS = ("data", "metadata", "subkeys", "delete", "undelete", "destroy", "config")
_INVALID = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
    "If using the OpenBao CLI, use 'bao kv get' for this operation."
)
_DEFAULTS = {"cas_required": False, "delete_version_after": "0s", "max_versions": 0}


async def answer(ask: Ask, mount: Mount, rest: str) -> Answer:
    """What is asked behind the mount. Raises KeywrightError."""
    kind, _, behind = rest.partition("/")
    if kind not in PATHS:
        return Answer(status=404, warnings=(_INVALID,))
    if kind == "config":
        if ask.operation is not Operation.READ:
            raise Refused(400, "a mount has no configuration here that could be changed: every version is kept")
        await ask.caller()
        return told(_DEFAULTS)
    place = mount.place(behind, ask.namespace)
    if not place.name and ask.operation is not Operation.LIST:
        raise Absent("a secret has a name")
    match kind, ask.operation:
        case "data", Operation.READ:
            return await kv2_read.read(ask, place)
        case "data", Operation.WRITE:
            return await kv2_write.write(ask, place)
        case "data", Operation.PATCH:
            return await kv2_write.patch(ask, place)
        case "data", Operation.DELETE:
            return await kv2_versions.delete_current(ask, place)
        case "subkeys", Operation.READ:
            return await kv2_read.subkeys(ask, place)
        case "metadata", Operation.LIST:
            return await listed(ask, place)
        case "metadata", Operation.READ:
            return await kv2_metadata.read(ask, place)
        case "metadata", Operation.WRITE:
            return await kv2_metadata.write(ask, place)
        case "metadata", Operation.PATCH:
            return await kv2_metadata.patch(ask, place)
        case "metadata", Operation.DELETE:
            await kv2_metadata.delete(ask, place)
            return NOTHING
        case (("delete" | "undelete" | "destroy"), Operation.WRITE):
            await kv2_versions.change(ask, place, kind)
            return NOTHING
    raise Unsupported
