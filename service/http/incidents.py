"""`/environments/{env}/incidents`, `/incidents/{id}`: everything in a folder rotated now, and watched."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, Id, IdempotencyKey, Limit, TheKeeper, once, page, position
from service.keeper.incidents import Account, Plan, Wanted

router = native("incidents")


def shown(it: Account) -> dict[str, Any]:
    """As it is answered."""
    progress = it.progress
    fields = {name: value for name, value in vars(it.incident).items() if name not in ("environment_id", "next_at")}
    fields |= {
        "total": progress.total,
        "waiting": progress.waiting,
        "stages": progress.stages,
        "skipped": [vars(skipped) for skipped in progress.skipped],
        "troubles": [vars(trouble) for trouble in progress.troubles],
    }
    return shapes.Incident.model_validate(fields).model_dump(mode="json")


def planned(it: Plan) -> dict[str, Any]:
    """As it is answered."""
    skipped = [vars(skipped) for skipped in it.skipped]
    fields = {"connections": list(it.connections), "skipped": skipped, "lasts": it.lasts.total_seconds()}
    return shapes.IncidentPlan.model_validate(fields).model_dump(mode="json")


@router.post(
    "/environments/{environment}/incidents",
    status_code=202,
    response_model=shapes.Incident,
    responses={200: {"model": shapes.IncidentPlan, "description": "What it would do: a dry run"}},
)
def begin(
    request: Request,
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    body: shapes.BeginIncident,
    key: IdempotencyKey = None,
) -> Response:
    """Rotate everything in a folder, now. Open rotations are joined; what has no rotation policy is skipped."""
    wanted = Wanted(body.folder, body.reason, body.emergency, body.per_minute)

    def act() -> tuple[int, dict[str, Any]]:
        if body.dry_run:
            return 200, planned(keeper.incidents.rehearse(caller, environment, wanted))
        account = keeper.incidents.begin(caller, environment, wanted)
        request.app.state.poke()
        return 202, shown(account)

    return once(request, keeper, caller, key, body, act, fresh=not body.dry_run)


@router.get("/environments/{environment}/incidents", response_model=shapes.page_of(shapes.Incident))
def listed(caller: Asking, keeper: TheKeeper, environment: shapes.Word, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """Incidents, the youngest first."""
    found = keeper.incidents.listed(caller, environment, position(cursor), limit)
    return page(found, limit, lambda it: it.incident.id, shown)


@router.get("/incidents/{incident_id}", response_model=shapes.Incident)
def get(caller: Asking, keeper: TheKeeper, incident_id: Id) -> Any:
    """One incident: how far it is, and what went wrong."""
    return shown(keeper.incidents.get(caller, incident_id))


@router.post("/incidents/{incident_id}/cancel", response_model=shapes.Incident)
def cancel(caller: Asking, keeper: TheKeeper, incident_id: Id) -> Any:
    """No further rotations begin; those under way go on."""
    return shown(keeper.incidents.cancel(caller, incident_id))


@router.post("/incidents/{incident_id}/resume", response_model=shapes.Incident)
def resume(request: Request, caller: Asking, keeper: TheKeeper, incident_id: Id) -> Any:
    """Go on with a cancelled one."""
    account = keeper.incidents.resume(caller, incident_id)
    request.app.state.poke()
    return shown(account)
