"""`/factors`: one's own second factors, to add and to take away; and the one script, for passkeys."""

from importlib import resources
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from service.core.access import Caller
from service.core.errors import FactorNeeded, Forbidden, Invalid, KeywrightError
from service.http.factors import flows
from service.http.pages.answers import answer_in, code_in
from service.http.pages.factor_sign_in import codes_shown, first_code_again, first_code_asked
from service.http.pages.frame import (
    SIGN_IN,
    Fields,
    Page,
    caller_of,
    cookies_of,
    csrf_of,
    form,
    refused,
    sender_of,
    sent_to,
    shown,
)
from service.http.request import keeper_of
from service.people.enrolment import Added, FirstAnswer, FirstCode

router = APIRouter(route_class=Page, include_in_schema=False)
HERE, APP = "/factors", "/factors/app"
_SCRIPT = resources.files("service.http.pages").joinpath("static/passkeys.js").read_bytes()


@router.get(HERE)
async def listed(request: Request) -> Response:
    """What there is."""
    caller = await caller_of(request)
    return sent_to(SIGN_IN, HERE) if caller is None else await _listed(request, caller)


async def _listed(request: Request, caller: Caller, refusal: KeywrightError | None = None) -> Response:
    held = await run_in_threadpool(keeper_of(request).factors.listed, caller)
    needs = isinstance(refusal, FactorNeeded) and bool(held.factors)
    told: dict[str, Any] = {"title": "Your second factors", "held": held, "csrf": csrf_of(request), "needs": needs}
    if refusal is None:
        return shown("factors.html", problem="", **told)
    return refused(request, refusal, "factors.html", **told)


async def _sent(request: Request) -> tuple[Fields, Caller | None]:
    fields = await form(request)
    return fields, await sender_of(request, fields)


@router.post(HERE)
async def add_passkey(request: Request) -> Response:
    """One more passkey."""
    fields, caller = await _sent(request)
    if caller is None:
        return sent_to(SIGN_IN, HERE)
    try:
        answer = answer_in(fields)
        if answer is None:
            raise Invalid("passkey is needed", field="passkey")
        first = FirstAnswer(fields.get("name", ""), answer)
        return _added(request, await run_in_threadpool(lambda: _finish(request, caller, first)))
    except KeywrightError as refusal:
        return await _listed(request, caller, refusal)


@router.post(APP)
async def add_app(request: Request) -> Response:
    """One more authenticator app: begun, and then by its first code."""
    fields, caller = await _sent(request)
    if caller is None:
        return sent_to(SIGN_IN, HERE)
    try:
        if "code" in fields:
            first = FirstCode(fields.get("id", ""), code_in(fields))
            return _added(request, await run_in_threadpool(lambda: _finish(request, caller, first)))
        begun = await run_in_threadpool(flows(request).enrolment.begin_totp, caller, fields.get("name", ""))
        return first_code_asked(begun, APP, HERE, csrf_of(request))
    except KeywrightError as refusal:
        if "code" in fields and type(refusal) is Forbidden:  # a wrong one: what was begun waits on
            return first_code_again(request, refusal, fields.get("id", ""), APP, HERE, csrf_of(request))
        return await _listed(request, caller, refusal)


@router.post(f"{HERE}/removal")
async def remove(request: Request) -> Response:
    """One less."""
    fields, caller = await _sent(request)
    if caller is None:
        return sent_to(SIGN_IN, HERE)
    try:
        await run_in_threadpool(keeper_of(request).factors.remove, caller, fields.get("id", ""))
    except KeywrightError as refusal:
        return await _listed(request, caller, refusal)
    return sent_to(HERE)


@router.post(f"{HERE}/codes")
async def renew_codes(request: Request) -> Response:
    """New recovery codes."""
    _, caller = await _sent(request)
    if caller is None:
        return sent_to(SIGN_IN, HERE)
    try:
        return codes_shown(await run_in_threadpool(keeper_of(request).factors.renew_codes, caller), HERE)
    except KeywrightError as refusal:
        return await _listed(request, caller, refusal)


@router.get("/pages/passkeys.js")
def script() -> Response:
    """The script."""
    return Response(_SCRIPT, media_type="text/javascript")


def _finish(request: Request, caller: Caller, first: FirstCode | FirstAnswer) -> Added:
    return flows(request).enrolment.finish(caller, first, anew=True)


def _added(request: Request, it: Added) -> Response:
    answer = codes_shown(it.codes, HERE) if it.codes else sent_to(HERE)
    if it.fresh and it.fresh.text:
        cookies_of(request).keep(answer, it.fresh.text.reveal())
    return answer
