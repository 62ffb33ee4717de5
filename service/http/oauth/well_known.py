"""`/.well-known/oauth-authorization-server`: what this authorization server can do, and where (RFC 8414)."""

from typing import Any

from fastapi import APIRouter, Request

router = APIRouter(include_in_schema=False)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def issuer(request: Request) -> str:
    """Under which address people reach this server; where nobody said, the one that was asked."""
    told: str = request.app.state.url
    return told or f"{request.url.scheme}://{request.url.netloc}"


@router.get("/.well-known/oauth-authorization-server")
def metadata(request: Request) -> dict[str, Any]:
    """RFC 8414, 2."""
    here = issuer(request)
    return {
        "issuer": here,
        "authorization_endpoint": f"{here}/oauth/authorize",
        "token_endpoint": f"{here}/oauth/token",
        "device_authorization_endpoint": f"{here}/oauth/device-authorization",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", DEVICE_GRANT],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
