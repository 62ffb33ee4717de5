"""`/sign-in`: the form; `/sign-in/password`, `/sign-in/invitation`: a new password, asked for or invited to.

    /sign-in ──► session ──► next, or home
        ├──► a second factor is needed ──► /sign-in/factor
        └──► the password has ended ─────► /sign-in/password ──► session
    /sign-in/invitation ──► (the same)

What waits between two pages is known by a cookie (`cookies.py`), never by an address.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.core.errors import Forged, Invalid, KeywrightError
from service.core.secret import Secret
from service.http.pages.frame import Fields, Page, cookies_of, form, onward, refused, sent_to, shown
from service.http.request import hashing
from service.http.sessions import people_of, visitor_of
from service.people.entering import FACTOR, Entered

router = APIRouter(route_class=Page, include_in_schema=False)
PASSWORD, INVITATION, FACTOR_AT = "/sign-in/password", "/sign-in/invitation", "/sign-in/factor"
WAITS_AT = {FACTOR: FACTOR_AT, "password": PASSWORD}


def entered(request: Request, it: Entered, next_: str) -> Response:
    """Somebody who has proven who it is, on its way: home, or to what has to be shown first."""
    assert it.text is not None  # one or the other has one  # noqa: S101
    cookies, text = cookies_of(request), it.text.reveal()
    if it.token is None:
        answer = sent_to(WAITS_AT[it.waits], next_)
        cookies.wait(answer, text)
    else:
        answer = sent_to(next_)
        cookies.keep(answer, text)
    return answer


def _form(request: Request, next_: str, email: str = "") -> dict[str, Any]:
    return {"title": "Sign in", "next": next_, "email": email, "ways": people_of(request).ways()}


@router.get("/sign-in")
def ask(request: Request, next: str = "") -> Response:  # noqa: A002 - as the address has it
    """The form."""
    return shown("sign_in.html", problem="", **_form(request, onward(next)))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """By e-mail address and password."""
    fields = await form(request)
    next_, email = onward(fields.get("next", "")), fields.get("email", "")
    signing_in, visitor, password = people_of(request).signing_in, visitor_of(request), _secret(fields, "password")
    try:
        found = await hashing(request, lambda: signing_in.sign_in(email, password, visitor))
    except Forged:
        raise
    except KeywrightError as refusal:
        return refused(request, refusal, "sign_in.html", **_form(request, next_, email[:254]))
    return entered(request, found, next_)


@router.get(PASSWORD)
def ask_password(request: Request, next: str = "") -> Response:  # noqa: A002
    """A new password, for the one that has ended."""
    if not cookies_of(request).waiting(request):
        return sent_to("/sign-in", onward(next))
    return shown("new_password.html", problem="", **_new(onward(next), invited=False))


@router.get(INVITATION)
def ask_invitation(next: str = "") -> Response:  # noqa: A002
    """A first password, or one for a lost one."""
    return shown("new_password.html", problem="", **_new(onward(next), invited=True))


@router.post(PASSWORD)
async def choose(request: Request) -> Response:
    """Choose a new password."""
    fields = await form(request)
    return await _chosen(request, fields, cookies_of(request).waiting(request), invited=False)


@router.post(INVITATION)
async def accept(request: Request) -> Response:
    """Accept an invitation."""
    fields = await form(request)
    return await _chosen(request, fields, fields.get("invitation", "").strip(), invited=True)


async def _chosen(request: Request, fields: Fields, text: str, *, invited: bool) -> Response:
    next_ = onward(fields.get("next", ""))
    new, visitor, password = people_of(request).new_passwords, visitor_of(request), _secret(fields, "password")
    try:
        if fields.get("again", "") != password.reveal():
            raise Invalid("the two new passwords differ", field="again")
        found = await hashing(request, lambda: new.choose(Secret(text), password, visitor))
    except KeywrightError as refusal:
        return refused(request, refusal, "new_password.html", **_new(next_, invited=invited))
    return entered(request, found, next_)


def _new(next_: str, *, invited: bool) -> dict[str, Any]:
    return {"title": "Your invitation" if invited else "A new password", "invited": invited, "next": next_}


def _secret(fields: Fields, name: str) -> Secret:
    return Secret(fields.get(name, ""))
