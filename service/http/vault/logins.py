"""Logins of machines: `auth/approle/login`, `auth/jwt/login`, `auth/kubernetes/login`.

A role of Vault's is a machine, by its name; an AppRole is found by its role id. Whatever is wrong with a proof is said
in one sentence for each kind, the one that clients know; the log has the reason.
"""

from typing import Any

from service.core.access import Caller
from service.core.errors import Unauthenticated
from service.core.secret import Secret
from service.http.request import proving
from service.http.vault.answer import Answer
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported
from service.http.vault.tokens import auth
from service.keeper.logins import LoggedIn

WRONG = {
    "approle": (400, "invalid role or secret ID"),
    "jwt": (400, "error validating token: it proves no role"),
    "kubernetes": (403, "permission denied"),
}


def is_login(rest: str) -> bool:
    """Is this path behind `auth/` one of a login, which needs no caller?"""
    kind, _, behind = rest.partition("/")
    return kind in WRONG and behind == "login"


async def answer(ask: Ask, rest: str) -> Answer:
    """A token for who proves to be a machine. Raises Refused, Conflict, Unavailable."""
    if ask.operation is not Operation.WRITE:
        raise Unsupported
    kind = rest.partition("/")[0]
    body = await ask.body()
    try:
        found = await _by_approle(ask, body) if kind == "approle" else await _by_statement(ask, kind, body)
    except Unauthenticated:
        status, message = WRONG[kind]
        raise Refused(status, message, strange=True) from None
    assert found.token is not None  # a login gives one out  # noqa: S101
    caller = Caller(found.token_id, found.machine, "machine", (), ask.address, ask.request_id)
    return Answer(auth=auth(found, found.token.reveal()), caller=caller)


async def _by_approle(ask: Ask, body: dict[str, Any]) -> LoggedIn:
    role_id, secret_id = _text(body, "role_id"), Secret(_text(body, "secret_id"))
    return await aside(ask.keeper.logins.approle, role_id, secret_id, ask.address, ask.request_id)


async def _by_statement(ask: Ask, kind: str, body: dict[str, Any]) -> LoggedIn:
    logins = ask.keeper.logins
    prove = logins.jwt if kind == "jwt" else logins.kubernetes
    role, jwt = _text(body, "role"), Secret(_text(body, "jwt"))
    return await proving(ask.request, lambda: prove(role, jwt, ask.address, ask.request_id))


def _text(body: dict[str, Any], name: str) -> str:
    said = body.get(name)
    if not isinstance(said, str) or not said:
        raise Refused(400, f"missing {name}")
    return said
