"""`/oauth/token`, `/oauth/device-authorization`: what the command line asks; errors are those of RFC 6749, 5.2."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from service.core.errors import Forged, Invalid, Often
from service.http.envelope import STRANGE
from service.http.oauth.consent import authorization_of
from service.http.oauth.well_known import DEVICE_GRANT, issuer
from service.http.pages.frame import form
from service.http.route import address_of
from service.people.authorization import CLIENT, Granted, NotGranted
from service.people.devices import Devices, shown

router = APIRouter(include_in_schema=False)
_WAITING = ("authorization_pending", "slow_down")


def devices_of(request: Request) -> Devices:
    """Of the running service."""
    found: Devices = request.app.state.devices
    return found


@router.post("/oauth/token")
async def token(request: Request) -> Response:
    """A session, for a code or for a computer that was let in."""

    async def act(posted: Mapping[str, str]) -> dict[str, Any]:
        if posted.get("client_id") != CLIENT:
            raise NotGranted("invalid_client", f"client_id must be {CLIENT}")
        where = address_of(request), request.state.request_id
        match posted.get("grant_type"):
            case "authorization_code":
                code, redirect, verifier = (posted.get(name, "") for name in ("code", "redirect_uri", "code_verifier"))
                exchange = authorization_of(request).exchange
                return _told(await run_in_threadpool(exchange, code, redirect, verifier, *where))
            case grant if grant == DEVICE_GRANT:
                secret = posted.get("device_code", "")
                return _told(await run_in_threadpool(devices_of(request).ask, secret, *where))
            case _:
                raise NotGranted("unsupported_grant_type", f"grant_type must be authorization_code or {DEVICE_GRANT}")

    return await _answered(request, act)


@router.post("/oauth/device-authorization")
async def begin(request: Request) -> Response:
    """RFC 8628, 3.2. Without `verification_uri_complete`: the code is typed by who sees the computer's screen."""

    async def act(posted: Mapping[str, str]) -> dict[str, Any]:
        asked = posted.get("client_id", ""), posted.get("host", ""), address_of(request)
        begun = await run_in_threadpool(devices_of(request).begin, *asked)
        return {
            "device_code": begun.secret,
            "user_code": shown(begun.code),
            "verification_uri": f"{issuer(request)}/oauth/device",
            "expires_in": int(begun.lasts.total_seconds()),
            "interval": int(begun.interval.total_seconds()),
        }

    return await _answered(request, act)


def _told(it: Granted) -> dict[str, Any]:
    return {"access_token": it.text.reveal(), "token_type": "Bearer", "expires_in": int(it.lasts.total_seconds())}


async def _answered(request: Request, act: Callable[[Mapping[str, str]], Awaitable[dict[str, Any]]]) -> Response:
    try:
        return JSONResponse(await act(await form(request)), headers={"Pragma": "no-cache"})
    except NotGranted as refusal:
        if refusal.code not in _WAITING:
            request.scope["state"][STRANGE] = True  # counted as whoever shows what is not known
        return _error(refusal.code, refusal.message)
    except (Forged, Invalid) as refusal:
        return _error("invalid_request", refusal.message)
    except Often as refusal:
        told = {"error": "slow_down", "error_description": refusal.message}
        return JSONResponse(told, 429, {"Retry-After": str(refusal.after)})


def _error(code: str, message: str) -> Response:
    return JSONResponse({"error": code, "error_description": message}, 400)
