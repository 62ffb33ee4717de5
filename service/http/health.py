"""`/healthz`, `/readyz`, `/metrics`: for machines that watch. They need no caller and tell nothing else."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.core.errors import KeywrightError
from service.core.restoration import REPLICATES
from service.http import shapes
from service.http.native import named

router = APIRouter(tags=["health"], generate_unique_id_function=named)

_HELD = "rotations are held: the ledger's past may have been lost, and every login is probed; see GET /restorations"
_SOME_HELD = (
    "connections that are held until somebody has looked at them, or at those that administer them: {}; "
    "see GET /restorations"
)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "alive"}


@router.get(
    "/readyz", response_model=shapes.Ready, responses={503: {"model": shapes.Ready, "description": "Not ready"}}
)
async def readyz(request: Request) -> Any:
    """The ledger answers and records, and the clock ticks where it should. Warnings leave it ready."""
    state = request.app.state
    try:
        # In threads of its own: whoever watches must not wait behind those who are slow.
        held, number = await to_thread.run_sync(state.keeper.restorations.held_now, limiter=state.probes)
        ledger = state.keeper.recorder.records
    except KeywrightError:
        ledger, held, number = False, False, 0
    clock = state.clock_ticks()
    ready = ledger and clock
    replication = state.keeper.past.replication
    told = [_HELD if held else _SOME_HELD.format(number) if number else "", REPLICATES[replication], *state.warnings()]
    answer = {
        "ready": ready,
        "ledger": ledger,
        "clock": clock,
        "overdue": state.overdue(),
        "held": held,
        "connections_held": number,
        "replication": replication.value,
        "warnings": [sentence for sentence in told if sentence],
    }
    return JSONResponse(answer, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Prometheus text format: counts and ages, no names."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
