"""What is asked at the Vault door: an operation on a path, by whoever has a token.

    GET           read, or list with ?list=true       LIST     list
    PUT, POST     write                               PATCH    patch
    DELETE        delete

The token comes in `X-Vault-Token`, or as every other does: `Authorization: Bearer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.core.access import Caller
from service.core.errors import Absent, Invalid, KeywrightError
from service.http.body import document
from service.http.certificates import proven_to
from service.http.fetching import Fetching
from service.http.plain import REFUSED
from service.http.vault.errors import Refused, Unsupported
from service.http.vault.mounts import Mounts
from service.keeper.asked import Asked, Told, Who
from service.keeper.callers import machine, nobody, who
from service.keeper.keeper import Keeper

P = ParamSpec("P")
T = TypeVar("T")
_TOKEN, _BEARER = "x-vault-token", "authorization"
_NO_TOKEN = "one token is needed: X-Vault-Token"  # noqa: S105  a sentence


class Operation(StrEnum):
    """What is done with a path."""

    READ = "read"
    LIST = "list"
    WRITE = "write"
    PATCH = "patch"
    DELETE = "delete"


_OPERATIONS = {
    "GET": Operation.READ,
    "LIST": Operation.LIST,
    "PUT": Operation.WRITE,
    "POST": Operation.WRITE,
    "PATCH": Operation.PATCH,
    "DELETE": Operation.DELETE,
}


@dataclass
class Ask:
    """One request."""

    request: Request
    operation: Operation
    path: str
    """Behind `/v1/`."""
    token: str = field(repr=False)
    """What was presented; empty for none."""
    who: Who
    namespace: str
    """The environment that it names; empty for none."""
    refused: KeywrightError | None = None
    """What the request's fetch was refused with in the fast lane, which left the answer to this door."""
    _caller: Caller | None = None

    @property
    def keeper(self) -> Keeper:
        """The keeper of the running service."""
        found: Keeper = self.request.app.state.keeper
        return found

    @property
    def mounts(self) -> Mounts:
        """The mounts of this door."""
        found: Mounts = self.request.app.state.mounts
        return found

    @property
    def fetching(self) -> Fetching:
        """The way from the event loop to the recorder."""
        found: Fetching = self.request.app.state.fetching
        return found

    @property
    def version(self) -> str:
        """This program's."""
        return str(self.request.app.version)

    @property
    def request_id(self) -> str:
        """As events have it."""
        return str(self.request.state.request_id)

    @property
    def address(self) -> str:
        """The client's."""
        return self.request.client.host if self.request.client else ""

    async def caller(self) -> Caller:
        """Who asks. Raises Unauthenticated, Forbidden."""
        if self._caller is None:
            self._caller = await self.fetching.caller(self.who)
        return self._caller

    async def inside(self) -> None:
        """Raises Refused, where the namespace is no environment that the caller has any business in."""
        if not self.namespace:
            return
        try:
            await aside(self.keeper.environments.enter, await self.caller(), self.namespace)
        except Absent:
            raise Refused(404, "namespace not found") from None

    async def fetch(self, asked: Asked) -> Any:
        """What a fetch came to. Raises its refusal: the lane's, which is recorded already, if it was asked there."""
        if self.refused is not None:
            raise self.refused
        told: Told[Any] = await self.fetching.told(self.request.scope, self.request.receive, asked)
        return told.news

    async def body(self) -> dict[str, Any]:
        """The object in the body; an empty one where there is none. Raises Invalid, TooLarge.

        A body may take its time, in which a caller may have lost its token or a grant: who asks is made out anew by
        the next `caller()`, and whoever needs both takes the body first.
        """
        text = await self.request.body()
        self._caller = None
        read = document(text) if text else {}
        if read is None:
            return {}
        if not isinstance(read, dict):
            raise Invalid("the body must be a JSON object", field="body")
        return read

    def query(self, name: str) -> str:
        """A parameter of the query; empty for none."""
        return self.request.query_params.get(name, "")


async def aside(act: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Run what waits for the ledger in a thread."""
    return await run_in_threadpool(act, *args, **more)


def read(request: Request) -> Ask:
    """What a request asks. Raises Unsupported, Refused."""
    operation = _OPERATIONS.get(request.method)
    if operation is None:
        raise Unsupported
    if operation is Operation.READ and request.query_params.get("list", "").lower() in ("true", "1"):
        operation = Operation.LIST
    path: str = request.scope["path"].removeprefix("/v1/")
    if operation is Operation.LIST:
        path = path.rstrip("/")
    token, asker = _asker(request)
    return Ask(request, operation, path, token, asker, _namespace(request), request.scope["state"].get(REFUSED))


def _asker(request: Request) -> tuple[str, Who]:
    address, request_id = request.client.host if request.client else "", request.state.request_id
    shown = proven_to(request.scope)
    presented = list(request.headers.getlist(_TOKEN))
    for bearer in request.headers.getlist(_BEARER):
        scheme, _, token = bearer.partition(" ")
        presented.append(token.strip(" ") if scheme.lower() == "bearer" else bearer)
    presented = [token for token in presented if token]
    # Of two that differ whoever stands in front of us may have judged the other one.
    if len(set(presented)) == 1:
        return presented[0], who(presented[0], address, request_id, shown)
    if shown is not None and not presented:
        return "", machine(shown, _NO_TOKEN, address, request_id)
    return "", nobody(_NO_TOKEN, address, request_id)


def _namespace(request: Request) -> str:
    said = request.headers.get("x-vault-namespace", "").strip("/")
    if "/" in said:
        raise Refused(404, "namespace not found")
    return "" if said == "root" else said
