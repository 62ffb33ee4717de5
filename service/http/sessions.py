"""`/session`: signing in and out, one's own session and password; `/sessions`: those of people.

A browser is given its session as a cookie (`cookies.py`), whose text stands in no body.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from service.core.secret import Secret
from service.core.token import Token
from service.http import shapes
from service.http.cookies import Cookies, proof_of
from service.http.native import native
from service.http.request import Asking, Cursor, Id, Limit, TheKeeper, hashing, page, position
from service.http.route import Open, address_of
from service.people.entering import FACTOR, Entered, Visitor
from service.people.people import People

entrance = native("session", Open)
router = native("session")

OfUser = Annotated[
    str, Query(max_length=64, pattern=r"^[0-9a-f]{0,64}$", description="Whose; left out: the caller's own.")
]


def visitor_of(request: Request) -> Visitor:
    """The browser, or the program, that somebody comes with."""
    cookies: Cookies = request.app.state.cookies
    agent = "".join(sign for sign in request.headers.get("user-agent", "") if sign.isprintable())
    former = cookies.session(request) or ""
    return Visitor(address_of(request), agent, str(request.state.request_id), former)


def cookies_of(request: Request) -> Cookies:
    """The cookies of the running server."""
    found: Cookies = request.app.state.cookies
    return found


def people_of(request: Request) -> People:
    """The ways in of the running service."""
    found: People = request.app.state.people
    return found


def shown(token: Token, name: str, current: str) -> dict[str, Any]:
    """A session as it is answered. Its token goes by the user's address."""
    session = token.session
    assert session is not None  # it is one  # noqa: S101
    return {
        "id": token.id,
        "user": {"id": token.user_id, "email": token.name, "name": name},
        "method": session.method,
        "signed_in_at": session.signed_in_at,
        "factor_at": session.factor_at,
        "last_seen_at": session.last_seen_at,
        "expires_at": token.expires_at,
        "ends_at": token.renewable_until,
        "address": session.address,
        "agent": session.agent,
        "current": token.id == current,
    }


def answered(request: Request, entered: Entered, codes: Sequence[Secret] = ()) -> Response:
    """Signed in, or what is to be shown first. `codes` are new recovery codes."""
    assert entered.text is not None  # one or the other has one  # noqa: S101
    text, token = entered.text.reveal(), entered.token
    fields: dict[str, Any] = {"session": None, "csrf": None, "factor": None, "password": None}
    fields["recovery_codes"] = [code.reveal() for code in codes] or None
    if token is None and entered.waits == FACTOR:
        fields["factor"] = {"pending": text, "kinds": sorted(set(entered.user.factors))}
    elif token is None:
        fields["password"] = {"pending": text}
    else:
        fields |= {"session": shown(token, entered.user.name, token.id), "csrf": proof_of(text)}
    answer = JSONResponse(shapes.Entered.model_validate(fields).model_dump(mode="json"))
    cookies = cookies_of(request)
    if token is None:
        cookies.wait(answer, text)
    else:
        cookies.keep(answer, text)
    return answer


@entrance.post("/session", response_model=shapes.Entered)
async def sign_in(request: Request, body: shapes.SignIn) -> Any:
    """Sign in with a password. Whatever is wrong, the answer is the same; after many wrong ones, 429 says how long."""
    cookies_of(request).near(request)
    signing_in, visitor = people_of(request).signing_in, visitor_of(request)
    password = Secret(body.password)
    return answered(request, await hashing(request, lambda: signing_in.sign_in(body.email, password, visitor)))


@entrance.post("/session/new-password", response_model=shapes.Entered)
async def choose(request: Request, body: shapes.NewPassword) -> Any:
    """Choose a password by an invitation, or because the old one has ended; and be signed in."""
    cookies_of(request).near(request)
    new, visitor = people_of(request).new_passwords, visitor_of(request)
    text, password = Secret(body.text), Secret(body.password)
    return answered(request, await hashing(request, lambda: new.choose(text, password, visitor)))


@router.get("/session", response_model=shapes.OwnSession)
def told(request: Request, caller: Asking, keeper: TheKeeper) -> Any:
    """The caller's session; 404 for a token."""
    token = keeper.sessions.own(caller)
    return shown(token, caller.user.name if caller.user else "", caller.id) | {"csrf": proof_of(_text(request))}


@router.delete("/session", status_code=204, response_class=Response)
def sign_out(request: Request, caller: Asking, keeper: TheKeeper) -> Response:
    """The caller's session is of no use from now on."""
    keeper.sessions.sign_out(caller)
    answer = Response(status_code=204)
    cookies_of(request).forget(answer)
    return answer


@router.post("/session/password", response_model=shapes.OwnSession)
async def change(request: Request, caller: Asking, body: shapes.ChangePassword) -> Any:
    """The caller's own password. Its other sessions end, and this one goes on with another cookie."""
    new, old, wanted = people_of(request).new_passwords, Secret(body.old), Secret(body.new)
    token, text = await hashing(request, lambda: new.change(caller, old, wanted))
    fields = shown(token, caller.user.name if caller.user else "", token.id) | {"csrf": proof_of(text.reveal())}
    answer = JSONResponse(shapes.OwnSession.model_validate(fields).model_dump(mode="json"))
    cookies_of(request).keep(answer, text.reveal())
    return answer


@router.get("/sessions", response_model=shapes.page_of(shapes.Session))
def listed(caller: Asking, keeper: TheKeeper, user: OfUser = "", cursor: Cursor = "", limit: Limit = 100) -> Any:
    """Sessions of one person. Somebody else's are for who has *use* on people."""
    found = keeper.sessions.listed(caller, user, position(cursor), limit)
    name = caller.user.name if caller.user and user in ("", caller.user.id) else ""
    return page(found, limit, lambda it: it.id, lambda it: shown(it, name, caller.id))


@router.delete("/sessions/{session_id}", status_code=204)
def end(caller: Asking, keeper: TheKeeper, session_id: Id) -> None:
    """It is of no use from now on. Somebody else's are for who has *own* on people."""
    keeper.sessions.end(caller, session_id)


def _text(request: Request) -> str:
    return cookies_of(request).session(request) or request.headers.get("authorization", "").partition(" ")[2].strip(" ")
