"""Response wrapping: `X-Vault-Wrap-TTL` on any request, and `sys/wrapping/…`."""

import json
from datetime import timedelta
from typing import Any

from service.core.access import Caller, Stranger
from service.core.errors import Conflict, Invalid
from service.core.schedule import duration
from service.core.secret import Secret
from service.http.vault.answer import Answer, enveloped, moment, text_of, told
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported, unsupported_path
from service.http.vault.mounts import Engine
from service.keeper.wrappings import Source, checked

KINDS = ("wrap", "unwrap", "lookup")
HEADER = "x-vault-wrap-ttl"
UNKNOWN = "wrapping token is not valid or does not exist"
_SECOND = timedelta(seconds=1)


async def answer(ask: Ask, rest: str) -> Answer:
    """What is asked behind `sys/wrapping/`. Raises KeywrightError."""
    if rest not in KINDS:
        raise unsupported_path()
    if ask.operation is not Operation.WRITE and (rest, ask.operation) != ("lookup", Operation.READ):
        raise Unsupported
    if rest == "wrap":
        await ask.caller()
        if lasts(ask) is None:
            raise Refused(400, "endpoint requires response wrapping to be used")
        return told(await ask.body())
    if lasts(ask) is not None:  # it would be gone if that failed
        raise Refused(400, f"sys/wrapping/{rest} is answered without X-Vault-Wrap-TTL only")
    named = (await ask.body()).get("token")
    token = named if isinstance(named, str) and named else ask.token
    try:
        if rest == "lookup":
            return await _looked_up(ask, token)
        # Whoever names the token beside its own must be somebody; the token alone stands for itself.
        caller = await ask.caller() if token != ask.token else None
        return await _unwrapped(ask, token, caller)
    except Stranger as stranger:
        if token != ask.token and stranger.message != UNKNOWN:
            raise
        raise Refused(400, UNKNOWN, strange=True) from None


async def _looked_up(ask: Ask, token: str) -> Answer:
    found = await aside(ask.keeper.wrappings.look, token, ask.address, ask.request_id)
    return told(
        {
            "creation_path": found.path,
            "creation_time": moment(found.created_at),
            "creation_ttl": found.lasts // _SECOND,
        }
    )


async def _unwrapped(ask: Ask, token: str, caller: Caller | None) -> Answer:
    opened = await aside(ask.keeper.wrappings.unwrap, token, ask.address, ask.request_id, caller)
    kept: dict[str, Any] = json.loads(opened.reveal())
    return Answer(kept["data"], kept["auth"], kept["status"], kept["lease_duration"], tuple(kept["warnings"]))


def lasts(ask: Ask) -> timedelta | None:
    """For how long the answer is to be wrapped; None: it is not. Raises Invalid."""
    said = ask.request.headers.get(HEADER, "")
    if said in ("", "0", "0s"):
        return None
    try:
        return checked(duration(said, "X-Vault-Wrap-TTL"))
    except Invalid as error:
        raise Refused(400, f"error parsing X-Vault-Wrap-TTL header: {error.message}") from None


async def wrapped(ask: Ask, given: Answer, lasts_: timedelta) -> str:
    """What is sent instead of an answer: where it can be had once. Raises Conflict, for a login only."""
    if given.caller:
        await _room_for_login(ask, given.caller)
    caller = given.caller or await ask.caller()
    kept = {
        "data": given.data,
        "auth": given.auth,
        "status": given.status,
        "lease_duration": given.lease_duration,
        "warnings": given.warnings,
    }
    made, token = await aside(ask.keeper.wrappings.wrap, caller, Secret(text_of(kept)), ask.path, lasts_, _source(ask))
    info = {
        "token": token.reveal(),
        "accessor": made.id,
        "ttl": lasts_ // _SECOND,
        "creation_time": moment(made.created_at),
        "creation_path": made.path,
    }
    if given.caller:
        info["wrapped_accessor"] = given.caller.id
    return enveloped("", "null", wrap_info=text_of(info))


def _source(ask: Ask) -> Source | None:
    """What an answer came from; None for what is in no environment."""
    found = ask.mounts.find(ask.path)
    if found is None:
        return None
    mount, rest = found
    place = mount.place(rest if mount.engine is Engine.KV1 else rest.partition("/")[2], ask.namespace)
    if not place.environment:
        return None
    name = "" if ask.operation is Operation.LIST else place.name
    return Source(place.environment, name, connection=mount.engine is Engine.DATABASE)


async def _room_for_login(ask: Ask, caller: Caller) -> None:
    """Which machine logs in is known behind the login only: without room, nobody is left with its token."""
    try:
        await aside(ask.keeper.wrappings.room, caller, login=True)
    except Conflict:
        await aside(ask.keeper.logins.end, caller)
        raise
