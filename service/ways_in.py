"""How people come in, wired: the part of `wiring.py` that is about them."""

from service.core.passphrase import Breaches, NoBreaches
from service.keeper.delays import Delays
from service.keeper.keeper import Keeper
from service.people.entering import Entering
from service.people.factors import second_factors
from service.people.hashing import Hashing
from service.people.new_passwords import NewPasswords
from service.people.people import People
from service.people.second_factor import SecondFactor
from service.people.signing_in import SigningIn
from service.people.strength import Strength
from service.settings import Settings


def ways_in(settings: Settings, keeper: Keeper, delays: Delays) -> People:
    """The flows of people. Raises Invalid."""
    door, recorder, waiting, sessions = keeper.door, keeper.recorder, keeper.pendings, keeper.sessions
    second_factor, hashing = SecondFactor(keeper.factors, waiting), Hashing()
    entering = Entering(sessions, waiting, second_factor)
    parts = (waiting, delays, sessions, keeper.users, hashing, Strength(breaches(settings)), entering)
    return People(
        SigningIn(door, recorder, delays, hashing, entering),
        NewPasswords(door, recorder, *parts),
        entering,
        second_factors(keeper, delays, second_factor, entering, settings.public_url),
    )


def breaches(settings: Settings) -> Breaches:
    """The list of known passwords that the settings name. Raises Invalid."""
    if settings.breached_passwords is None:
        return NoBreaches()
    from providers.breaches import BreachFile

    return BreachFile(settings.breached_passwords)
