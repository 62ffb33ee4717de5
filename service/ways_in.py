"""How people come in, wired: the part of `wiring.py` that is about them."""

from service.core.passphrase import Breaches, NoBreaches
from service.keeper.delays import Delays
from service.keeper.door import Door
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions
from service.people.entering import Entering, NoSecondFactor
from service.people.hashing import Hashing
from service.people.new_passwords import NewPasswords
from service.people.people import People
from service.people.signing_in import SigningIn
from service.people.strength import Strength
from service.settings import Settings


def ways_in(
    settings: Settings, door: Door, recorder: Recorder, waiting: Pendings, delays: Delays, sessions: Sessions
) -> People:
    """The flows of people. Raises Invalid."""
    entering, hashing = Entering(sessions, waiting, NoSecondFactor()), Hashing()
    strength = Strength(breaches(settings))
    return People(
        SigningIn(door, recorder, delays, hashing, entering),
        NewPasswords(door, recorder, waiting, delays, sessions, hashing, strength, entering),
        entering,
    )


def breaches(settings: Settings) -> Breaches:
    """The list of known passwords that the settings name. Raises Invalid."""
    if settings.breached_passwords is None:
        return NoBreaches()
    from providers.breaches import BreachFile

    return BreachFile(settings.breached_passwords)
