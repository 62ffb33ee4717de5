"""`auth/token/…-self`: what a token is told of itself, its renewal, and its end.

entity_id    the machine's id; empty for a token that stands for itself
metadata     of a login, a renewal and lookup-self alike: what Vault's own logins tell, under their names
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from service.core.errors import Conflict, Invalid
from service.core.machine import Metadata
from service.core.proof import AppRole, Kubernetes
from service.core.schedule import duration
from service.http.vault.answer import NOTHING, Answer, moment, text_of, told
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported, unsupported_path
from service.http.vault.policies import policies
from service.keeper.logins import LoggedIn, OwnToken

KINDS = ("lookup-self", "renew-self", "revoke-self")
_SECOND = timedelta(seconds=1)


async def answer(ask: Ask, rest: str) -> Answer:
    """What is asked behind `auth/token/`. Raises KeywrightError."""
    match rest, ask.operation:
        case "lookup-self", Operation.READ | Operation.WRITE:
            own = await aside(ask.keeper.logins.told, await ask.caller())
            return told(_shown(own, ask.token, datetime.now(UTC)))
        case "renew-self", Operation.WRITE:
            return await _renewed(ask)
        case "revoke-self", Operation.WRITE:
            await aside(ask.keeper.logins.end, await ask.caller())
            return NOTHING
    if rest in KINDS:
        raise Unsupported
    raise unsupported_path()


def auth(it: LoggedIn, text: str) -> str:
    """A token that a login gave out or that was renewed, as clients take it over."""
    named = policies(it.grants)
    return text_of(
        {
            "client_token": text,
            "accessor": it.token_id,
            "policies": named,
            "token_policies": named,
            "metadata": _proven(it.machine, it.metadata),
            "lease_duration": it.lasts // _SECOND,
            "renewable": it.expires_at < it.renewable_until,
            "entity_id": it.machine_id,
            "token_type": "service",
            "orphan": True,
            "mfa_requirement": None,
            "num_uses": 0,
        }
    )


async def _renewed(ask: Ask) -> Answer:
    increment = _increment((await ask.body()).get("increment"))
    try:
        renewed = await aside(ask.keeper.logins.renew, await ask.caller(), increment)
    except Conflict:
        raise Refused(400, "lease is not renewable") from None
    return Answer(auth=auth(renewed, ask.token))


def _proven(machine: str, metadata: Metadata) -> dict[str, str]:
    """What a login proved; the event log and the native door tell more of it."""
    if metadata.get("proof") == AppRole.kind:
        return {"role_name": machine}
    if metadata.get("proof") != Kubernetes.kind:
        return {"role": machine}
    return {
        "role": machine,
        "service_account_name": metadata["service_account"],
        "service_account_namespace": metadata["namespace"],
        "service_account_secret_name": "",  # no login proves in which Secret a token is kept, if in any
        "service_account_uid": metadata["uid"],
    }


def _increment(said: object) -> timedelta | None:
    """A number of seconds, or a text such as `1h`; nothing, or 0, is left to the machine. Raises Refused."""
    if said in (None, "", 0, "0", "0s"):
        return None
    try:
        return duration(said, "increment")
    except Invalid as error:
        raise Refused(400, f"Field validation failed: {error.message}") from None


def _shown(own: OwnToken, presented: str, now: datetime) -> dict[str, Any]:
    token, machine = own.token, own.machine
    lasts, left = timedelta(), timedelta()
    if token.expires_at:
        lasts = machine.lives.ttl if machine else token.expires_at - token.created_at
        left = max(token.expires_at - now, timedelta())
    proof = own.metadata.get("proof")
    return {
        "accessor": token.id,
        "creation_time": int(token.created_at.timestamp()),
        "creation_ttl": lasts // _SECOND,
        "display_name": token.name,
        "entity_id": machine.id if machine else "",
        "expire_time": moment(token.expires_at) or None,
        "explicit_max_ttl": 0,
        "id": presented,
        "issue_time": moment(token.created_at),
        "meta": _proven(machine.name, own.metadata) if machine else None,
        "num_uses": own.uses,
        "orphan": True,
        "path": f"auth/{proof}/login" if proof else "auth/token/create",
        "policies": policies(own.grants),
        "renewable": bool(token.expires_at and token.renewable_until and token.expires_at < token.renewable_until),
        "ttl": left // _SECOND,
        "type": "service",
    }
