"""`/settings`: what holds for everybody."""

from dataclasses import asdict
from typing import Any

from fastapi import Response

from service.core.person import Settings
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, IfMatch, TheKeeper, revision

router = native("settings")


def shown(response: Response, it: Settings) -> dict[str, Any]:
    """As it is answered, with its tag."""
    response.headers["ETag"] = f'"{it.revision}"'
    return asdict(it) | {"second_factor": "required" if it.second_factor_required else "optional"}


@router.get("/settings", response_model=shapes.Settings)
def get(response: Response, caller: Asking, keeper: TheKeeper) -> Any:
    """The settings."""
    return shown(response, keeper.settings.get(caller))


@router.patch("/settings", response_model=shapes.Settings)
def change(
    response: Response, caller: Asking, keeper: TheKeeper, body: shapes.ChangedSettings, if_match: IfMatch = None
) -> Any:
    """Change what is given, for everybody, at once."""
    given = body.model_dump(exclude_none=True)
    if "second_factor" in given:
        given["second_factor_required"] = given.pop("second_factor") == "required"
    return shown(response, keeper.settings.change(caller, given, revision(if_match)))
