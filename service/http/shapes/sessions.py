"""People who are signed in, and their passwords, on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.core.passphrase import LONGEST
from service.core.person import LONGEST_EMAIL
from service.http.shapes.words import Answer, Request

Email = Annotated[
    str,
    Field(min_length=3, max_length=LONGEST_EMAIL, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["ada@keywright.example"]),
]
ChosenPassword = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]+$")]
Shown = Annotated[str, Field(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


class SignIn(Request):
    """With a password that is kept here."""

    email: Email
    password: ChosenPassword


class NewPassword(Request):
    """The password to be, and what allows it."""

    text: Shown = Field(description="The text of an invitation, or `pending` of an answer that asked for it.")
    password: ChosenPassword


class ChangePassword(Request):
    """One's own password."""

    old: ChosenPassword
    new: ChosenPassword


class SetPassword(Request):
    """Somebody else's password, which that one has to change."""

    password: ChosenPassword


class SessionUser(Answer):
    """Whose session it is."""

    id: str
    email: str
    name: str


class Session(Answer):
    """Somebody is signed in."""

    id: str
    user: SessionUser
    method: str = Field(description="password, passkey, oidc:NAME or saml:NAME")
    signed_in_at: datetime
    factor_at: datetime | None = Field(description="When a second factor was shown.")
    last_seen_at: datetime = Field(description="Noted now and then, not with every request.")
    expires_at: datetime = Field(description="Without a request until then it ends; it moves on with use, until:")
    ends_at: datetime
    address: str
    agent: str
    current: bool = Field(description="It is the one that asks.")


class OwnSession(Session):
    """The caller's."""

    csrf: str = Field(description="For the header X-CSRF-Token, where the session comes in a cookie.")


class Pending(Answer):
    """What has to be shown before there is a session."""

    pending: str = Field(description="Shown with it; it lasts for ten minutes.")


class PendingFactor(Pending):
    """A second factor has to be shown."""

    kinds: list[str] = Field(description="Which there are: totp, passkey. None: one has to be added first.")


class Entered(Answer):
    """Signed in, with a cookie; or something has to be shown first."""

    session: Session | None
    csrf: str | None
    factor: PendingFactor | None = Field(description="A second factor, at POST /session/factor.")
    password: Pending | None = Field(description="A new password, at POST /session/new-password.")
    recovery_codes: list[str] | None = Field(None, description="Where a first factor was added; told only now.")


class Invitation(Answer):
    """An invitation to choose a password."""

    user: SessionUser
    text: str = Field(description="Shown only now; good once.")
    address: str | None = Field(description="Where it is typed in, if this server knows its own address.")
    expires_at: datetime
