"""`/`: who is signed in; `/password`: one's own; `/sign-out`; and the one style sheet."""

from importlib import resources
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from service.core.access import Caller
from service.core.errors import Invalid, KeywrightError
from service.core.secret import Secret
from service.http.pages.frame import (
    SIGN_IN,
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
from service.http.request import hashing, keeper_of, proving
from service.http.sessions import people_of

router = APIRouter(route_class=Page, include_in_schema=False)
_STYLE = resources.files("service.http.pages").joinpath("static/style.css").read_bytes()


@router.get("/")
async def home(request: Request) -> Response:
    """Who is signed in, and where it belongs."""
    caller = await caller_of(request)
    if caller is None or caller.user is None:
        return sent_to(SIGN_IN)
    landing = await run_in_threadpool(keeper_of(request).users.landing, caller)
    return shown("home.html", title="Signed in", user=caller.user, landing=landing, csrf=csrf_of(request))


@router.get("/password")
async def ask_password(request: Request) -> Response:
    """The form to change one's own password."""
    caller = await caller_of(request)
    if caller is None:
        return sent_to(SIGN_IN, "/password")
    return shown("password.html", problem="", **_change(request, caller))


@router.post("/password")
async def change(request: Request) -> Response:
    """Change one's own password."""
    fields = await form(request)
    caller = await sender_of(request, fields)
    if caller is None:
        return sent_to(SIGN_IN, "/password")
    new, old, wanted = people_of(request).new_passwords, Secret(fields.get("old", "")), Secret(fields.get("new", ""))
    try:
        if fields.get("again", "") != wanted.reveal():
            raise Invalid("the two new passwords differ", field="again")
        _, text = await hashing(request, lambda: new.change(caller, old, wanted))
    except KeywrightError as refusal:
        return refused(request, refusal, "password.html", **_change(request, caller))
    answer = sent_to("/")
    cookies_of(request).keep(answer, text.reveal())
    return answer


def _change(request: Request, caller: Caller) -> dict[str, Any]:
    email = caller.user.email if caller.user else ""  # for whoever keeps passwords: whose it is
    return {"title": "Change your password", "email": email, "csrf": csrf_of(request)}


@router.get("/sign-out")
async def ask_sign_out(request: Request) -> Response:
    """Ask whether to."""
    caller = await caller_of(request)
    if caller is None:
        return sent_to(SIGN_IN)
    return shown("sign_out.html", title="Sign out", csrf=csrf_of(request))


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """The session is over."""
    caller = await sender_of(request, await form(request))
    away = ""
    if caller is not None:
        token_id = caller.id
        # Its provider, too, where it was opened by one: asked before the session is gone.
        away = await proving(request, lambda: people_of(request).leaving(token_id))
        await run_in_threadpool(keeper_of(request).sessions.sign_out, caller)
    if away:
        # No redirect: browsers hold those of a form against `form-action`, which lets forms lead nowhere else.
        answer = shown("signed_out.html", title="Signed out", away=away)
        answer.headers["Refresh"] = f"0; url={away}"
    else:
        answer = sent_to(SIGN_IN)
    cookies_of(request).forget(answer)
    return answer


@router.get("/pages/style.css")
def style() -> Response:
    """The style sheet."""
    return Response(_STYLE, media_type="text/css")
