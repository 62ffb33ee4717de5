"""Rehearsals: what a rotation that began now would do, stage by stage, with the earliest moment of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from service.core.connection import TlsMode
from service.core.rotation import GRACE, AfterLimit, RotationPolicy, Stage, Strategy
from service.core.schedule import duration_text

PROTECTION = {
    TlsMode.VERIFY_FULL: "encrypted; certificate and host name verified",
    TlsMode.VERIFY_CA: "encrypted; certificate verified, host name not",
    TlsMode.REQUIRE: "encrypted; nothing verified",
    TlsMode.DISABLE: "plain",
}
"""What a mode asks for. There is no fallback from one to another."""


@dataclass(frozen=True)
class Cast:
    """Who takes part."""

    turns: str
    """The login that gets the candidate."""
    live: str
    """The login that applications use now; empty if there is none."""
    role: str
    """`alternating`: the role that both logins act as; else empty."""
    store: str = ""
    """Where the password lives, if that is outside."""


@dataclass(frozen=True)
class Planned:
    """One stage, the earliest moment at which it is reached, and what is done then."""

    stage: Stage
    at: datetime
    sentence: str


def plan(policy: RotationPolicy, cast: Cast, now: datetime, promised_until: datetime | None) -> tuple[Planned, ...]:
    """The stages in their order, if all goes well. `promised_until`: an earlier credential still has to work."""
    return tuple(_stages(policy, cast, now, promised_until))


def _stages(policy: RotationPolicy, cast: Cast, now: datetime, promised_until: datetime | None) -> Iterator[Planned]:
    turns, live, minimum = cast.turns, cast.live, duration_text(policy.drain_minimum)
    waits = promised_until is not None and promised_until > now
    at = promised_until + GRACE if promised_until and waits else now
    yield Planned(
        Stage.PLANNED,
        now,
        "it is asked for, and waits: an earlier credential is still promised" if waits else "it is asked for",
    )
    yield Planned(Stage.STAGED, at, f"a new password for {turns} is sealed; the database has not heard of it")
    if policy.strategy is Strategy.SINGLE and live:
        yield Planned(
            Stage.ANNOUNCED, at, f"applications are offered the live password and the next one, for at least {minimum}"
        )
        at += policy.drain_minimum + GRACE
    yield Planned(Stage.APPLIED, at, _applied(policy.strategy, cast))
    compared = f", and is compared with {live}" if policy.strategy is Strategy.ALTERNATING and live else ""
    yield Planned(Stage.VERIFIED, at, f"{turns} logs in with it on every required endpoint{compared}")
    kept = f"it is written to {cast.store} and read back; then it" if cast.store else "it"
    yield Planned(Stage.PUBLISHED, at, f"{kept} is what applications get first")
    if not live:
        yield Planned(Stage.RETIRED, at, "there is no former credential to retire")
        return
    yield Planned(Stage.DRAINING, at, _drained(policy, live, minimum))
    if policy.strategy is not Strategy.SINGLE:
        at += policy.drain_minimum + GRACE
    yield Planned(Stage.RETIRED, at, _retired(policy.strategy, cast))


def _applied(strategy: Strategy, cast: Cast) -> str:
    match strategy:
        case Strategy.ALTERNATING:
            return f"{cast.turns} is made, or brought in line, as a login of its own that acts as the role {cast.role}"
        case Strategy.OVERLAPPING:
            return f"{cast.turns} gets it as a second password beside the present one; both work"
        case Strategy.SINGLE:
            return f"it replaces the present password of {cast.turns} at once; who holds both tries the other one"


def _drained(policy: RotationPolicy, live: str, minimum: str) -> str:
    limit = duration_text(policy.drain_limit)
    after = {
        AfterLimit.RETIRE: "then it is retired all the same",
        AfterLimit.END: "then their sessions are ended",
        AfterLimit.ALERT: "then somebody is told, and it waits on",
        AfterLimit.WAIT: "and longer, for as long as somebody is seen",
    }[policy.after_limit]
    match policy.strategy:
        case Strategy.ALTERNATING:
            return f"{live} works for at least {minimum}, and until nobody is connected as it, up to {limit}; {after}"
        case Strategy.OVERLAPPING:
            return (
                f"the former password works for at least {minimum}, and until nobody holds it, up to {limit}; {after}"
            )
        case Strategy.SINGLE if policy.after_limit is AfterLimit.RETIRE:
            return "nothing is waited for: the former password has ended; open sessions go on until they end"
        case Strategy.SINGLE:
            return f"the former password has ended; sessions from before are waited for, up to {limit}; {after}"


def _retired(strategy: Strategy, cast: Cast) -> str:
    if strategy is Strategy.ALTERNATING and cast.live == cast.role:
        return f"{cast.live} is the shared role from then on, and keeps its password until an operator makes it NOLOGIN"
    if strategy is Strategy.ALTERNATING:
        return f"the password of {cast.live} is replaced by one that nobody is given, and the old one shown to be dead"
    if strategy is Strategy.OVERLAPPING:
        return "the former password is dropped, and shown to be dead"
    return "the former password is shown to be dead"
