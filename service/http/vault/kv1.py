"""A mount of KV version 1: the live versions to be read, and nothing to be written."""

from service.core.errors import Absent
from service.http.vault import secret
from service.http.vault.answer import Answer
from service.http.vault.ask import Ask, Operation
from service.http.vault.errors import Unsupported
from service.http.vault.kv2_read import live_or_gone
from service.http.vault.listing import listed
from service.http.vault.mounts import Mount
from service.keeper.values import Fetched

LASTS = 2_764_800
"""Seconds that are told as `lease_duration`, as Vault's own default: how often to look again. It is no lease."""


async def answer(ask: Ask, mount: Mount, rest: str) -> Answer:
    """What is asked behind the mount. Raises KeywrightError."""
    place = mount.place(rest, ask.namespace)
    if ask.operation is Operation.LIST:
        return await listed(ask, place)
    if ask.operation is not Operation.READ:
        raise Unsupported
    found = await live_or_gone(ask, place) if place.name else None
    if not isinstance(found, Fetched):
        raise Absent("no version of it is live")
    return Answer(secret.shown(found), lease_duration=LASTS)
