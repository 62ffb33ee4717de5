"""What a request claims about its user: it must be what is known of the caller, or the request is refused.

    X-Current-User: ana@shop.example          the address, or the id, of the person
    X-Keywright-User-Email, -Id, -Name, -Method: …      one each
    X-Keywright-User-Groups: staff, on-call   all of them, in any order
    "current_user": {…}                       in a JSON body, beside what is asked: any of the fields of `GET /me`

Nothing here is ever believed: what is claimed truly passes and changes nothing, what is not is an attack or a defect
of whoever sends it, and is recorded.
"""

from collections.abc import Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool

from service.core.access import Caller, CurrentUser
from service.core.errors import Claimed
from service.keeper.keeper import Keeper

PREFIX, SHORT = b"x-keywright-user-", b"x-current-user"
FIELD = "current_user"
_PARTS = ("id", "email", "name", "method")


def claims(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """What the headers claim: parts of a user, by their names; an empty name for the user as a whole."""
    return [
        (name[len(PREFIX) :].decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name == SHORT or name.startswith(PREFIX)
    ]


def is_claim(name: bytes) -> bool:
    """Is that the name of a header which claims something?"""
    return name == SHORT or name.startswith(PREFIX)


async def believed(keeper: Keeper, caller: Caller, headers: Iterable[tuple[bytes, bytes]], body: object) -> None:
    """Raises Claimed where something is not so, and has it recorded."""
    said = claims(headers)
    if not said and not (isinstance(body, dict) and FIELD in body):
        return
    try:
        check(caller, said, body)
    except Claimed as refusal:
        await run_in_threadpool(keeper.tokens.disbelieved, caller, refusal)
        raise


def check(caller: Caller, said: Iterable[tuple[str, str]], body: object = None) -> None:
    """Raises Claimed where something is not so; names the part, never what was said of it."""
    user = caller.user
    for part, value in said:
        if user is None or not _so(user, part, value):
            raise Claimed(f"the request claims a user that its token does not stand for (header, {_named(part)})")
    if isinstance(body, dict) and FIELD in body:
        claimed = body[FIELD]
        wrong = _wrong(user, claimed) if isinstance(claimed, dict) else FIELD
        if wrong:
            raise Claimed(f"the request claims a user that its token does not stand for (body, {_named(wrong)})")


def _so(user: CurrentUser, part: str, value: str) -> bool:
    if not part:
        return value.strip() in (user.email, user.id)
    if part == "groups":
        return {each.strip() for each in value.split(",") if each.strip()} == set(user.groups)
    return part in _PARTS and value.strip() == getattr(user, part)


def _wrong(user: CurrentUser | None, claimed: dict[Any, Any]) -> str:
    """The first part that is not so; empty if all are."""
    if user is None:
        return FIELD
    attributes = {name: value if isinstance(value, str) else list(value) for name, value in user.attributes.items()}
    known: dict[str, Any] = {part: getattr(user, part) for part in _PARTS} | {"attributes": attributes}
    for part, value in claimed.items():
        if part == "groups":
            if not isinstance(value, list) or sorted(map(str, value)) != sorted(user.groups):
                return "groups"
        elif part not in known or value != known[part]:
            return str(part)
    return ""


def _named(part: str) -> str:
    """A part's name, if it is one that is known: nothing of what was sent is repeated."""
    return part if part in (*_PARTS, "groups", "attributes", FIELD) else "another part"
