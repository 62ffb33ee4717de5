"""The settings that hold for everybody, on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from service.http.shapes.words import Answer, Request, Whole

SecondFactor = Literal["optional", "required"]


class ChangedSettings(Request):
    """What is to be changed; what is left out stays."""

    local_sign_in: bool | None = Field(
        None, description="May people sign in with a password kept here? Users for emergencies may, always."
    )
    second_factor: SecondFactor | None = Field(None, description="Must everybody have one?")
    step_up: Annotated[int, Field(ge=0, le=86_400), Whole] | None = Field(
        None, description="Seconds that a second factor counts as fresh; 0: none is asked for."
    )
    session_idle: Annotated[int, Field(ge=60, le=30 * 86_400), Whole] | None = Field(
        None, description="Seconds without a request after which a session ends."
    )
    session_life: Annotated[int, Field(ge=300, le=90 * 86_400), Whole] | None = Field(
        None, description="Seconds after which it ends in any case; not less than `session_idle`."
    )
    password_length: Annotated[int, Field(ge=8, le=128), Whole] | None = None
    password_days: Annotated[int, Field(ge=0, le=3650), Whole] | None = Field(
        None, description="Days after which a password must be changed; 0: never."
    )
    invite_days: Annotated[int, Field(ge=1, le=90), Whole] | None = Field(
        None, description="Days that an invitation is good for."
    )
    scim_adopts: bool | None = Field(
        None,
        description="Does SCIM take over a user whom somebody else made, when it is to make one of that address? "
        "Owners of everything switch it on.",
    )


class Settings(Answer):
    """What administrators decide for everybody."""

    local_sign_in: bool
    second_factor: SecondFactor
    step_up: int
    session_idle: int
    session_life: int
    password_length: int
    password_days: int
    invite_days: int
    scim_adopts: bool
    revision: int
