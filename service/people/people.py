"""People as a whole: the ways in, by noun, beside the keeper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.people.entering import Entering
from service.people.factors import SecondFactors
from service.people.new_passwords import NewPasswords
from service.people.oidc_flow import OidcFlow
from service.people.saml_flow import SamlFlow
from service.people.signing_in import SigningIn


@dataclass(frozen=True)
class Way:
    """A way to sign in elsewhere: what the button says, and the local path that it leads to."""

    name: str
    path: str


def _no_ways() -> Sequence[Way]:
    return ()


@dataclass(frozen=True)
class People:
    """The flows."""

    signing_in: SigningIn
    new_passwords: NewPasswords
    entering: Entering
    factors: SecondFactors
    oidc: OidcFlow
    saml: SamlFlow
    ways: Callable[[], Sequence[Way]] = field(default=_no_ways)
    """The identity providers to offer."""
    leaving: Callable[[str], str] = field(default=lambda _: "")
    """Where a browser whose session is about to end is sent to leave its provider, too; empty for nowhere."""
