"""`/users/{id}/invitations`, `/users/{id}/password`: how owners of people let somebody in."""

from typing import Any

from fastapi import Request

from service.core.secret import Secret
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Id, IdempotencyKey, TheKeeper, hashing, once
from service.http.sessions import people_of

router = native("people")
PAGE = "/sign-in/invitation"
"""Where the text of an invitation is typed in."""


@router.post("/users/{user_id}/invitations", status_code=201, response_model=shapes.Invitation)
def invite(request: Request, caller: Asking, keeper: TheKeeper, user_id: Id, key: IdempotencyKey = None) -> Any:
    """Make a text by which a user chooses a password, once; one that was made before is of no use any more."""

    def act() -> tuple[int, dict[str, Any]]:
        made = keeper.invitations.add(caller, user_id)
        url: str = request.app.state.url
        fields = {
            "user": {"id": made.user.id, "email": made.user.email, "name": made.user.name},
            "text": made.text.reveal(),
            "address": f"{url}{PAGE}" if url else None,
            "expires_at": made.expires_at,
        }
        return 201, shapes.Invitation.model_validate(fields).model_dump(mode="json")

    return once(request, keeper, caller, key, shapes.Request(), act, fresh=True)


@router.put("/users/{user_id}/password", status_code=204)
async def set_for(request: Request, caller: Asking, user_id: Id, body: shapes.SetPassword) -> None:
    """Set somebody's password, which that one has to change at the next sign-in. An invitation does without."""
    new, password = people_of(request).new_passwords, Secret(body.password)
    await hashing(request, lambda: new.set_for(caller, user_id, password))
