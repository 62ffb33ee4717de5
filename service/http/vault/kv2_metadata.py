"""KV version 2: what is told and noted of a secret as a whole."""

from typing import Any

from service.http.vault import secret
from service.http.vault.answer import NOTHING, Answer, told
from service.http.vault.ask import Ask, aside
from service.http.vault.errors import Refused
from service.http.vault.kv2_write import must_merge
from service.http.vault.mounts import Place

_KEPT_TO = {
    "max_versions": ((0, "0"), "every version is kept until somebody destroys it"),
    "cas_required": ((False, "false"), "check-and-set is asked for by each write: options.cas"),
    "delete_version_after": ((0, "", "0", "0s"), "no version is deleted by itself"),
}
"""What a variable is like and cannot be told otherwise."""


async def read(ask: Ask, place: Place) -> Answer:
    """The versions, without a value. Raises Absent."""
    definition = await aside(ask.keeper.variables.get, await ask.caller(), place.environment, place.name)
    return told(secret.history(definition))


async def write(ask: Ask, place: Place) -> Answer:
    """Note something of it in place of what was noted; there need not be a version yet. Raises Forbidden, Refused."""
    notes = _notes(await ask.body(), merge=False)
    await aside(ask.keeper.variables.annotate, await ask.caller(), place.environment, place.name, notes, merge=False)
    return NOTHING


async def patch(ask: Ask, place: Place) -> Answer:
    """Change some of what is noted of it. Raises Absent, Forbidden, Refused."""
    must_merge(ask)
    notes = _notes(await ask.body(), merge=True)
    await aside(ask.keeper.variables.annotate, await ask.caller(), place.environment, place.name, notes, merge=True)
    return NOTHING


async def delete(ask: Ask, place: Place) -> Answer:
    """The secret with all its versions, for good. Raises Absent, Forbidden."""
    caller = await ask.caller()
    await aside(ask.keeper.variables.delete, caller, place.environment, place.name, if_match=None)
    return NOTHING


def _notes(body: dict[str, Any], *, merge: bool) -> dict[str, str | None] | None:
    for field, (held, why) in _KEPT_TO.items():
        if body.get(field) is not None and body[field] not in held:
            raise Refused(400, f"{field} cannot be set here: {why}")
    said = body.get("custom_metadata")
    if said is None:
        return None
    if not isinstance(said, dict) or any(isinstance(text, dict | list) for text in said.values()):
        raise Refused(400, "custom_metadata must be an object of texts")
    if not merge and None in said.values():
        raise Refused(400, "custom_metadata must be an object of texts")
    return {key: None if text is None else _text(text) for key, text in said.items()}


def _text(said: object) -> str:
    return str(said).lower() if isinstance(said, bool) else str(said)
