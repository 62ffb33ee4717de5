"""`sys/…`: mounts, capabilities, and the way to what has a file of its own."""

from typing import Any

from service.http.vault import health, leases, wrapping
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported, unsupported_path
from service.http.vault.policies import capabilities

PUBLIC = ("health", "seal-status", "init", "leader", "wrapping/lookup", "wrapping/unwrap")
"""What needs no caller, or judges by itself who may ask."""
NAMED = ("health", "seal-status", "init", "leader", "mounts", "auth", "internal/ui/mounts")
"""What is read by its name alone."""
_BEHIND = ("mounts/", "internal/ui/mounts")
"""What is read with a mount or a path behind it."""
_MOST = 100
"""Paths in one request."""
_LOGINS = {"approle/": "approle", "jwt/": "jwt", "kubernetes/": "kubernetes", "token/": "token"}


async def answer(ask: Ask, rest: str) -> Answer:
    """What is asked behind `sys/`. Raises KeywrightError."""
    first, _, behind = rest.partition("/")
    match first:
        case "leases":
            return await leases.answer(ask, behind)
        case "wrapping":
            return await wrapping.answer(ask, behind)
    if rest == "capabilities-self":
        if ask.operation is not Operation.WRITE:
            raise Unsupported
        return await _capabilities(ask)
    if rest not in NAMED and not rest.startswith(_BEHIND):
        raise unsupported_path()
    if ask.operation is not Operation.READ:
        raise Unsupported
    match rest:
        case "health":
            return await health.health(ask)
        case "seal-status":
            return await health.seal_status(ask)
        case "init":
            return told({"initialized": True}, bare=True)
        case "leader":
            return told({"ha_enabled": False}, bare=True)
        case "mounts":
            return told(_mounts(ask), flat=True)
        case "auth":
            return told(_logins(), flat=True)
        case "internal/ui/mounts":
            return told({"auth": _logins(), "secret": _mounts(ask)})
    if rest.startswith("mounts/"):
        return _mount(ask, rest.removeprefix("mounts/"))
    return _before(ask, rest.removeprefix("internal/ui/mounts").strip("/"))


def _mounts(ask: Ask) -> dict[str, Any]:
    return {f"{mount.path}/": mount.shown(ask.version) for mount in ask.mounts.all}


def _logins() -> dict[str, Any]:
    config = {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0, "token_type": "default-service"}
    return {
        path: {
            "accessor": f"auth_{kind}",
            "config": config,
            "description": "",
            "local": False,
            "options": {},
            "type": kind,
        }
        for path, kind in _LOGINS.items()
    }


def _mount(ask: Ask, path: str) -> Answer:
    name = path.strip("/").removesuffix("/tune")
    found = next((mount for mount in ask.mounts.all if mount.path == name), None)
    if found is None:
        raise Refused(400, f"No secret engine mount at {name}/")
    shown = found.shown(ask.version)
    if path.endswith("/tune"):
        return told({"description": shown["description"], "options": shown["options"], **shown["config"]}, flat=True)
    return told(shown, flat=True)


def _before(ask: Ask, path: str) -> Answer:
    """What the `bao` command asks before everything else: which mount a path is in, and of which version."""
    found = ask.mounts.find(path)
    if found is None:
        raise Refused(
            403,
            "preflight capability check returned 403, please ensure client's policies grant access to "
            f'path "{path[:200]}/"',
        )
    mount, _ = found
    return told(mount.shown(ask.version) | {"path": f"{mount.path}/"})


async def _capabilities(ask: Ask) -> Answer:
    body = await ask.body()
    paths = body.get("paths") or body.get("path") or []
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise Refused(400, "paths must be supplied")
    if len(paths) > _MOST:
        raise Refused(400, f"paths: {_MOST} at once are the most")
    caller = await ask.caller()
    grants = await aside(ask.keeper.tokens.me, caller)
    found: dict[str, Any] = {path: capabilities(caller, grants, ask.mounts, ask.namespace, path) for path in paths}
    if len(paths) == 1:
        found |= {"capabilities": found[paths[0]]}
    return told(found, flat=True)
