"""`/machines`, `/machine-proofs`, `/machine-secrets`, `/machine-tokens`: identities that prove themselves, and how."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from service.core.machine import Lives, Metadata, SecretId
from service.core.schedule import duration, duration_text
from service.core.token import Token
from service.http import proofs, shapes
from service.http.native import native
from service.http.request import (
    Asking,
    Cursor,
    Id,
    IdempotencyKey,
    IfMatch,
    Limit,
    TheKeeper,
    once,
    page,
    position,
    revision,
)
from service.http.tokens import shown_grant, wanted
from service.keeper.machine_tokens import KIND, WantedToken
from service.keeper.machines import ShownMachine
from service.keeper.secrets import WantedSecret

router = native("machines")

Name = Annotated[shapes.NamePath, Path(description="May hold `/`.")]


def shown(it: ShownMachine) -> dict[str, Any]:
    """As it is answered."""
    machine = it.machine
    fields = {
        "name": machine.name,
        "enabled": machine.enabled,
        "grants": [shown_grant(grant) for grant in it.grants],
        "proofs": [proofs.shown(held) for held in machine.proofs],
        "allowlist": list(machine.allowlist),
        "token_ttl": duration_text(machine.lives.ttl),
        "token_max_life": duration_text(machine.lives.most),
        "revision": machine.revision,
        "created_at": machine.created_at,
        "created_by": machine.created_by,
    }
    return shapes.Machine.model_validate(fields).model_dump(mode="json")


def _tagged(response: Response, it: ShownMachine) -> dict[str, Any]:
    response.headers["ETag"] = f'"{it.machine.revision}"'
    return shown(it)


def _shown_secret(it: SecretId) -> dict[str, Any]:
    fields = {
        "id": it.id,
        "uses_left": it.uses_left,
        "allowlist": list(it.allowlist),
        "created_at": it.created_at,
        "created_by": it.created_by,
        "expires_at": it.expires_at,
    }
    return shapes.SecretId.model_validate(fields).model_dump(mode="json")


@router.get("/machines", response_model=shapes.page_of(shapes.Machine))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """All machines."""
    found = keeper.machines.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it.machine.name, shown)


@router.post("/machines", status_code=201, response_model=shapes.Machine)
def add(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewMachine, key: IdempotencyKey = None
) -> Any:
    """Make a machine. Nobody can grant more than they own."""

    def act() -> tuple[int, dict[str, Any]]:
        lives = Lives(duration(body.token_ttl, "token_ttl"), duration(body.token_max_life, "token_max_life"))
        made = keeper.machines.add(
            caller,
            body.name,
            tuple(map(wanted, body.grants)),
            tuple(map(proofs.proof, body.proofs)),
            tuple(body.allowlist),
            lives,
        )
        return 201, shown(made)

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.get("/machines/{name:path}", response_model=shapes.Machine)
def get(response: Response, caller: Asking, keeper: TheKeeper, name: Name) -> Any:
    """One machine, with its grants and its proofs."""
    return _tagged(response, keeper.machines.get(caller, name))


@router.patch("/machines/{name:path}", response_model=shapes.Machine)
def change(
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    name: Name,
    body: shapes.ChangedMachine,
    if_match: IfMatch = None,
) -> Any:
    """Change what is given. Disabled, it and its tokens are of no use from now on."""
    changed = keeper.machines.change(
        caller,
        name,
        enabled=body.enabled,
        allowlist=None if body.allowlist is None else tuple(body.allowlist),
        token_ttl=duration(body.token_ttl, "token_ttl") if body.token_ttl else None,
        token_max_life=duration(body.token_max_life, "token_max_life") if body.token_max_life else None,
        if_match=revision(if_match),
    )
    return _tagged(response, changed)


@router.delete("/machines/{name:path}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, name: Name) -> None:
    """It, its proofs, its grants and its tokens are gone."""
    keeper.machines.remove(caller, name)


@router.post("/machine-proofs", status_code=201, response_model=shapes.MachineProof)
def add_proof(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewProof, key: IdempotencyKey = None
) -> Any:
    """One more way to prove itself."""

    def act() -> tuple[int, dict[str, Any]]:
        held = keeper.machines.add_proof(caller, body.machine, proofs.proof(body.proof))
        return 201, shapes.MachineProof.model_validate(proofs.shown(held)).model_dump(mode="json")

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.delete("/machine-proofs/{proof_id}", status_code=204)
def remove_proof(caller: Asking, keeper: TheKeeper, proof_id: Id) -> None:
    """One way less. Tokens that it brought stay until they expire."""
    keeper.machines.remove_proof(caller, proof_id)


@router.get("/machine-secrets", response_model=shapes.page_of(shapes.SecretId))
def secrets(
    caller: Asking,
    keeper: TheKeeper,
    machine: Annotated[shapes.NamePath, Query(description="Whose.")],
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """A machine's secret ids that are not over; never their texts."""
    found = keeper.secrets.listed(caller, machine, position(cursor), limit)
    return page(found, limit, lambda it: it.id, _shown_secret)


@router.post("/machine-secrets", status_code=201, response_model=shapes.MadeSecretId)
def add_secret(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewSecretId, key: IdempotencyKey = None
) -> Any:
    """Make a secret id. Its text is shown only now."""

    def act() -> tuple[int, dict[str, Any]]:
        expires_in = duration(body.expires_in, "expires_in") if body.expires_in else None
        wanted_secret = WantedSecret(body.uses or None, expires_in, tuple(body.allowlist))
        made, role_id, text = keeper.secrets.add(caller, body.machine, wanted_secret, body.role_id or "")
        return 201, _shown_secret(made) | {"role_id": role_id, "secret_id": text.reveal()}

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.delete("/machine-secrets/{secret_id}", status_code=204)
def revoke_secret(caller: Asking, keeper: TheKeeper, secret_id: Id) -> None:
    """It is of no use from now on."""
    keeper.secrets.revoke(caller, secret_id)


def _shown_token(it: tuple[Token, Metadata]) -> dict[str, Any]:
    token, metadata = it
    fields = {
        name: getattr(token, name) for name in ("id", "created_at", "created_by", "expires_at", "renewable_until")
    }
    return shapes.MachineToken.model_validate(fields | {"metadata": metadata}).model_dump(mode="json")


@router.get("/machine-tokens", response_model=shapes.page_of(shapes.MachineToken))
def tokens(
    caller: Asking,
    keeper: TheKeeper,
    machine: Annotated[shapes.NamePath, Query(description="Whose.")],
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """A machine's tokens that are in force, of logins and others; never their texts. `DELETE /tokens/{id}` ends one."""
    found = keeper.machine_tokens.listed(caller, machine, position(cursor), limit)
    return page(found, limit, lambda it: it[0].id, _shown_token)


@router.post("/machine-tokens", status_code=201, response_model=shapes.MadeMachineToken)
def add_token(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewMachineToken, key: IdempotencyKey = None
) -> Any:
    """Make a token that no login gives out. Its text is shown only now."""

    def act() -> tuple[int, dict[str, Any]]:
        overlap = duration(body.overlap, "overlap") if body.overlap else timedelta()
        wanted_token = WantedToken(duration(body.expires_in, "expires_in"), body.replaces or "", overlap)
        token, text = keeper.machine_tokens.add(caller, body.machine, wanted_token)
        return 201, _shown_token((token, {"proof": KIND})) | {"token": text.reveal()}

    return once(request, keeper, caller, key, body, act, fresh=True)
