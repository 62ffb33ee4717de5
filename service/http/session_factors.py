"""`/session/factor`, `/session/passkey`: second factors shown, to end a sign-in or to step up in a session.

With `pending` in the body nobody has to be signed in: that text is what the first half of a sign-in was answered with.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from service.core.access import Caller
from service.http import shapes
from service.http.factors import begun, codes, flows
from service.http.request import bearer
from service.http.route import Open, Route, address_of
from service.people.arrival import Place, SignedIn
from service.people.enrolment import FirstAnswer, FirstCode
from service.people.showing import Code, Passkey, RecoveryCode, Shown


class Either(Route):
    """A route for who is signed in, and for who is about to be."""

    async def meet(self, request: Request) -> None:
        """A body with `pending` needs no caller. Raises Unauthenticated, Forbidden."""
        request.state.caller = None
        if not _pending(await request.body()):
            await super().meet(request)


entrance = APIRouter(tags=["factors"], route_class=Open)
router = APIRouter(tags=["factors"], route_class=Either)


def _pending(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and isinstance(said.get("pending"), str)


def place_of(request: Request) -> Place:
    """Where somebody comes from who is not signed in yet."""
    return Place(address_of(request), request.state.request_id, request.headers.get("user-agent", "")[:500])


def _maybe(request: Request, _: Annotated[object, Depends(bearer)]) -> Caller | None:
    caller: Caller | None = request.state.caller
    return caller


MaybeAsking = Annotated[Caller | None, Depends(_maybe)]


def _opened(it: SignedIn) -> dict[str, Any]:
    session = it.token.session
    return {
        "factor_at": session.factor_at if session else it.token.created_at,
        "token": it.text.reveal(),
        "expires_at": it.token.expires_at,
        "recovery_codes": codes(list(it.codes)),
    }


@router.post("/session/factor", response_model=shapes.ShownFactor)
def show(request: Request, caller: MaybeAsking, body: shapes.ShowFactor) -> Any:
    """Show a second factor: a sign-in ends with a session, or the session that asks steps up."""
    if body.pending is not None:
        return _opened(flows(request).second_factor.ends(body.pending, _first(body) or _shown(body), place_of(request)))
    assert caller is not None  # `Either` made it out, as there is no `pending`  # noqa: S101
    at = flows(request).step_up.shows(caller, _shown(body))
    return {"factor_at": at, "token": None, "expires_at": None}


@router.post("/session/factor/challenge", response_model=shapes.PasskeyOptions)
def challenge(request: Request, caller: MaybeAsking, body: shapes.AskedChallenge) -> Any:
    """What the browser is to ask an authenticator for, to end a sign-in or to step up."""
    if body.pending is not None:
        return {"public_key": flows(request).second_factor.challenge(body.pending, place_of(request))}
    assert caller is not None  # as above  # noqa: S101
    return {"public_key": flows(request).step_up.challenge(caller)}


@entrance.post("/session/factor/totp", status_code=201, response_model=shapes.BegunTotp)
def enrol_totp(request: Request, body: shapes.EnrolTotp) -> Any:
    """For a sign-in of who needs a second factor and has none: begin with an authenticator app."""
    return begun(flows(request).second_factor.enrol_totp(body.pending, body.name, place_of(request)))


@entrance.post("/session/factor/passkey", response_model=shapes.PasskeyOptions)
def enrol_passkey(request: Request, body: shapes.WaitingSignIn) -> Any:
    """The same with a passkey: what the browser is to ask an authenticator for."""
    return {"public_key": flows(request).second_factor.enrol_passkey(body.pending, place_of(request))}


@entrance.post("/session/passkey/challenge", response_model=shapes.PasskeyOptions)
def alone(request: Request) -> Any:
    """Begin to sign in with a passkey and nothing else: what the browser is to ask an authenticator for."""
    return {"public_key": flows(request).passkey_sign_in.begins()}


@entrance.post("/session/passkey", response_model=shapes.ShownFactor)
def alone_ends(request: Request, body: shapes.PasskeyOnly) -> Any:
    """What the authenticator answered: the session of whose passkey it is."""
    return _opened(flows(request).passkey_sign_in.ends(body.passkey, place_of(request)))


def _shown(body: shapes.ShowFactor) -> Shown:
    if body.code is not None:
        return Code(body.code.replace(" ", ""))
    if body.recovery_code is not None:
        return RecoveryCode(body.recovery_code)
    return Passkey(body.passkey or {})


def _first(body: shapes.ShowFactor) -> FirstCode | FirstAnswer | None:
    if body.first_code is not None:
        return FirstCode(body.first_code.id, body.first_code.code.replace(" ", ""))
    if body.first_passkey is not None:
        return FirstAnswer(body.first_passkey.name, body.first_passkey.passkey)
    return None
