"""How people come in, wired: the part of `wiring.py` that is about them."""

from dataclasses import dataclass

from service.core.openid import SignIns, SignOuts
from service.core.passphrase import Breaches, NoBreaches
from service.core.saml import SamlMetadata, SamlSignIns, SamlSignOuts
from service.keeper.delays import Delays
from service.keeper.keeper import Keeper
from service.people.arrivals import Arrivals
from service.people.entering import Entering
from service.people.factors import second_factors
from service.people.hashing import Hashing
from service.people.new_passwords import NewPasswords
from service.people.oidc_flow import OidcFlow
from service.people.people import People, Way
from service.people.saml_flow import SamlFlow
from service.people.second_factor import SecondFactor
from service.people.signing_in import SigningIn
from service.people.strength import Strength
from service.settings import Settings


@dataclass(frozen=True)
class Outside:
    """Who talks with identity providers."""

    openid: SignIns
    openid_over: SignOuts
    saml: SamlSignIns
    saml_over: SamlSignOuts
    saml_metadata: SamlMetadata


def ways_in(settings: Settings, keeper: Keeper, delays: Delays, outside: Outside) -> People:
    """The flows of people. Raises Invalid."""
    door, recorder, waiting, sessions = keeper.door, keeper.recorder, keeper.pendings, keeper.sessions
    second_factor, hashing = SecondFactor(keeper.factors, waiting), Hashing()
    entering = Entering(sessions, waiting, second_factor)
    parts = (waiting, delays, sessions, keeper.users, hashing, Strength(breaches(settings)), entering)
    providers, here = keeper.identity_providers, settings.public_url
    arrivals = Arrivals(door, recorder, waiting, entering)
    oidc = OidcFlow(door, waiting, providers, arrivals, outside.openid, outside.openid_over, here)
    said, over, about = outside.saml, outside.saml_over, outside.saml_metadata
    saml = SamlFlow(door, waiting, providers, arrivals, said, over, about, here)
    return People(
        SigningIn(door, recorder, delays, hashing, entering),
        NewPasswords(door, recorder, *parts),
        entering,
        second_factors(keeper, delays, second_factor, entering, here),
        oidc,
        saml,
        lambda: [Way(it.name, f"/sign-in/{it.definition.kind}/{it.name}") for it in providers.offered()],
        lambda token_id: oidc.leaving(token_id) or saml.leaving(token_id),
    )


def breaches(settings: Settings) -> Breaches:
    """The list of known passwords that the settings name. Raises Invalid."""
    if settings.breached_passwords is None:
        return NoBreaches()
    from providers.breaches import BreachFile

    return BreachFile(settings.breached_passwords)
