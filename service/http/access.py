"""`/access/…`: why somebody may do something, and what a rule would come to."""

from typing import Annotated, Any, Literal

from fastapi import Query

from service.core.names import PATH, SEGMENT
from service.core.person import attributes
from service.http import shapes
from service.http.events import moment_of
from service.http.native import native
from service.http.request import Asking, TheKeeper
from service.keeper.explaining import Considered, TriedUser

router = native("access")

WHOM = r"^((user:)?[!-?A-~]+@[!-?A-~]+|(group|machine|token):[^\x00-\x1f\x7f]+)?$"
WHAT = (
    rf"^(everything|people|settings|machine:{PATH}|environment:{SEGMENT}"
    rf"|(variable|folder|connection|policy):{SEGMENT}/{PATH})$"
)
Whom = Annotated[
    str,
    Query(
        max_length=260,
        pattern=WHOM,
        description="An address, or `user:`, `group:`, `machine:`, `token:` and a name; empty: oneself.",
    ),
]
Resource = Annotated[
    str,
    Query(
        min_length=1,
        max_length=420,
        pattern=WHAT,
        description="`everything`, `people`, `settings`, `machine:NAME`, `environment:NAME`, or `variable:`, "
        "`folder:`, `connection:`, `policy:` with `ENVIRONMENT/NAME`.",
    ),
]


def _considered(it: Considered) -> dict[str, Any]:
    grant = it.grant
    return {
        "level": grant.level.word,
        "kind": grant.kind.value,
        "environment": it.environment,
        "path": grant.path,
        "rule": grant.rule,
        "by": list(it.path),
        "enough": it.enough,
        "holds": it.holds,
    }


@router.get("/access/explain", response_model=shapes.Explained)
def explain(
    asking: Asking,
    keeper: TheKeeper,
    action: Annotated[Literal["use", "edit", "own"], Query()],
    resource: Resource,
    caller: Whom = "",
    address: Annotated[
        str, Query(max_length=45, pattern=r"^[0-9A-Fa-f:.]*$", description="Where it would come from, for rules.")
    ] = "",
) -> Any:
    """Which grant lets somebody do something, by which groups; or what is missing."""
    it = keeper.explaining.explain(asking, caller, action, resource, address)
    return {
        "caller": it.name,
        "kind": it.kind,
        "action": action,
        "resource": resource,
        "allowed": it.decided is not None,
        "level": it.level.word if it.level else None,
        "decided_by": _considered(it.decided) if it.decided else None,
        "missing": it.missing,
        "considered": [_considered(each) for each in it.considered],
    }


@router.post("/access/rules/trials", response_model=shapes.TriedRule)
def try_rule(caller: Asking, keeper: TheKeeper, body: shapes.TryRule) -> Any:
    """Look at a rule, and at what it comes to for a caller that is made up. Nothing is kept."""
    user, at = None, moment_of(body.at, "at")
    if body.user is not None:
        it = body.user
        kept, groups = attributes(it.attributes), tuple(it.groups)
        user = TriedUser(it.id, it.email, it.name, groups, kept, it.method, it.signed_in, it.factor_age)
    return {"holds": keeper.explaining.tried(caller, body.rule, user, body.machine or "", body.address, at)}
