"""`/session/factor`, `/session/passkey`: second factors shown, to end a sign-in or to step up in a session.

With `pending` in the body nobody has to be signed in: that text is what the first half of a sign-in was answered with.
"""

import json
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response

from service.core.access import Caller
from service.http import shapes
from service.http.cookies import proof_of
from service.http.factors import anew, begun, flows
from service.http.native import native
from service.http.request import bearer
from service.http.route import Open, Route
from service.http.sessions import answered, cookies_of, shown, visitor_of
from service.people.enrolment import FirstAnswer, FirstCode
from service.people.showing import Code, Passkey, RecoveryCode, Shown
from service.people.step_up import Fresh


class Entrance(Open):
    """A route for who is about to be signed in, by a page of ours if by any."""

    async def meet(self, request: Request) -> None:
        """Raises Forged."""
        cookies_of(request).near(request)


class Either(Route):
    """A route for who is signed in, and for who is about to be: a body with `pending` needs no caller."""

    async def meet(self, request: Request) -> None:
        """Raises Unauthenticated, Forbidden, Forged."""
        request.state.caller = None
        if _pending(await request.body()):
            cookies_of(request).near(request)
        else:
            await super().meet(request)

    async def meet_again(self, request: Request) -> None:
        """Its body was read before anything else."""


entrance = native("factors", Entrance)
router = native("factors", Either)


def _pending(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and isinstance(said.get("pending"), str)


def _maybe(request: Request, _: Annotated[object, Depends(bearer)]) -> Caller | None:
    caller: Caller | None = request.state.caller
    return caller


MaybeAsking = Annotated[Caller | None, Depends(_maybe)]


@router.post("/session/factor", response_model=shapes.Entered)
def show(request: Request, caller: MaybeAsking, body: shapes.ShowFactor) -> Any:
    """Show a second factor: a sign-in goes on, or the session that asks steps up."""
    if body.pending is not None:
        what = _first(body) or _shown(body)
        ended = flows(request).second_half.ends(body.pending, what, visitor_of(request))
        return answered(request, ended.entered, ended.codes)
    assert caller is not None  # `Either` made it out, as there is no `pending`  # noqa: S101
    return _fresh(request, caller, flows(request).step_up.shows(caller, _shown(body), anew=anew(request)))


def _fresh(request: Request, caller: Caller, it: Fresh) -> Response:
    name, text = caller.user.name if caller.user else "", it.text.reveal() if it.text else ""
    fields = {"session": shown(it.token, name, it.token.id), "csrf": proof_of(text) if text else None}
    whole = shapes.Entered.model_validate(fields | {"factor": None, "password": None})
    answer = JSONResponse(whole.model_dump(mode="json"))
    if text:
        cookies_of(request).keep(answer, text)
    return answer


@router.post("/session/factor/challenge", response_model=shapes.PasskeyOptions)
def challenge(request: Request, caller: MaybeAsking, body: shapes.AskedChallenge) -> Any:
    """What the browser is to ask an authenticator for, to end a sign-in or to step up."""
    if body.pending is not None:
        return {"public_key": flows(request).second_half.challenge(body.pending, visitor_of(request))}
    assert caller is not None  # as above  # noqa: S101
    return {"public_key": flows(request).step_up.challenge(caller)}


@entrance.post("/session/factor/totp", status_code=201, response_model=shapes.BegunTotp)
def enrol_totp(request: Request, body: shapes.EnrolTotp) -> Any:
    """For a sign-in of who needs a second factor and has none: begin with an authenticator app."""
    return begun(flows(request).second_half.enrol_totp(body.pending, body.name, visitor_of(request)))


@entrance.post("/session/factor/passkey", response_model=shapes.PasskeyOptions)
def enrol_passkey(request: Request, body: shapes.WaitingSignIn) -> Any:
    """The same with a passkey: what the browser is to ask an authenticator for."""
    return {"public_key": flows(request).second_half.enrol_passkey(body.pending, visitor_of(request))}


@entrance.post("/session/passkey/challenge", response_model=shapes.PasskeyOptions)
def alone(request: Request) -> Any:
    """Begin to sign in with a passkey and nothing else: what the browser is to ask an authenticator for."""
    return {"public_key": flows(request).passkey_sign_in.begins()}


@entrance.post("/session/passkey", response_model=shapes.Entered)
def alone_ends(request: Request, body: shapes.PasskeyOnly) -> Any:
    """What the authenticator answered: signed in is whose passkey it is."""
    return answered(request, flows(request).passkey_sign_in.ends(body.passkey, visitor_of(request)))


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
