"""Passkeys: W3C Web Authentication, level 2, as the relying party.

    begin    a challenge, which waits as a pending and is taken once, whatever comes of it
    answer   the authenticator signs the challenge with the origin that the browser saw, and its own counter

Held to be true of every answer: our origin and relying party id (of `KEYWRIGHT_URL`), the challenge, the user verified
by the authenticator (a PIN, a finger), so that a passkey stands for a password and a second factor in one. No
attestation is asked for: which make an authenticator is of is nobody's business here.

The library is loaded when somebody first uses a passkey: it takes 6 MB, with what it needs.
"""

import base64
import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from service.core.errors import Conflict, Invalid
from service.core.factor import BEGUN, Factor
from service.core.person import User

if TYPE_CHECKING:
    from webauthn.helpers import structs

NAME = "Keywright"
Answer = Mapping[str, Any]
"""What `PublicKeyCredential.toJSON()` gives in the browser."""


@dataclass(frozen=True)
class Made:
    """A key pair that an authenticator made for us."""

    credential_id: str
    public_key: str
    """COSE, in base64url."""
    count: int


class NotShown(Exception):
    """An answer proves nothing. The message is for the log of refusals, and holds nothing of the answer."""


@dataclass(frozen=True)
class Passkeys:
    """What browsers are asked for, and what they answer, at the address under which people reach this server."""

    url: str

    @property
    def host(self) -> str:
        """The name of this server; empty if nobody said."""
        return urlsplit(self.url).hostname or ""

    def require(self) -> str:
        """The relying party id. Raises Conflict where there is none that browsers know."""
        host = self.host
        if not host:
            raise Conflict("passkeys need KEYWRIGHT_URL, the address under which people reach this server")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host
        raise Conflict(
            "passkeys need a name in KEYWRIGHT_URL, since browsers bind them to none that is an address "
            "(on this machine: http://localhost:8420)"
        )

    def creation(self, user: User, challenge: str, held: Iterable[Factor]) -> dict[str, Any]:
        """For `navigator.credentials.create`: a new one for this user, on no authenticator that has one already."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_registration_options(
            rp_id=self.require(),
            rp_name=NAME,
            user_id=bytes.fromhex(user.id),
            user_name=user.email,
            user_display_name=user.name or user.email,
            challenge=_bytes(challenge),
            timeout=int(BEGUN.total_seconds() * 1000),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_named(held),
        )
        return cast("dict[str, Any]", json.loads(webauthn.options_to_json(options)))

    def request(self, challenge: str, held: Iterable[Factor]) -> dict[str, Any]:
        """For `navigator.credentials.get`: one of these, or any that the authenticator has for us if there is none."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=self.require(),
            challenge=_bytes(challenge),
            timeout=int(BEGUN.total_seconds() * 1000),
            allow_credentials=_named(held),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return cast("dict[str, Any]", json.loads(webauthn.options_to_json(options)))

    def made(self, answer: Answer, challenge: str) -> Made:
        """What an authenticator made. Raises NotShown."""
        import webauthn

        try:
            found = webauthn.verify_registration_response(
                credential=dict(answer),
                expected_challenge=_bytes(challenge),
                expected_rp_id=self.require(),
                expected_origin=self.url,
                require_user_verification=True,
            )
        except Exception as error:  # noqa: BLE001 - what strangers send fails in every way that there is
            raise NotShown(type(error).__name__) from None
        return Made(_text(found.credential_id), _text(found.credential_public_key), found.sign_count)

    def count(self, answer: Answer, challenge: str, public_key: str) -> int:
        """The authenticator's counter in an answer that this key signed; it is the ledger's to compare it with the
        former one. Raises NotShown."""
        import webauthn

        try:
            found = webauthn.verify_authentication_response(
                credential=dict(answer),
                expected_challenge=_bytes(challenge),
                expected_rp_id=self.require(),
                expected_origin=self.url,
                credential_public_key=_bytes(public_key),
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception as error:  # noqa: BLE001 - as above
            raise NotShown(type(error).__name__) from None
        return found.new_sign_count


def challenge_in(answer: Answer) -> str:
    """Which challenge an answer says it is to. Nothing is proven by that. Raises Invalid."""
    try:
        said = json.loads(_bytes(answer["response"]["clientDataJSON"]))["challenge"]
    except (KeyError, TypeError, ValueError):
        said = None
    if not isinstance(said, str) or not said.isascii() or len(said) > 200:
        raise Invalid("passkey must be what the browser's authenticator answered", field="passkey")
    return said


def credential_in(answer: Answer) -> str:
    """Which passkey it is of, as its authenticator calls it. Raises Invalid."""
    said = answer.get("id")
    if not isinstance(said, str) or len(said) > 1400:
        raise Invalid("passkey must be what the browser's authenticator answered", field="passkey")
    return said


def _named(held: Iterable[Factor]) -> "list[structs.PublicKeyCredentialDescriptor]":
    from webauthn.helpers import structs

    return [structs.PublicKeyCredentialDescriptor(id=_bytes(each.credential_id)) for each in held if each.credential_id]


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
