"""Step-up: what asks a person for a fresh second factor, however it is signed in.

    secrets revealed, passwords turned by hand, grants, tokens, proofs of machines, people's factors,
    identity providers, settings

    who asks                                    settings.step_up = 0    else
    a machine, a token of its own, the system   passes                  passes
    a person, factor shown since step_up        passes                  passes
    a person, shown before, or never            passes                  FactorNeeded: show it
    a person who has none                       passes                  FactorNeeded: add one first
    a token of a person's own                   passes                  FactorNeeded: sign in, or use a machine

An identity provider that is trusted for factors counts as having been shown one when it says so.
"""

from datetime import datetime, timedelta

from service.core.access import Caller
from service.core.errors import FactorNeeded
from service.core.person import Settings

ADD = "add one first, on the page /factors or by `keywright factor add` (POST /api/v1/factors/totp)"
SHOW = "show your second factor (POST /api/v1/session/factor) and repeat the request"


def fresh(caller: Caller, settings: Settings, now: datetime, what: str) -> None:
    """Let pass whoever showed a second factor lately, or is asked for none. Raises FactorNeeded; `what` begins it."""
    user = caller.user
    if user is None or settings.step_up == 0:
        return
    if not user.session:
        raise FactorNeeded(
            f"{what} needs a second factor, which a token of your own cannot show: sign in for it, "
            "or use a machine's token for what runs by itself"
        )
    if user.factor_at is not None and now < user.factor_at + timedelta(seconds=settings.step_up):
        return
    if not user.factors and user.factor_at is None:
        raise FactorNeeded(f"{what} needs a second factor, and you have none yet: {ADD}")
    raise FactorNeeded(f"{what} needs a second factor that was shown in the last {_spoken(settings.step_up)}: {SHOW}")


def first(caller: Caller, settings: Settings, now: datetime, what: str) -> None:
    """As `fresh`, but who has no factor yet may have signed in lately instead: how a first one is added.

    A session that somebody else got hold of is no way to a factor of theirs.
    """
    user = caller.user
    if user is None or settings.step_up == 0:
        return
    if user.session and not user.factors and user.factor_at is None and user.signed_in_at is not None:
        if now < user.signed_in_at + timedelta(seconds=settings.step_up):
            return
        raise FactorNeeded(f"{what} needs a sign-in in the last {_spoken(settings.step_up)}: sign in again")
    fresh(caller, settings, now, what)


def _spoken(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if rest or not minutes:
        return f"{seconds} seconds"
    return f"{minutes} minutes" if minutes > 1 else "minute"
