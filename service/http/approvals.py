"""`/approvals`, `/environments/{env}/break-glass`: what waits for a second person, and going without one.

How one is asked for: see `agreement.py`.
"""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.core.approval import OPEN, Approval, BreakGlass, State
from service.http import agreement, shapes
from service.http.fetching import Fetching
from service.http.native import native
from service.http.peer import peer_of
from service.http.request import Asking, Cursor, Id, IdempotencyKey, Limit, TheKeeper, Wait, Who, once, page, position
from service.http.shapes.approvals import shown
from service.http.waiting import Waiting
from service.keeper.snapshot import key_of_approval

router = native("approvals")

_FINAL = {400, 403, 404, 409, 412, 413, 415, 422, 424}
"""What is answered so will not be otherwise if it is tried once more."""


def shown_glass(it: BreakGlass) -> dict[str, Any]:
    """As it is answered."""
    return shapes.BreakGlass.model_validate(vars(it)).model_dump(mode="json")


@router.get("/approvals", response_model=shapes.page_of(shapes.Approval))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word | None = None,
    state: Annotated[State | None, Query(description="Only those that stand there; `asked` is what waits.")] = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """One's own, and those that one could decide on, the youngest first."""
    states = (state,) if state else ()
    found = keeper.approvals.listed(caller, environment, states, position(cursor), limit)
    return page(found, limit, lambda it: it.id, shown)


@router.get("/approvals/{approval_id}", response_model=shapes.Approval)
async def get(
    request: Request,
    caller: Asking,
    who: Who,
    keeper: TheKeeper,
    waiting: Waiting,
    approval_id: Id,
    wait: Wait = 0,
) -> Any:
    """One approval, with what it would change. `wait` until somebody decided, or it went on from where it stands."""
    first = await run_in_threadpool(keeper.approvals.get, caller, approval_id)
    if not wait or first.state not in OPEN:
        return shown(first)
    fetching: Fetching = request.app.state.fetching

    async def look() -> Approval:
        return await run_in_threadpool(keeper.approvals.peek, await fetching.caller(who), approval_id)

    def moved(now: Approval) -> bool:
        return now.state is not first.state

    keys = {key_of_approval(approval_id)}
    return shown(await waiting.until(keys, look, moved, wait, peer_of(request.scope)))


@router.post("/approvals/{approval_id}/decision", response_model=shapes.Approval)
def decide(caller: Asking, keeper: TheKeeper, approval_id: Id, body: shapes.Decide) -> Any:
    """Agree, or refuse: another person, who owns what it is about, with a fresh second factor."""
    return shown(keeper.approvals.decide(caller, approval_id, agrees=body.decision == "approve", note=body.note))


@router.post("/approvals/{approval_id}/withdraw", response_model=shapes.Approval)
def withdraw(caller: Asking, keeper: TheKeeper, approval_id: Id) -> Any:
    """Who asked wants it no more."""
    return shown(keeper.approvals.withdraw(caller, approval_id))


@router.post(
    "/approvals/{approval_id}/apply",
    response_model=None,
    responses={200: {"description": "What the request that was asked for answers: its status, headers and body"}},
)
async def apply(request: Request, caller: Asking, keeper: TheKeeper, approval_id: Id) -> Response:
    """Do what was asked for and agreed to, once, by who asked. It is judged anew; what would be another change by now
    is refused, and must be asked for again."""
    _, kept, carried = await run_in_threadpool(keeper.approvals.applied, caller, approval_id)
    answer = await agreement.again(request, kept, carried)
    if answer.status_code in _FINAL:
        why = f"it was tried, and answered {answer.status_code}"
        await run_in_threadpool(keeper.approvals.failed, caller, approval_id, why)
    return answer


@router.post("/environments/{environment}/break-glass", status_code=201, response_model=shapes.BreakGlass)
def take(
    request: Request,
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    body: shapes.TakeBreakGlass,
    key: IdempotencyKey = None,
) -> Response:
    """Go without approvals for some minutes. Everybody concerned is told."""

    def act() -> tuple[int, dict[str, Any]]:
        return 201, shown_glass(keeper.break_glasses.take(caller, environment, body.reason, body.minutes))

    return once(request, keeper, caller, key, body, act, fresh=True)


@router.get("/environments/{environment}/break-glass", response_model=shapes.page_of(shapes.BreakGlass))
def glasses(
    caller: Asking, keeper: TheKeeper, environment: shapes.Word, cursor: Cursor = "", limit: Limit = 100
) -> Any:
    """Who went without approvals, and why; the youngest first."""
    found = keeper.break_glasses.listed(caller, environment, position(cursor), limit)
    return page(found, limit, lambda it: it.id, shown_glass)


@router.delete("/break-glass/{glass_id}", response_model=shapes.BreakGlass)
def end(caller: Asking, keeper: TheKeeper, glass_id: Id) -> Any:
    """End it before its time."""
    return shown_glass(keeper.break_glasses.end(caller, glass_id))
