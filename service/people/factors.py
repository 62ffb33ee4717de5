"""Everything about second factors, put together once."""

from dataclasses import dataclass

from service.keeper.delays import Delays
from service.keeper.keeper import Keeper
from service.people.challenges import Challenges
from service.people.enrolment import Enrolment
from service.people.entering import Entering
from service.people.passkey_sign_in import PasskeySignIn
from service.people.passkeys import Passkeys
from service.people.second_factor import SecondFactor
from service.people.second_half import SecondHalf
from service.people.showing import Showing
from service.people.step_up import Freshening, StepUp


@dataclass(frozen=True)
class SecondFactors:
    """How second factors are added, and where they are shown."""

    enrolment: Enrolment
    second_half: SecondHalf
    passkey_sign_in: PasskeySignIn
    step_up: StepUp


def second_factors(
    keeper: Keeper, delays: Delays, second_factor: SecondFactor, entering: Entering, url: str
) -> SecondFactors:
    """Of one installation; `url` is where people reach it."""
    door = keeper.door
    passkeys, challenges = Passkeys(url), Challenges(keeper.keyrings.tag_key(), door.randomness)
    showing, freshening = Showing(keeper.factors, challenges, passkeys), Freshening(keeper.sessions)
    enrolment = Enrolment(door, keeper.factors, keeper.pendings, challenges, passkeys, freshening)
    return SecondFactors(
        enrolment,
        SecondHalf(door, keeper.recorder, delays, second_factor, enrolment, showing, entering),
        PasskeySignIn(door, keeper.recorder, delays, showing, entering),
        StepUp(door, delays, keeper.factors, showing, freshening),
    )
