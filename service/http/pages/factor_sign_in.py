"""`/sign-in/factor`: the second half of a sign-in, or stepping up; `/sign-in/passkey`: a whole sign-in.

a sign-in waits (by its cookie) ──┬── has a factor ──► shown ─────────────────────────────────────► on
                                  └── has none ──────► a passkey, or /sign-in/factor/app ──► codes ─► on
signed in ────────────────────────── shown ──► the same session, under another cookie ────────────► on
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from service.core.access import Caller
from service.core.errors import Invalid, KeywrightError, Often, Unauthenticated
from service.http.factors import flows
from service.http.pages.answers import answer_in, code_in, shown_in
from service.http.pages.frame import (
    SIGN_IN,
    Fields,
    Page,
    caller_of,
    cookies_of,
    csrf_of,
    form,
    onward,
    refused,
    sender_of,
    sent_to,
    shown,
)
from service.http.pages.sign_in import FACTOR_AT, entered
from service.http.sessions import visitor_of
from service.people.enrolment import Begun, FirstAnswer, FirstCode
from service.people.second_half import Ended
from service.people.totp import picture

router = APIRouter(route_class=Page, include_in_schema=False)
challenges = APIRouter(include_in_schema=False)
APP = f"{FACTOR_AT}/app"
_TITLE = "Your second factor"


@router.get(FACTOR_AT)
async def ask(request: Request, next: str = "") -> Response:  # noqa: A002 - as the address has it
    """The form that fits."""
    next_ = onward(next)
    try:
        return await _asked(request, next_)
    except Unauthenticated as over:
        return _over(request, over, next_)


async def _asked(request: Request, next_: str, problem: KeywrightError | None = None, begun: str = "") -> Response:
    waits = cookies_of(request).waiting(request)
    told: dict[str, Any] = {"next": next_, "title": _TITLE}
    if waits:
        waiting = await run_in_threadpool(flows(request).second_half.told, waits, visitor_of(request))
        if begun and isinstance(problem, (Unauthenticated, Often)) and not waiting.kinds:
            return first_code_again(request, problem, begun, APP, next_)  # what was begun waits on
        name, told = ("factor.html" if waiting.kinds else "factor_needed.html"), told | {"kinds": waiting.kinds}
    else:
        caller = await caller_of(request)
        if caller is None or caller.user is None:
            return sent_to(SIGN_IN, next_)
        if not caller.user.factors:
            return sent_to("/factors")
        name, told = "factor.html", told | {"kinds": caller.user.factors}
    told["csrf"] = "" if waits else csrf_of(request)
    if problem is None:
        return shown(name, problem="", **told)
    return refused(request, problem, name, **told)


@router.post(FACTOR_AT)
async def show(request: Request) -> Response:
    """Show one; or, with the name of a new passkey, add it."""
    fields = await form(request)
    next_, waits = onward(fields.get("next", "")), cookies_of(request).waiting(request)
    try:
        if waits:
            return await _ends(request, fields, waits, next_)
        caller = await sender_of(request, fields)
        if caller is None:
            return sent_to(SIGN_IN, next_)
        return await _steps_up(request, caller, fields, next_)
    except KeywrightError as refusal:
        return await _again(request, next_, refusal)


async def _again(request: Request, next_: str, refusal: KeywrightError, begun: str = "") -> Response:
    """The form once more, with what was wrong; from the beginning, if nothing waits any more."""
    try:
        return await _asked(request, next_, refusal, begun)
    except Unauthenticated as over:
        return _over(request, over, next_)


def _over(request: Request, over: Unauthenticated, next_: str) -> Response:
    answer = refused(request, over, next=next_)
    cookies_of(request).forget(answer)
    return answer


async def _ends(request: Request, fields: Fields, waits: str, next_: str) -> Response:
    answer = answer_in(fields)
    what = FirstAnswer(fields["name"], answer) if answer is not None and "name" in fields else shown_in(fields)
    return _ended(request, await _second_half(request, waits, what), next_)


async def _second_half(request: Request, waits: str, what: Any) -> Ended:
    return await run_in_threadpool(flows(request).second_half.ends, waits, what, visitor_of(request))


def _ended(request: Request, ended: Ended, next_: str) -> Response:
    if not ended.codes:
        return entered(request, ended.entered, next_)
    on = entered(request, ended.entered, next_)
    answer = codes_shown(ended.codes, on.headers["location"])
    for name, value in on.raw_headers:
        if name == b"set-cookie":
            answer.raw_headers.append((name, value))
    return answer


def codes_shown(codes: Any, next_: str) -> Response:
    """New recovery codes, and the way on."""
    return shown("recovery_codes.html", title="Your recovery codes", codes=[c.reveal() for c in codes], next=next_)


async def _steps_up(request: Request, caller: Caller, fields: Fields, next_: str) -> Response:
    what = shown_in(fields)
    fresh = await run_in_threadpool(lambda: flows(request).step_up.shows(caller, what, anew=True))
    answer = sent_to(next_)
    if fresh.text is not None:
        cookies_of(request).keep(answer, fresh.text.reveal())
    return answer


@router.post(APP)
async def begin_app(request: Request) -> Response:
    """Begin with an authenticator app, or show its first code."""
    fields = await form(request)
    next_, waits = onward(fields.get("next", "")), cookies_of(request).waiting(request)
    half, visitor = flows(request).second_half, visitor_of(request)
    try:
        if "code" in fields:
            first = FirstCode(fields.get("id", ""), code_in(fields))
            return _ended(request, await _second_half(request, waits, first), next_)
        name = fields.get("name", "")
        return first_code_asked(await run_in_threadpool(half.enrol_totp, waits, name, visitor), APP, next_)
    except KeywrightError as refusal:
        return await _again(request, next_, refusal, fields.get("id", ""))


def first_code_asked(begun: Begun, action: str, next_: str, csrf: str = "") -> Response:
    """What an authenticator app is to read, and the field for what it shows then."""
    told: dict[str, Any] = {"svg": picture(begun.uri), "secret": begun.secret.reveal()}
    return shown("first_code.html", problem="", **told, **_first_code(begun.id, action, next_, csrf))


def first_code_again(
    request: Request, refusal: KeywrightError, begun: str, action: str, next_: str, csrf: str = ""
) -> Response:
    """The field once more, and what was wrong. What the app was to read is not shown again."""
    return refused(request, refusal, "first_code.html", svg="", secret="", **_first_code(begun, action, next_, csrf))


def _first_code(begun: str, action: str, next_: str, csrf: str) -> dict[str, Any]:
    return {"title": "Your authenticator app", "id": begun, "action": action, "next": next_, "csrf": csrf}


@challenges.post(f"{FACTOR_AT}/challenge")
async def challenge(request: Request) -> dict[str, Any]:
    """For a page's script: what the browser is to ask an authenticator for. Raises Unauthenticated, Forged."""
    cookies = cookies_of(request)
    cookies.near(request)
    waits, visitor, them = cookies.waiting(request), visitor_of(request), flows(request)
    if waits:
        waiting = await run_in_threadpool(them.second_half.told, waits, visitor)
        begin = them.second_half.challenge if waiting.kinds else them.second_half.enrol_passkey
        return {"public_key": await run_in_threadpool(begin, waits, visitor)}
    caller = await caller_of(request)
    if caller is None:
        raise Unauthenticated("sign in first")
    return {"public_key": await run_in_threadpool(them.step_up.challenge, caller)}


@router.post(f"{SIGN_IN}/passkey")
async def alone(request: Request) -> Response:
    """Sign in with a passkey and nothing else."""
    fields = await form(request)
    answer = answer_in(fields)
    if answer is None:
        raise Invalid("passkey is needed", field="passkey")
    found = await run_in_threadpool(flows(request).passkey_sign_in.ends, answer, visitor_of(request))
    return entered(request, found, onward(fields.get("next", "")))
