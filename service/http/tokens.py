"""`/me`, `/tokens`, `/grants`: identities of machines and what they may do."""

from typing import Any

from fastapi import Request

from service.core.schedule import duration
from service.core.token import Token
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, Id, IdempotencyKey, Limit, TheKeeper, once, page, position
from service.keeper.granting import ShownGrant, WantedGrant

router = native("tokens")


def shown_grant(it: ShownGrant) -> dict[str, Any]:
    """As it is answered."""
    fields = {
        "id": it.id or None,
        "level": it.grant.level.word,
        "kind": it.grant.kind.value,
        "environment": it.environment,
        "path": it.grant.path,
        "rule": it.grant.rule,
    }
    return fields | {kind.value: it.holder.name if it.holder.kind is kind else None for kind in type(it.holder.kind)}


def shown(token: Token, grants: list[ShownGrant]) -> dict[str, Any]:
    """As it is answered, without its text."""
    fields = {
        "id": token.id,
        "name": token.name,
        "grants": [shown_grant(g) for g in grants],
        "allowlist": list(token.allowlist),
        "certificates": list(token.certificates),
        "bearer": token.bearer,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
    }
    return shapes.Token.model_validate(fields).model_dump(mode="json")


def wanted(body: shapes.PutGrant) -> WantedGrant:
    return WantedGrant(body.level, body.kind, body.environment, body.path or "", body.rule)


@router.get("/me", response_model=shapes.Me)
def me(caller: Asking, keeper: TheKeeper) -> Any:
    """The caller: identity, groups, grants, and where it is taken after signing in."""
    grants = [shown_grant(g) for g in keeper.tokens.me(caller)]
    user, landing = caller.user, keeper.users.landing(caller)
    return {
        "id": caller.actor,
        "name": caller.name,
        "kind": caller.kind,
        "grants": grants,
        "groups": list(user.groups) if user else [],
        "attributes": dict(user.attributes) if user else {},
        "current_user": vars(user) if user else None,
        "landing": vars(landing) if landing else None,
    }


def shown_own(token: Token) -> dict[str, Any]:
    """A person's token as it is answered, without its text."""
    same = ("id", "allowlist", "created_at", "expires_at")
    fields = {name: getattr(token, name) for name in same} | {"name": token.label}
    return shapes.PersonalToken.model_validate(fields | {"allowlist": list(token.allowlist)}).model_dump(mode="json")


@router.get("/me/tokens", response_model=shapes.page_of(shapes.PersonalToken))
def own_tokens(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """A person's own tokens, for scripts; never their texts. `DELETE /tokens/{id}` ends one."""
    found = keeper.personal_tokens.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it.label, shown_own)


@router.post("/me/tokens", status_code=201, response_model=shapes.MadePersonalToken)
def add_own(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewPersonalToken, key: IdempotencyKey = None
) -> Any:
    """Make a token of one's own: it may do what its person may, and shows no second factor. Its text is shown once."""

    def act() -> tuple[int, dict[str, Any]]:
        expires_in = duration(body.expires_in, "expires_in") if body.expires_in else None
        token, text = keeper.personal_tokens.add(caller, body.name, expires_in, tuple(body.allowlist))
        return 201, shown_own(token) | {"token": text.reveal()}

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.get("/tokens", response_model=shapes.page_of(shapes.Token))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """All tokens; never their texts."""
    found = keeper.tokens.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it[0].name, lambda it: shown(*it))


@router.post("/tokens", status_code=201, response_model=shapes.MadeToken)
def add(request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewToken, key: IdempotencyKey = None) -> Any:
    """Make a token. Nobody can grant more than they own. Its text is shown only now."""

    def act() -> tuple[int, dict[str, Any]]:
        expires_in = duration(body.expires_in, "expires_in") if body.expires_in else None
        grants = tuple(map(wanted, body.grants))
        token, held, text = keeper.tokens.add(
            caller, body.name, grants, expires_in, tuple(body.allowlist), body.certificates, bearer=body.bearer
        )
        return 201, shown(token, held) | {"token": text.reveal() if token.bearer else None}

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.patch("/tokens/{token_id}", response_model=shapes.Token)
def bind(caller: Asking, keeper: TheKeeper, token_id: Id, body: shapes.BoundToken) -> Any:
    """Bind it to other certificates: both the present and the next one, while a certificate is replaced."""
    return shown(*keeper.tokens.bind(caller, token_id, body.certificates))


@router.delete("/tokens/{token_id}", status_code=204)
def revoke(caller: Asking, keeper: TheKeeper, token_id: Id) -> None:
    """The token is of no use from now on. Any token may revoke itself."""
    keeper.tokens.revoke(caller, token_id)


@router.get("/grants", response_model=shapes.page_of(shapes.Grant))
def grants(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """The grants on what the caller owns."""
    found = keeper.granting.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it.id, shown_grant)


@router.post("/grants", status_code=201, response_model=shapes.Grant)
def grant(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewGrant, key: IdempotencyKey = None
) -> Any:
    """One more grant for a token, a machine, a user, or a group."""

    def act() -> tuple[int, dict[str, Any]]:
        granting, asked = keeper.granting, wanted(body)
        if body.machine is not None:
            return 201, shown_grant(granting.to_machine(caller, body.machine, asked))
        if body.user is not None:
            return 201, shown_grant(granting.to_user(caller, body.user, asked))
        if body.group is not None:
            return 201, shown_grant(granting.to_group(caller, body.group, asked))
        return 201, shown_grant(granting.to_token(caller, body.token or "", asked))

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.delete("/grants/{grant_id}", status_code=204)
def ungrant(caller: Asking, keeper: TheKeeper, grant_id: Id) -> None:
    """Take a grant away."""
    keeper.granting.remove(caller, grant_id)
