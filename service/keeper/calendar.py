"""From schedules to moments: cron expressions by cronsim, time zones by the IANA database.

cronsim is asked about a bare clock, without a zone, and the clocks' changes are settled here: with a zone
it leaves out a step such as `*/20 2 * * *` in spring, runs it twice in autumn, and may answer with a
moment before the one that it was asked about. The rules, for every zone and every size of change:

    an expression that names every hour (`30 * * * *`)   runs each time that the clock shows it: hours stay hours
    any other, at a local time that is left out          runs once, at the first instant after the gap
    any other, at a local time that comes twice          runs once, the first time

Whether a window is open is read off the local clock: one from 02:00 to 02:30 opens twice when 02:00 does.
"""

import importlib.resources
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from heapq import heappop, heappush
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from service.core.errors import Invalid
from service.core.schedule import Alert, Decision, Missed, Run, Schedule, Wait, duration_text, jitter, utc
from service.core.sealed import Randomness

HORIZON = timedelta(days=5 * 366)
OCCURRENCES = 400
"""How many are looked at for the shortest period: more than a year of a daily schedule."""
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
_LONGEST_TURN = timedelta(hours=3)
"""No clock is set back by more."""


class CronCalendar:
    """`service.core.schedule.Calendar`, and what a scheduler asks besides. It keeps nothing."""

    def next_due(self, schedule: Schedule, after: datetime, draw: Randomness) -> datetime | None:
        """The next moment strictly after `after`: the scheduled one, or the next allowed one, and the jitter.

        "every" counts from `after`. The jitter never leaves the window: it is drawn from what is left of
        it. None: cron names no moment within five years, or none is allowed within five years of it.
        """
        base = _base(schedule, utc(after))
        if base is None:
            return None
        return base + jitter(_room(schedule, base), draw)

    def allowed(self, schedule: Schedule, moment: datetime) -> bool:
        """Is a moment inside the windows and outside the blackouts?"""
        return schedule.permits(_wall(utc(moment), _zone(schedule)))

    def missed(self, schedule: Schedule, due: datetime, now: datetime, draw: Randomness) -> Decision:
        """What to do at `now` about a run that was due at `due`.

        Within the grace it is in time and runs. Later, its policy says: run (`run_now`, in a window or
        not); run at the next allowed moment, perhaps now (`next_window`); or give it up (`alert`, which is
        also the answer when no moment is allowed within five years).
        """
        due, now = utc(due), utc(now)
        if due > now:
            return Wait(due)
        if now - due <= schedule.grace or schedule.missed is Missed.RUN_NOW:
            return Run()
        if schedule.missed is Missed.ALERT:
            return Alert(self.next_due(schedule, now, draw))
        moment = _opening(schedule, now)
        if moment is None:
            return Alert(None)
        return Run() if moment == now else Wait(moment)

    def opening(self, schedule: Schedule, moment: datetime) -> datetime | None:
        """The first moment from `moment` on that windows and blackouts allow; None if none is within five years."""
        return _opening(schedule, utc(moment))

    def check(self, schedule: Schedule, drain_minimum: timedelta, now: datetime) -> None:
        """Raises Invalid, naming the field, if the schedule never runs or its period is too short.

        The period must be longer than the drain minimum, so that no credential is replaced twice within
        it. For cron that is the shortest time between two scheduled moments, less the jitter, among the
        next 400 and the 400 about each change of the clocks in the next year. A run that a window, a
        blackout or a failure put off may still come closer to the next one: there the rotation waits.
        """
        kind = "every" if schedule.every else "cron"
        now = utc(now)
        _zone(schedule)
        if next(_scheduled(schedule, now), None) is None:
            raise Invalid("cron names no moment within five years", field="rotation.cron")
        if _base(schedule, now) is None:
            field = "rotation.blackouts" if schedule.blackouts else "rotation.windows"
            raise Invalid("windows and blackouts allow no run within five years", field=field)
        shortest = schedule.every or _shortest(schedule, now)
        if shortest is not None and shortest <= drain_minimum:
            raise Invalid(
                f"{kind}: the shortest time from one run to the next is {duration_text(shortest)}, which must be "
                f"longer than the drain minimum of {duration_text(drain_minimum)}",
                field=f"rotation.{kind}",
            )


# Zones and clocks.


@cache
def _names() -> frozenset[str]:
    # The list that comes with the tzdata package, because an operating system's folder also holds
    # names that mean something else on the next machine ("localtime").
    return frozenset(importlib.resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def _zone(schedule: Schedule) -> ZoneInfo:
    if schedule.time_zone not in _names():
        raise Invalid(
            "time_zone must be a name of the IANA time zone database, such as Europe/Berlin or UTC",
            field="rotation.time_zone",
        )
    return ZoneInfo(schedule.time_zone)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the local clock shows, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A local time in UTC by the clock before and after a change (PEP 495).

    Mostly the same twice; the first is earlier if the time comes twice, later if it is left out.
    """
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return before, after


def _turn(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant after `low`, up to `high`, at which the clock was set; one change lies between them."""
    before = low.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _turns(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The change of the clock on a local date, if there is one."""
    low, high = (_instants(datetime.combine(at, time(0)), zone)[0] for at in (day, day + _DAY))
    if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
        yield _turn(low, high, zone)


# Occurrences, before windows and blackouts.


def _cron(expression: str, start: datetime) -> CronSim:
    fields = expression.split()
    if len(fields) != 5:
        raise Invalid(
            "cron must have five fields (minute, hour, day of month, month, day of week); seconds and @names are "
            "not known",
            field="rotation.cron",
        )
    try:
        return CronSim(expression, start)
    except CronSimError as error:
        raise Invalid(_misread(str(error)), field="rotation.cron") from None


_TAKES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L",
    "month": "1 to 12, jan to dec",
    "day-of-week": "0 to 7, sun to sat, one with # or L behind it",
}


def _misread(error: str) -> str:
    """What cronsim did not understand, in a sentence that does not repeat what was given."""
    place = next((f"its {name} (it takes {takes})" for name, takes in _TAKES.items() if error.endswith(name)), "it")
    return f"cron: {place} is not understood; each field has numbers, *, lists 1,5, ranges 1-5 or steps */15"


def _scheduled(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The scheduled moments strictly after `after`, in order; for cron those of five years."""
    if schedule.every:
        moment = after
        while True:
            yield (moment := moment + schedule.every)
    assert schedule.cron is not None  # noqa: S101  # one of the two is given
    zone = _zone(schedule)
    last = after
    for moment in _occurrences(schedule.cron, zone, after):
        if moment > after + HORIZON:
            return
        if moment > last:
            yield (last := moment)


def _occurrences(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """In order, from a little before `after`; several local times of one gap come as one instant each."""
    start = _wall(after, zone)
    if _wall(after + _LONGEST_TURN, zone) != start + _LONGEST_TURN:
        start -= _LONGEST_TURN  # the clock is about to be set: times up to now may come a second time
    locals_ = _cron(expression, start)
    hourly = len(locals_.hours) == 24
    waiting: list[datetime] = []  # second times, until the local clock is past them
    for local in locals_:
        first, second = _instants(local, zone)
        while waiting and waiting[0] < first:
            yield heappop(waiting)
        if first <= second:
            heappush(waiting, first)
            if hourly and first < second:
                heappush(waiting, second)
        elif not hourly:
            heappush(waiting, _turn(second, first, zone))
    yield from sorted(waiting)


def _shortest(schedule: Schedule, now: datetime) -> timedelta | None:
    """The shortest time between two scheduled moments, the first as late and the second as early as can be."""
    zone = _zone(schedule)
    today = _wall(now, zone).date()
    turns = (turn for n in range(400) for turn in _turns(today + n * _DAY, zone))
    starts = [now, *(turn - 2 * _DAY for turn in turns if turn > now + 2 * _DAY)]
    series = (islice(_scheduled(schedule, start), OCCURRENCES) for start in starts)
    gaps = [later - earlier for moments in series for earlier, later in pairwise(moments)]
    return max(min(gaps) - schedule.jitter, timedelta(0)) if gaps else None


# Windows and blackouts.


def _base(schedule: Schedule, after: datetime) -> datetime | None:
    """The next run's moment without jitter."""
    moment = next(_scheduled(schedule, after), None)
    return None if moment is None else _opening(schedule, moment)


def _edges(schedule: Schedule, after: datetime, horizon: timedelta) -> Iterator[datetime]:
    """The instants later than `after` at which `allowed` may change, day by day."""
    zone = _zone(schedule)
    first, last = (_wall(moment, zone).date() for moment in (after, after + horizon))
    for n in range((last - first).days + 2):
        day = first + n * _DAY
        instants = {instant for local in schedule.edges(day) for instant in _instants(local, zone)}
        # Two instants of an edge that is left out lie about the gap; the change of the clock stands for both.
        yield from sorted(instant for instant in instants.union(_turns(day, zone)) if instant > after)


def _opening(schedule: Schedule, moment: datetime) -> datetime | None:
    """The first allowed instant at or after `moment`; None if there is none within five years."""
    zone = _zone(schedule)
    if schedule.permits(_wall(moment, zone)):
        return moment
    edges = _edges(schedule, moment, HORIZON)
    return next((edge for edge in edges if schedule.permits(_wall(edge, zone))), None)


def _room(schedule: Schedule, base: datetime) -> timedelta:
    """How far jitter may move an allowed moment: the whole of it, or to the last second of the open stretch."""
    if not schedule.jitter or not (schedule.windows or schedule.blackouts):
        return schedule.jitter
    zone = _zone(schedule)
    for edge in _edges(schedule, base, schedule.jitter):
        if edge > base + schedule.jitter:
            break
        if not schedule.permits(_wall(edge, zone)):
            return (edge - base - timedelta(microseconds=1)) // _SECOND * _SECOND
    return schedule.jitter
