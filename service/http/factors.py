"""`/factors`, `/recovery-codes`: the second factors of who asks, and of those it looks after.

No `Idempotency-Key` here: what is told once would be kept to be told again.
"""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from service.core.factor import Factor
from service.http import shapes
from service.http.cookies import proof_of
from service.http.native import native
from service.http.request import Asking, Id, TheKeeper
from service.http.sessions import cookies_of, people_of
from service.people.enrolment import Added, Begun, FirstAnswer, FirstCode
from service.people.factors import SecondFactors
from service.people.totp import drawing, picture

router = native("factors")


def flows(request: Request) -> SecondFactors:
    """Of the running service."""
    return people_of(request).factors


def shown(it: Factor) -> dict[str, Any]:
    """As it is answered."""
    return {
        "id": it.id,
        "kind": it.kind.value,
        "name": it.name,
        "created_at": it.created_at,
        "last_used_at": it.last_used_at,
    }


def begun(it: Begun) -> dict[str, Any]:
    """As it is answered, for the only time."""
    return {
        "id": it.id,
        "secret": it.secret.reveal(),
        "uri": it.uri.reveal(),
        "svg": picture(it.uri),
        "text": drawing(it.uri),
    }


def anew(request: Request) -> bool:
    """Does the session come in a cookie? Then it goes on with another one."""
    return cookies_of(request).session(request) is not None


def _added(request: Request, it: Added) -> Response:
    text = it.fresh.text.reveal() if it.fresh and it.fresh.text else ""
    fields = shown(it.factor) | {"csrf": proof_of(text) if text else None}
    fields["recovery_codes"] = [code.reveal() for code in it.codes] or None
    answer = JSONResponse(shapes.AddedFactor.model_validate(fields).model_dump(mode="json"), 201)
    if text:
        cookies_of(request).keep(answer, text)
    return answer


@router.get("/factors", response_model=shapes.FactorPage)
def listed(
    caller: Asking,
    keeper: TheKeeper,
    user: Annotated[
        str, Query(max_length=64, pattern=r"^[0-9a-f]*$", description="Whose, by id; one's own if it is left out.")
    ] = "",
) -> Any:
    """Second factors; never their secrets."""
    held = keeper.factors.listed(caller, user)
    return {
        "items": [shown(each) for each in held.factors],
        "recovery_codes_left": held.codes_left,
        "required": held.required,
    }


@router.post("/factors/totp", status_code=201, response_model=shapes.BegunTotp)
def begin_totp(request: Request, caller: Asking, body: shapes.NewTotp) -> Any:
    """Begin to add an authenticator app. It counts once a first code of it was shown, within ten minutes."""
    return begun(flows(request).enrolment.begin_totp(caller, body.name))


@router.post("/factors/totp/{factor_id}/confirmation", status_code=201, response_model=shapes.AddedFactor)
def confirm_totp(request: Request, caller: Asking, factor_id: Id, body: shapes.Confirmation) -> Any:
    """Show its first code: it counts from now on."""
    first = FirstCode(factor_id, body.code.replace(" ", ""))
    return _added(request, flows(request).enrolment.finish(caller, first, anew=anew(request)))


@router.post("/factors/passkeys/challenge", response_model=shapes.PasskeyOptions)
def begin_passkey(request: Request, caller: Asking) -> Any:
    """Begin to add a passkey: what the browser is to ask an authenticator for."""
    return {"public_key": flows(request).enrolment.begin_passkey(caller)}


@router.post("/factors/passkeys", status_code=201, response_model=shapes.AddedFactor)
def add_passkey(request: Request, caller: Asking, body: shapes.NewPasskey) -> Any:
    """What the authenticator answered: the passkey counts from now on."""
    first = FirstAnswer(body.name, body.passkey)
    return _added(request, flows(request).enrolment.finish(caller, first, anew=anew(request)))


@router.delete("/factors/{factor_id:hex}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, factor_id: Id) -> None:
    """Take one away; one's own, or that of a user who holds no more than the caller owns."""
    keeper.factors.remove(caller, factor_id)


@router.post("/recovery-codes", status_code=201, response_model=shapes.RecoveryCodes)
def renew_codes(caller: Asking, keeper: TheKeeper) -> Any:
    """New recovery codes. The former ones are of no use any more."""
    return {"recovery_codes": [code.reveal() for code in keeper.factors.renew_codes(caller)]}
