"""`auth/token/…-self`: what a token is told of itself, and its end."""

from datetime import UTC, datetime, timedelta
from typing import Any

from service.core.token import Token
from service.http.vault.answer import NOTHING, Answer, moment, told
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported, unsupported_path
from service.http.vault.policies import policies

_SECOND = timedelta(seconds=1)


async def answer(ask: Ask, rest: str) -> Answer:
    """What is asked behind `auth/token/`. Raises KeywrightError."""
    match rest, ask.operation:
        case "lookup-self", Operation.READ | Operation.WRITE:
            return await _looked_up(ask)
        case "renew-self", Operation.WRITE:
            raise Refused(400, "lease is not renewable")
        case "revoke-self", Operation.WRITE:
            caller = await ask.caller()
            await aside(ask.keeper.tokens.revoke, caller, caller.id)
            return NOTHING
        case (("lookup-self" | "renew-self" | "revoke-self"), _):
            raise Unsupported
    raise unsupported_path()


async def _looked_up(ask: Ask) -> Answer:
    token, grants = await aside(ask.keeper.tokens.own, await ask.caller())
    return told(_shown(token, ask.token, datetime.now(UTC)) | {"policies": policies(grants)})


def _shown(token: Token, presented: str, now: datetime) -> dict[str, Any]:
    lasts, left = timedelta(0), timedelta(0)
    if token.expires_at:
        lasts, left = token.expires_at - token.created_at, max(token.expires_at - now, timedelta(0))
    return {
        "accessor": token.id,
        "creation_time": int(token.created_at.timestamp()),
        "creation_ttl": lasts // _SECOND,
        "display_name": token.name,
        "entity_id": "",
        "expire_time": moment(token.expires_at) or None,
        "explicit_max_ttl": 0,
        "id": presented,
        "issue_time": moment(token.created_at),
        "meta": None,
        "num_uses": 0,
        "orphan": True,
        "path": "auth/token/create",
        "renewable": False,
        "ttl": left // _SECOND,
        "type": "service",
    }
