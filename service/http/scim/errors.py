"""Errors at the SCIM door (RFC 7644, 3.12).

    Invalid        400  invalidValue        Unauthenticated  401            Absent    404
    no JSON        400  invalidSyntax       Forbidden        403            Outdated  412
    Taken          409  uniqueness          Conflict         409            TooLarge  413

Whatever else there is has the status that it has at the native door.
"""

from scim2_models import (
    ConflictException,
    ForbiddenException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    SCIMException,
    UnauthorizedException,
    UniquenessException,
)

from service.core import errors
from service.core.directory import Taken
from service.core.errors import KeywrightError
from service.http import problems

_CLASSES: dict[type[KeywrightError], type[SCIMException]] = {
    errors.Invalid: InvalidValueException,
    errors.Unauthenticated: UnauthorizedException,
    errors.Forbidden: ForbiddenException,
    errors.Absent: NotFoundException,
    Taken: UniquenessException,
    errors.Conflict: ConflictException,
    errors.Outdated: PreconditionFailedException,
}


def scim_error(error: KeywrightError) -> SCIMException:
    """An error of ours in SCIM's words."""
    for kind in type(error).__mro__:
        if kind in _CLASSES:
            return _CLASSES[kind](detail=error.message)
    said = SCIMException(detail=error.message)
    said.status, _, _ = problems.looked_up(error)
    return said
