"""Everything about second factors, put together once."""

from dataclasses import dataclass

from service.keeper.door import Door
from service.keeper.factors import Factors
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions
from service.people.challenges import Challenges
from service.people.enrolment import Enrolment
from service.people.passkey_sign_in import PasskeySignIn
from service.people.passkeys import Passkeys
from service.people.second_factor import SecondFactor
from service.people.showing import Showing
from service.people.step_up import StepUp


@dataclass(frozen=True)
class SecondFactors:
    """How second factors are added, and where they are shown."""

    enrolment: Enrolment
    second_factor: SecondFactor
    passkey_sign_in: PasskeySignIn
    step_up: StepUp


def second_factors(
    door: Door,
    recorder: Recorder,
    factors: Factors,
    pendings: Pendings,
    sessions: Sessions,
    *,
    key: bytes,
    url: str,
) -> SecondFactors:
    """Of one installation: `key` is what all its replicas have, `url` where people reach it."""
    passkeys, challenges = Passkeys(url), Challenges(key, door.randomness)
    showing = Showing(factors, challenges, passkeys)
    enrolment = Enrolment(door, factors, pendings, challenges, passkeys)
    return SecondFactors(
        enrolment,
        SecondFactor(door, recorder, factors, pendings, sessions, enrolment, showing),
        PasskeySignIn(door, recorder, sessions, showing),
        StepUp(door, factors, showing),
    )
