"""Second factors on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from service.http.shapes.words import Answer, Request

FactorName = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["phone", "the key on my desk"])
]
OneTimeCode = Annotated[str, Field(min_length=6, max_length=7, pattern=r"^[0-9]{3} ?[0-9]{3}$", examples=["492 039"])]
RecoveryCode = Annotated[str, Field(max_length=40, pattern=r"^[0-9A-Za-z -]{16,40}$", examples=["7h2k-9xqf-m3wd-0tzr"])]
PasskeyAnswer = Annotated[
    dict[str, Any],
    Field(max_length=20, description="What the browser's authenticator answered: `PublicKeyCredential.toJSON()`."),
]
Waits = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
FactorId = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{1,64}$")]


class Factor(Answer):
    """A second factor; never its secret."""

    id: str
    kind: Literal["totp", "passkey"]
    name: str
    created_at: datetime
    last_used_at: datetime | None


class FactorPage(Answer):
    """All second factors of a user: there are ten at the most."""

    items: list[Factor]
    next: None = None
    recovery_codes_left: int
    required: bool = Field(description="By the settings, or by one of the groups that the user is in.")


class NewTotp(Request):
    """A second factor of an authenticator app."""

    name: FactorName


class BegunTotp(Answer):
    """A secret that counts once a first code of it was shown. All of this is told only now."""

    id: str
    secret: str = Field(description="In base 32, for apps without a camera.")
    uri: str = Field(description="`otpauth://`, as the QR code has it.")
    svg: str = Field(description="The QR code.")
    text: str = Field(description="The QR code for terminals.")


class Confirmation(Request):
    """A first code."""

    code: OneTimeCode


class PasskeyOptions(Answer):
    """What the browser is to ask an authenticator for."""

    public_key: dict[str, Any] = Field(
        description="For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`."
    )


class NewPasskey(Request):
    """What an authenticator made."""

    name: FactorName
    passkey: PasskeyAnswer


class AddedFactor(Factor):
    """A second factor that counts from now on."""

    recovery_codes: list[str] | None = Field(description="With the first one; told only now.")
    csrf: str | None = Field(
        description="Where the session comes in a cookie: it goes on with another one, and with this in X-CSRF-Token."
    )


class RecoveryCodes(Answer):
    """Ten codes, each of which is good once. Told only now; the former ones are of no use any more."""

    recovery_codes: list[str]


class WaitingSignIn(Request):
    """A sign-in that waits for its second factor, by the text that the first half of it was answered with."""

    pending: Waits


class EnrolTotp(WaitingSignIn):
    """A first second factor, of an authenticator app, for who cannot sign in without one."""

    name: FactorName


class AskedChallenge(Request):
    """What a challenge is for: without `pending`, to step up in the session that asks."""

    pending: Waits | None = None


class PasskeyOnly(Request):
    """A passkey that stands for everything else."""

    passkey: PasskeyAnswer


class FirstCode(Request):
    """A first code of an authenticator app that was added just now."""

    id: FactorId
    code: OneTimeCode


_SHOWN = ("code", "recovery_code", "passkey", "first_code", "first_passkey")
_ONE: JsonDict = {"oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in _SHOWN]}


class ShowFactor(Request):
    """A second factor: one of the five. With `pending` a sign-in ends, without it the session that asks steps up."""

    model_config = ConfigDict(json_schema_extra=_ONE)

    pending: Waits | None = None
    code: OneTimeCode | None = None
    recovery_code: RecoveryCode | None = None
    passkey: PasskeyAnswer | None = None
    first_code: FirstCode | None = Field(None, description="With `pending`, for who had none.")
    first_passkey: NewPasskey | None = Field(None, description="With `pending`, for who had none.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, name) is not None for name in _SHOWN) != 1:
            raise ValueError(f"exactly one of {', '.join(_SHOWN)} is needed")
        if self.pending is None and (self.first_code or self.first_passkey):
            raise ValueError("first_code and first_passkey end a sign-in: pending is needed")
        return self
