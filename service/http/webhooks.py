"""`/webhooks`: signals sent to addresses, and what became of them."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

from service.core.secret import Secret
from service.core.signal import kinds
from service.core.webhook import Delivery, State, Webhook
from service.http import shapes
from service.http.events import moment_of
from service.http.native import native
from service.http.request import (
    Asking,
    Cursor,
    Id,
    IdempotencyKey,
    IfMatch,
    Limit,
    TheKeeper,
    once,
    page,
    position,
    revision,
)
from service.keeper.webhooks import NewWebhook

router = native("signals")


def shown(it: Webhook) -> dict[str, Any]:
    """As it is answered, without its secret."""
    fields = vars(it) | {"environment": it.environment or None, "kinds": list(it.kinds)}
    return shapes.Webhook.model_validate(fields).model_dump(mode="json")


def shown_delivery(it: Delivery) -> dict[str, Any]:
    """As it is answered, without its body."""
    fields = vars(it) | {
        "message": f"msg_{it.id}",
        "signal": None if it.seq is None else str(it.seq),
        "next_at": it.next_at if it.state is State.WAITING else None,
    }
    return shapes.Delivery.model_validate(fields).model_dump(mode="json")


def _made(it: Webhook, secret: Secret) -> dict[str, Any]:
    return shown(it) | {"secret": secret.reveal()}


@router.get("/webhooks", response_model=shapes.page_of(shapes.Webhook))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """Those on what the caller owns."""
    found = keeper.webhooks.listed(caller, position(cursor), limit)
    return page(found, limit, lambda it: it.id, shown)


@router.post("/webhooks", status_code=201, response_model=shapes.MadeWebhook)
def add(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewWebhook, key: IdempotencyKey = None
) -> Response:
    """Have signals sent to an address. The secret that they are signed with is shown only now."""
    chosen = kinds(tuple(body.kinds), "kinds")
    wanted = NewWebhook(body.name, body.url, body.environment or "", body.folder, chosen)

    def act() -> tuple[int, dict[str, Any]]:
        return 201, _made(*keeper.webhooks.add(caller, wanted))

    return once(request, keeper, caller, key, body, act, fresh=False)


@router.get("/webhooks/{webhook_id}", response_model=shapes.Webhook)
def get(response: Response, caller: Asking, keeper: TheKeeper, webhook_id: Id) -> Any:
    """One."""
    it = keeper.webhooks.get(caller, webhook_id)
    response.headers["ETag"] = f'"{it.revision}"'
    return shown(it)


@router.patch("/webhooks/{webhook_id}", response_model=shapes.Webhook)
def change(
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    webhook_id: Id,
    body: shapes.ChangedWebhook,
    if_match: IfMatch = None,
) -> Any:
    """Another address or other kinds; disable it, or enable it again: then it is sent what comes from now on."""
    it = keeper.webhooks.change(
        caller,
        webhook_id,
        url=body.url,
        kinds=None if body.kinds is None else kinds(tuple(body.kinds), "kinds"),
        enabled=body.enabled,
        if_match=revision(if_match),
    )
    response.headers["ETag"] = f'"{it.revision}"'
    return shown(it)


@router.delete("/webhooks/{webhook_id}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, webhook_id: Id, if_match: IfMatch = None) -> None:
    """With its deliveries."""
    keeper.webhooks.remove(caller, webhook_id, if_match=revision(if_match))


@router.post("/webhooks/{webhook_id}/secrets", status_code=201, response_model=shapes.MadeWebhook)
def renew(caller: Asking, keeper: TheKeeper, webhook_id: Id) -> Any:
    """Another secret, shown only now. For a day everything is signed with both."""
    return _made(*keeper.webhooks.renew(caller, webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries", response_model=shapes.page_of(shapes.Delivery))
def deliveries(
    caller: Asking,
    keeper: TheKeeper,
    webhook_id: Id,
    state: Annotated[State | None, Query(description="Only these; `dead`: given up.")] = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """Deliveries, the youngest first."""
    found = keeper.webhooks.deliveries(caller, webhook_id, state, position(cursor), limit)
    return page(found, limit, lambda it: it.id, shown_delivery)


@router.post("/webhooks/{webhook_id}/replays", status_code=202, response_model=shapes.Replay)
def replay(caller: Asking, keeper: TheKeeper, webhook_id: Id, body: shapes.AskReplay) -> Any:
    """Send again: one delivery, or everything from a time on. What was sent before keeps its `webhook-id`."""
    since = moment_of(body.since, "since")
    return vars(keeper.webhooks.replay(caller, webhook_id, delivery_id=body.delivery, since=since))


@router.post("/webhooks/{webhook_id}/tests", status_code=202, response_model=shapes.Delivery)
def test(caller: Asking, keeper: TheKeeper, webhook_id: Id) -> Any:
    """Send something that says it is a test: see under `deliveries` what became of it."""
    return shown_delivery(keeper.webhooks.test(caller, webhook_id))
