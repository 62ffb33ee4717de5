"""`/oauth/device`: the page at which a person types the code that a computer shows, and lets it in.

code typed ──► "Let a computer in?", with what is known of it ──► let in, or not
     └─ wrong ──► again; behind the third, after a wait
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from service.core.access import Caller
from service.core.errors import Absent, Often
from service.http.oauth.token import devices_of
from service.http.pages.frame import SIGN_IN, Page, caller_of, csrf_of, form, refused, sender_of, sent_to, shown

router = APIRouter(route_class=Page, include_in_schema=False)
PATH = "/oauth/device"
DECISIONS = ("allow", "refuse")
SENT = (
    "Did somebody send you a code, or ask you to type one in? Stop here: whoever started that login would get in as "
    "you. Go on only if you started it yourself, just now, and the code stands on that computer's own screen."
)
"""RFC 8628, 5.4: remote phishing."""


def _asks(request: Request) -> dict[str, Any]:
    return {"title": "Let a computer in", "csrf": csrf_of(request), "warning": SENT}


@router.get(PATH)
async def ask(request: Request) -> Response:
    """What does its screen say?"""
    if await caller_of(request) is None:
        return sent_to(SIGN_IN, PATH)
    return shown("device.html", problem="", **_asks(request))


@router.post(PATH)
async def typed(request: Request) -> Response:
    """First the code, and what waits with it; then the decision."""
    fields = await form(request)
    caller = await sender_of(request, fields)
    if caller is None or caller.user is None:
        return sent_to(SIGN_IN, PATH)
    try:
        if fields.get("decision") in DECISIONS:
            return await _decided(request, caller, fields.get("code", ""), allowed=fields["decision"] == "allow")
        found = await run_in_threadpool(devices_of(request).typed, caller, fields.get("code", ""))
    except (Absent, Often) as refusal:
        return refused(request, refusal, "device.html", **_asks(request))
    return shown(
        "computer.html",
        title="Let a computer in?",
        email=caller.user.email,
        computer={
            "Code on its screen": found.code,
            "It calls itself": found.host,
            "It asked from the address": found.address,
            "It asked at": f"{found.began_at:%Y-%m-%d %H:%M} UTC",
        },
        warning=SENT,
        action=PATH,
        hidden={"csrf": csrf_of(request), "code": found.code},
    )


async def _decided(request: Request, caller: Caller, code: str, *, allowed: bool) -> Response:
    devices = devices_of(request)
    found = await run_in_threadpool(lambda: devices.decide(caller, code, allowed=allowed))
    if allowed:
        said = f"{found.host} goes on by itself, within a few seconds. You can close this page."
        return shown("said.html", title="It is let in", sentence=said)
    return shown("said.html", title="It is not let in", sentence=f"{found.host} is told so. Nothing else happened.")
