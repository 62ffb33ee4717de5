"""`/login/…`: from a proof to a token; `/me/token`, `/me/renewals`: what its holder may do with it."""

from typing import Any

from fastapi import Request

from service.core.schedule import duration
from service.core.secret import Secret
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, TheKeeper, proving
from service.http.route import Open, address_of
from service.http.tokens import shown_grant
from service.keeper.logins import LoggedIn

entrance = native("login", Open)
router = native("login")


def _renewed(it: LoggedIn) -> dict[str, Any]:
    return {
        "token_id": it.token_id,
        "machine": it.machine,
        "expires_at": it.expires_at,
        "renewable_until": it.renewable_until,
    }


def _given(it: LoggedIn) -> dict[str, Any]:
    assert it.token is not None  # a login gives one out  # noqa: S101
    return _renewed(it) | {"token": it.token.reveal()}


@entrance.post("/login/approle", response_model=shapes.LoggedIn)
def by_approle(request: Request, keeper: TheKeeper, body: shapes.LoginByAppRole) -> Any:
    """By a role id and a secret id, which is used by it. Whatever is wrong, the answer is the same."""
    where = address_of(request), request.state.request_id
    return _given(keeper.logins.approle(body.role_id, Secret(body.secret_id), *where))


@entrance.post("/login/jwt", response_model=shapes.LoggedIn)
async def by_jwt(request: Request, keeper: TheKeeper, body: shapes.LoginByJwt) -> Any:
    """By a JWT that an issuer signed. 503: the issuer's keys cannot be got now."""
    where = address_of(request), request.state.request_id
    return _given(await proving(request, lambda: keeper.logins.jwt(body.machine, Secret(body.jwt), *where)))


@entrance.post("/login/kubernetes", response_model=shapes.LoggedIn)
async def by_kubernetes(request: Request, keeper: TheKeeper, body: shapes.LoginByJwt) -> Any:
    """By the token of a service account. 503: the cluster cannot be asked now."""
    where = address_of(request), request.state.request_id
    return _given(await proving(request, lambda: keeper.logins.kubernetes(body.machine, Secret(body.jwt), *where)))


@router.post("/me/renewals", response_model=shapes.Renewed)
def renew(caller: Asking, keeper: TheKeeper, body: shapes.Renewal) -> Any:
    """The caller's own token lasts longer, but not behind its `renewable_until`."""
    increment = duration(body.increment, "increment") if body.increment else None
    return _renewed(keeper.logins.renew(caller, increment))


@router.get("/me/token", response_model=shapes.OwnToken)
def told(caller: Asking, keeper: TheKeeper) -> Any:
    """The caller's own token."""
    it = keeper.logins.told(caller)
    return {
        "token_id": it.token.id,
        "name": it.token.name,
        "machine": it.machine.name if it.machine else None,
        "grants": [shown_grant(grant) for grant in it.grants],
        "created_at": it.token.created_at,
        "expires_at": it.token.expires_at,
        "renewable_until": it.token.renewable_until,
        "metadata": it.metadata,
    }


@router.delete("/me/token", status_code=204)
def end(caller: Asking, keeper: TheKeeper) -> None:
    """The caller's own token is of no use from now on."""
    keeper.logins.end(caller)
