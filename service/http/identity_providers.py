"""`/identity-providers`: how people sign in from elsewhere."""

from typing import Annotated, Any, assert_never

from fastapi import Path, Request, Response

from service.core.errors import Unavailable
from service.core.identity import Definition, Entry, IdentityProvider
from service.core.openid import OpenId
from service.core.saml import Place, Saml
from service.core.secret import Secret
from service.http import shapes
from service.http.native import native
from service.http.request import (
    Asking,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    TheKeeper,
    once,
    page,
    position,
    proving,
    revision,
)

router = native("identity providers")

Provider = Annotated[shapes.Word, Path()]


def definition_of(body: shapes.PutOpenId | shapes.PutSaml) -> Definition:
    """A definition as it was asked for. Raises Invalid."""
    match body:
        case shapes.PutOpenId():
            return OpenId(
                body.issuer,
                body.client_id,
                _entry(body.entry),
                tuple(body.scopes),
                body.email_claim,
                body.groups_claim or "",
                tuple(body.hosted_domains),
                body.vouches,
                body.access_audience or "",
                tuple(body.algorithms),
                body.ca or "",
                body.key_id or "",
            )
        case shapes.PutSaml():
            return Saml(
                body.entity_id,
                body.sso_url,
                tuple(body.certificates),
                _entry(body.entry),
                body.slo_url or "",
                body.email_attribute or "",
                body.name_attribute or "",
                body.groups_attribute or "",
                body.subject_attribute or "",
                body.vouches,
                body.unsolicited,
            )
        case _:
            assert_never(body)


def _entry(body: shapes.PutEntry) -> Entry:
    return Entry(
        tuple(body.domains),
        body.creates,
        body.links,
        dict(body.groups),
        tuple(body.factors),
        dict(body.attributes),
    )


def shown(request: Request, it: IdentityProvider) -> dict[str, Any]:
    """As it is answered, without its secret."""
    here: str = request.app.state.url
    kept = {name: value or None if name in _NONE else value for name, value in it.definition.kept().items()}
    kept.pop("certificate", None)  # ours: it is in our metadata
    place = Place(f"{here}/sign-in/saml/{it.name}") if here and it.definition.kind == Saml.kind else None
    callback = place.acs if place else f"{here}/sign-in/{it.definition.kind}/{it.name}/callback" if here else None
    fields = {
        "name": it.name,
        "enabled": it.enabled,
        "definition": {"kind": it.definition.kind} | kept,
        "has_secret": it.has_secret,
        "callback": callback,
        "metadata": place.entity_id if place else None,
        "revision": it.revision,
        "created_at": it.created_at,
        "created_by": it.created_by,
        "updated_at": it.updated_at,
    }
    return shapes.IdentityProvider.model_validate(fields).model_dump(mode="json")


_NONE = (
    *("groups_claim", "access_audience", "ca", "key_id"),
    *("slo_url", "email_attribute", "name_attribute", "groups_attribute", "subject_attribute"),
)
"""Empty here, null on the wire."""


@router.get("/identity-providers", response_model=shapes.page_of(shapes.IdentityProvider))
def listed(request: Request, caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """All of them."""
    found = keeper.identity_providers.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it.name, lambda it: shown(request, it))


@router.post("/identity-providers", status_code=201, response_model=shapes.IdentityProvider)
def add(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewIdentityProvider, key: IdempotencyKey = None
) -> Any:
    """Let people sign in by one. Groups and links are for owners of everything: by them it can let in anybody."""

    def act() -> tuple[int, dict[str, Any]]:
        definition = definition_of(body.definition)
        made = keeper.identity_providers.add(caller, body.name, definition, Secret(body.secret), enabled=body.enabled)
        return 201, shown(request, made)

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.post("/saml-metadata", response_model=shapes.SamlMetadata)
def metadata(caller: Asking, keeper: TheKeeper, body: shapes.PutSamlMetadata) -> Any:
    """What a SAML provider's metadata say, to make a definition of. Nothing is kept."""
    told = keeper.identity_providers.told(caller, body.xml)
    return told | {"slo_url": told["slo_url"] or None}


@router.get("/identity-providers/{provider}", response_model=shapes.IdentityProvider)
def get(request: Request, response: Response, caller: Asking, keeper: TheKeeper, provider: Provider) -> Any:
    """One."""
    it = keeper.identity_providers.get(caller, provider)
    response.headers["ETag"] = f'"{it.revision}"'
    return shown(request, it)


@router.patch("/identity-providers/{provider}", response_model=shapes.IdentityProvider)
def change(
    request: Request,
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    provider: Provider,
    body: shapes.ChangedIdentityProvider,
    if_match: IfMatch = None,
) -> Any:
    """What is given becomes so. Switched off, or defined anew, the sessions that it opened end."""
    it = keeper.identity_providers.change(
        caller,
        provider,
        definition=None if body.definition is None else definition_of(body.definition),
        secret=None if body.secret is None else Secret(body.secret),
        enabled=body.enabled,
        if_match=revision(if_match),
    )
    response.headers["ETag"] = f'"{it.revision}"'
    return shown(request, it)


@router.delete("/identity-providers/{provider}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, provider: Provider, if_match: IfMatch = None) -> None:
    """Nobody comes in by it any more; the sessions that it opened end, its users stay."""
    keeper.identity_providers.remove(caller, provider, if_match=revision(if_match))


@router.post("/identity-providers/{provider}/check", response_model=shapes.CheckedIdentityProvider)
async def check(request: Request, caller: Asking, keeper: TheKeeper, provider: Provider) -> Any:
    """Ask it now, and what is wrong with it."""

    def act() -> tuple[str, ...]:
        try:
            return keeper.identity_providers.examined(caller, provider)
        except Unavailable as silent:
            return (silent.message,)

    problems = await proving(request, act)
    return {"works": not problems, "problems": list(problems)}
