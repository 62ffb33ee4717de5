"""Schedules as moments: cron, time zones and clocks that change, windows, jitter, and missed runs."""

import secrets
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import Invalid
from service.core.schedule import Alert, Blackout, Calendar, Missed, Run, Schedule, Wait, Window
from service.keeper.calendar import CronCalendar

CALENDAR = CronCalendar()
PORT: Calendar = CALENDAR
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAILY = tuple(range(1, 8))
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)  # a Sunday


def least(count: int) -> bytes:
    """Randomness that draws the smallest."""
    return bytes(count)


def draw_of(number: int) -> object:
    return lambda count: number.to_bytes(count, "big")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def runs(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next runs on the local clock, with its offset."""
    moment, texts = at(after), []
    for _ in range(count):
        due = CALENDAR.next_due(schedule, moment, least)
        assert due is not None
        assert due > moment
        moment = due
        texts.append(due.astimezone(ZoneInfo(schedule.time_zone)).isoformat(timespec="minutes"))
    return texts


def test_every_counts_from_the_moment_that_is_given() -> None:
    assert CALENDAR.next_due(Schedule(every=12 * HOUR), NOW, least) == NOW + 12 * HOUR


def test_cron_is_on_the_clock_of_its_zone() -> None:
    weekdays = Schedule(cron="30 3 * * 1-5", time_zone="Europe/Berlin")
    assert runs(weekdays, "2026-11-05T12:00Z", 3) == [
        "2026-11-06T03:30+01:00",  # Friday
        "2026-11-09T03:30+01:00",
        "2026-11-10T03:30+01:00",
    ]


def test_the_next_run_is_strictly_later() -> None:
    daily = Schedule(cron="0 12 * * *")
    assert CALENDAR.next_due(daily, NOW, least) == NOW + 24 * HOUR
    assert CALENDAR.next_due(daily, NOW - timedelta(microseconds=1), least) == NOW


# What clocks do: forward, then back. Each first line was left out or repeated by a plain cron.
CHANGES = [
    ("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00Z", ["2027-03-28T03:00+02:00", "2027-03-29T02:30+02:00"]),
    ("*/20 2 * * *", "Europe/Berlin", "2027-03-27T12:00Z", ["2027-03-28T03:00+02:00", "2027-03-29T02:00+02:00"]),
    ("0,30 2-3 * * *", "Europe/Berlin", "2027-03-27T12:00Z", ["2027-03-28T03:00+02:00", "2027-03-28T03:30+02:00"]),
    ("0 */2 * * *", "Europe/Berlin", "2027-03-27T23:30Z", ["2027-03-28T03:00+02:00", "2027-03-28T04:00+02:00"]),
    ("30 * * * *", "Europe/Berlin", "2027-03-28T00:00Z", ["2027-03-28T01:30+01:00", "2027-03-28T03:30+02:00"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
    ("*/30 2 * * *", "Europe/Berlin", "2026-10-25T00:10Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:00+01:00"]),
    ("0 */2 * * *", "Europe/Berlin", "2026-10-24T22:30Z", ["2026-10-25T02:00+02:00", "2026-10-25T04:00+01:00"]),
    ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"]),
    (
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-25T02:00+02:00",
        ["2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"],
    ),
    # Asked in the middle of the hour that comes twice, the first and the second time.
    ("45 2 * * *", "Europe/Berlin", "2026-10-25T02:30+02:00", ["2026-10-25T02:45+02:00", "2026-10-26T02:45+01:00"]),
    ("45 2 * * *", "Europe/Berlin", "2026-10-25T02:30+01:00", ["2026-10-26T02:45+01:00", "2026-10-27T02:45+01:00"]),
    ("15 * * * *", "Europe/Berlin", "2026-10-25T02:50+02:00", ["2026-10-25T02:15+01:00", "2026-10-25T03:15+01:00"]),
    ("30 2 * * *", "America/New_York", "2027-03-13T12:00Z", ["2027-03-14T03:00-04:00", "2027-03-15T02:30-04:00"]),
    ("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ("30 1 * * *", "America/New_York", "2026-11-01T05:40Z", ["2026-11-02T01:30-05:00", "2026-11-03T01:30-05:00"]),
    # Half an hour, at 02:00.
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00Z", ["2027-04-04T01:45+11:00", "2027-04-05T01:45+10:30"]),
    ("45 * * * *", "Australia/Lord_Howe", "2027-04-03T14:00Z", ["2027-04-04T01:45+11:00", "2027-04-04T01:45+10:30"]),
    # At midnight: the day begins at 01:00, or its last hour comes twice.
    ("30 0 * * *", "Africa/Cairo", "2027-04-29T12:00Z", ["2027-04-30T01:00+03:00", "2027-05-01T00:30+03:00"]),
    ("0 0 * * 5", "Africa/Cairo", "2027-04-29T12:00Z", ["2027-04-30T01:00+03:00", "2027-05-07T00:00+03:00"]),
    ("30 23 * * *", "America/Santiago", "2027-04-03T12:00Z", ["2027-04-03T23:30-03:00", "2027-04-04T23:30-04:00"]),
]


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), CHANGES)
def test_a_clock_that_is_set_neither_loses_nor_repeats_a_run(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert runs(Schedule(cron=cron, time_zone=zone), after, len(expected)) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Santiago"])
def test_every_hour_of_the_year_is_run_whatever_the_clock_does(zone: str) -> None:
    moments = [at(text) for text in runs(Schedule(cron="15 * * * *", time_zone=zone), "2026-09-01T00:00Z", 8760)]
    assert {b - a for a, b in pairwise(moments)} == {HOUR}


MISREAD = {
    "61 * * * *": "its minute (it takes 0 to 59",
    "0 hush * * *": "its hour (",
    "0 0 32 * *": "its day-of-month (",
    "0 0 * hush *": "its month (",
    "0 0 * * 5-1": "its day-of-week (",
}


@pytest.mark.parametrize("cron", MISREAD)
def test_the_field_that_is_not_understood_is_named_and_not_repeated(cron: str) -> None:
    with pytest.raises(Invalid) as refused:
        CALENDAR.check(Schedule(cron=cron), HOUR, NOW)
    assert refused.value.field == "rotation.cron"
    assert f"cron: {MISREAD[cron]}" in refused.value.message
    assert "hush" not in refused.value.message


@pytest.mark.parametrize("cron", ["0 0 29 2 */7", "0 0 * 2 mon#5"])
def test_what_does_not_come_within_five_years_does_not_come(cron: str) -> None:
    assert CALENDAR.next_due(Schedule(cron=cron), NOW, least) is None
    with pytest.raises(Invalid) as refused:
        CALENDAR.check(Schedule(cron=cron), HOUR, NOW)
    assert refused.value.field == "rotation.cron"


NIGHT = Window((1, 2), time(22), time(4))  # Monday and Tuesday nights


def test_outside_the_windows_a_run_moves_to_the_next_opening() -> None:
    noon = Schedule(cron="0 12 * * *", time_zone="Europe/Berlin", windows=(NIGHT,))
    assert runs(noon, "2026-11-01T12:00Z", 3) == [
        "2026-11-02T22:00+01:00",
        "2026-11-03T22:00+01:00",
        "2026-11-09T22:00+01:00",
    ]
    early = Schedule(cron="0 3 * * *", time_zone="Europe/Berlin", windows=(NIGHT,))
    assert runs(early, "2026-11-01T12:00Z", 2) == ["2026-11-02T22:00+01:00", "2026-11-03T03:00+01:00"]


def test_a_blackout_moves_a_run_behind_it() -> None:
    holidays = Blackout(date(2026, 12, 24), date(2027, 1, 2))
    daily = Schedule(cron="0 3 * * *", time_zone="Europe/Berlin", blackouts=(holidays,))
    assert runs(daily, "2026-12-23T01:00Z", 3) == [
        "2026-12-23T03:00+01:00",
        "2027-01-03T00:00+01:00",
        "2027-01-03T03:00+01:00",
    ]
    nightly = Schedule(every=HOUR, time_zone="Europe/Berlin", windows=(NIGHT,), blackouts=(holidays,))
    assert runs(nightly, "2026-12-23T03:30+01:00", 1) == ["2027-01-04T22:00+01:00"]


def test_a_blackout_cuts_a_window_over_midnight_short() -> None:
    schedule = Schedule(
        every=HOUR, windows=(NIGHT,), blackouts=(Blackout(date(2026, 11, 3), date(2026, 11, 3)),), jitter=30 * MINUTE
    )
    assert CALENDAR.allowed(schedule, at("2026-11-02T23:59:59Z"))
    assert not CALENDAR.allowed(schedule, at("2026-11-03T00:00Z"))
    assert CALENDAR.next_due(schedule, at("2026-11-02T22:50Z"), draw_of(9 * 60 + 59)) == at("2026-11-02T23:59:59Z")
    # Tuesday's window would begin on the 3rd; what is left of it is after midnight.
    assert runs(schedule, "2026-11-02T23:30Z", 1) == ["2026-11-04T00:00+00:00"]


@pytest.mark.parametrize(
    ("window", "after", "expected"),
    [
        # The window's start is left out: it opens when the clock goes on.
        (Window((7,), time(2, 30), time(5)), "2027-03-27T12:00Z", "2027-03-28T03:00+02:00"),
        # All of it is left out: not on this day.
        (Window((7,), time(2), time(3)), "2027-03-27T12:00Z", "2027-04-04T02:00+02:00"),
        # The clock goes back into the window.
        (Window((7,), time(1), time(2, 30)), "2026-10-25T02:40+02:00", "2026-10-25T02:00+01:00"),
        (Window((7,), time(2, 10), time(2, 30)), "2026-10-25T02:40+02:00", "2026-10-25T02:10+01:00"),
    ],
)
def test_windows_open_by_the_local_clock_when_it_is_set(window: Window, after: str, expected: str) -> None:
    schedule = Schedule(every=SECOND, time_zone="Europe/Berlin", windows=(window,))
    assert runs(schedule, after, 1) == [expected]


def test_jitter_delays_by_what_was_drawn_and_stays_inside_the_window() -> None:
    open_always = Schedule(cron="0 3 * * *", jitter=10 * MINUTE)
    assert CALENDAR.next_due(open_always, NOW, draw_of(600)) == at("2026-11-02T03:10Z")
    assert CALENDAR.next_due(open_always, NOW, draw_of(601)) == at("2026-11-02T03:00Z")
    narrow = Schedule(cron="58 3 * * *", jitter=10 * MINUTE, windows=(Window(DAILY, time(3), time(4)),))
    assert CALENDAR.next_due(narrow, NOW, draw_of(119)) == at("2026-11-02T03:59:59Z")
    assert CALENDAR.next_due(narrow, NOW, draw_of(120)) == at("2026-11-02T03:58Z")


def test_windows_that_touch_are_one_for_jitter() -> None:
    touching = (Window(DAILY, time(3), time(4)), Window(DAILY, time(4), time(5)))
    schedule = Schedule(cron="58 3 * * *", jitter=10 * MINUTE, windows=touching)
    assert CALENDAR.next_due(schedule, NOW, draw_of(600)) == at("2026-11-02T04:08Z")


# Missed runs.


def policy(missed: Missed) -> Schedule:
    return Schedule(cron="30 22 * * *", windows=(NIGHT,), missed=missed)


DUE = at("2026-11-02T22:30Z")  # Monday


@pytest.mark.parametrize("missed", list(Missed))
def test_what_is_not_due_waits_and_what_is_within_the_grace_runs(missed: Missed) -> None:
    assert CALENDAR.missed(policy(missed), DUE, DUE - SECOND, least) == Wait(DUE)
    assert CALENDAR.missed(policy(missed), DUE, DUE, least) == Run()
    assert CALENDAR.missed(policy(missed), DUE, DUE + 5 * MINUTE, least) == Run()


def test_what_is_later_follows_the_policy() -> None:
    late, closed = DUE + 5 * MINUTE + SECOND, at("2026-11-03T04:00Z")
    answers = {m: [CALENDAR.missed(policy(m), DUE, now, least) for now in (late, closed)] for m in Missed}
    reopens, regular = at("2026-11-03T22:00Z"), at("2026-11-03T22:30Z")
    assert answers == {
        Missed.RUN_NOW: [Run(), Run()],
        Missed.NEXT_WINDOW: [Run(), Wait(reopens)],
        Missed.ALERT: [Alert(regular), Alert(regular)],
    }


FOREVER = (Blackout(date(2026, 1, 1), date(2040, 1, 1)),)


def test_a_missed_run_that_no_window_will_take_is_an_alert() -> None:
    schedule = Schedule(every=HOUR, blackouts=FOREVER, missed=Missed.NEXT_WINDOW)
    assert CALENDAR.missed(schedule, NOW - HOUR, NOW, least) == Alert(None)


# What is refused.


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (Schedule(cron="0 0 3 * * *"), "rotation.cron"),
        (Schedule(cron="0 3 * *"), "rotation.cron"),
        (Schedule(cron="@daily"), "rotation.cron"),
        (Schedule(cron="61 3 * * *"), "rotation.cron"),
        (Schedule(cron="0 3 * * funday"), "rotation.cron"),
        (Schedule(cron="0 3 30 2 *"), "rotation.cron"),
        (Schedule(cron="0 3 * * *", time_zone="Mars/Olympus"), "rotation.time_zone"),
        (Schedule(every=24 * HOUR, time_zone="Europe"), "rotation.time_zone"),
        (Schedule(every=24 * HOUR, time_zone="../etc/passwd"), "rotation.time_zone"),
        (Schedule(every=24 * HOUR, time_zone="localtime"), "rotation.time_zone"),
        (Schedule(every=24 * HOUR, time_zone=""), "rotation.time_zone"),
        (Schedule(every=24 * HOUR, blackouts=FOREVER), "rotation.blackouts"),
        (Schedule(cron="0 3 * * *", windows=(NIGHT,), blackouts=FOREVER), "rotation.blackouts"),
    ],
)
def test_schedules_that_mean_nothing_are_refused(schedule: Schedule, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        CALENDAR.check(schedule, HOUR, NOW)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("schedule", "shortest"),
    [
        (Schedule(every=12 * HOUR), "12h"),
        (Schedule(every=12 * HOUR, jitter=HOUR, windows=(NIGHT,)), "12h"),
        (Schedule(cron="*/15 * * * *", time_zone="Europe/Berlin"), "15m"),
        (Schedule(cron="0 9,17 * * *"), "8h"),
        (Schedule(cron="0 3 * * *"), "1d"),
        # In spring a day has 23 hours, and 02:30 runs at 03:00, half an hour before the next one.
        (Schedule(cron="0 3 * * *", time_zone="Europe/Berlin"), "23h"),
        (Schedule(cron="30 2-22 * * *", time_zone="Europe/Berlin"), "30m"),
        (Schedule(cron="45 * * * *", time_zone="Australia/Lord_Howe"), "30m"),
        (Schedule(cron="0 3 * * *", jitter=90 * MINUTE), "22h30m"),
        (Schedule(cron="*/30 * * * *", jitter=HOUR), "0s"),
        # Windows and blackouts put single runs off; the period is what the expression says.
        (Schedule(cron="0 3 * * *", windows=(NIGHT,)), "1d"),
        (Schedule(cron="0 3 * * *", blackouts=(Blackout(date(2026, 12, 24), date(2027, 1, 2)),)), "1d"),
    ],
)
def test_a_period_must_be_longer_than_the_drain_minimum(schedule: Schedule, shortest: str) -> None:
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    parts = [p for p in shortest.replace("d", "d ").replace("h", "h ").replace("m", "m ").split() if p]
    length = sum((timedelta(**{units[p[-1]]: int(p[:-1])}) for p in parts), timedelta())
    with pytest.raises(Invalid) as refused:
        CALENDAR.check(schedule, length, NOW)
    assert refused.value.field == ("rotation.every" if schedule.every else "rotation.cron")
    assert refused.value.message.count(shortest) == 2
    if length:
        CALENDAR.check(schedule, length - SECOND, NOW)
    with pytest.raises(Invalid, match=rf"\b{shortest}\b.*\b3650d\b"):
        CALENDAR.check(schedule, timedelta(days=3650), NOW)


@pytest.mark.parametrize("cron", ["0 3 29 2 *", "0 3 L * *", "0 3 * * 1#1", "* * * * *"])
def test_rare_and_frequent_expressions_are_taken(cron: str) -> None:
    CALENDAR.check(Schedule(cron=cron), 30 * SECOND, NOW)


def test_naive_moments_are_refused() -> None:
    naive, schedule = datetime(2026, 11, 1), Schedule(every=HOUR)  # noqa: DTZ001
    for call in (
        lambda: CALENDAR.next_due(schedule, naive, least),
        lambda: CALENDAR.allowed(schedule, naive),
        lambda: CALENDAR.missed(schedule, naive, NOW, least),
        lambda: CALENDAR.missed(schedule, NOW, naive, least),
        lambda: CALENDAR.check(schedule, MINUTE, naive),
    ):
        with pytest.raises(ValueError, match="UTC"):
            call()


# Properties. The months around both changes of the clocks, in zones that change by an hour, half an hour, at
# midnight, southwards and not at all.

minutes = st.builds(time, st.integers(0, 23), st.sampled_from([0, 10, 30, 59]))
windows = st.builds(Window, st.lists(st.integers(1, 7), min_size=1).map(tuple), minutes, minutes)
days = st.dates(date(2026, 10, 1), date(2027, 5, 1))
blackouts = st.builds(lambda first, n: Blackout(first, first + timedelta(days=n)), days, st.integers(0, 20))
zones = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"])
moments = st.one_of(
    st.datetimes(datetime(2026, 10, 1), datetime(2027, 5, 1)),  # noqa: DTZ001
    *(
        st.timedeltas(-3 * HOUR, 3 * HOUR).map(lambda off, turn=turn: turn + off)  # type: ignore[misc]
        for turn in (datetime(2026, 10, 25, 1), datetime(2027, 3, 28, 1), datetime(2027, 4, 3, 15))  # noqa: DTZ001
    ),
).map(lambda moment: moment.replace(tzinfo=UTC))
crons = st.sampled_from(
    ["30 2 * * *", "*/20 2 * * *", "15 * * * *", "0 */2 * * *", "30 0,23 * * 5", "0 3 1,15 * 1-5", "45 1 L * *"]
)
sparse = st.lists(windows, max_size=3).map(tuple)
schedules = st.builds(
    lambda every, cron, *rest: Schedule(every, None if every else cron, *rest),
    st.none() | st.timedeltas(HOUR, 30 * 24 * HOUR).map(lambda t: timedelta(seconds=int(t.total_seconds()))),
    crons,
    zones,
    sparse,
    st.lists(blackouts, max_size=2).map(tuple),
    st.integers(0, 3600).map(lambda n: timedelta(seconds=n)),
)


@settings(max_examples=300, deadline=None)
@given(schedules, moments, st.integers(0, 2**32 - 1))
def test_the_next_run_is_later_and_allowed(schedule: Schedule, after: datetime, number: int) -> None:
    draw = draw_of(number) if number < 2**31 else secrets.token_bytes
    due = CALENDAR.next_due(schedule, after, draw)
    if due is None:  # windows of which every minute is left out by the clock do not exist; but be strict
        assert schedule.windows
        return
    assert due > after
    assert due.tzinfo is UTC
    assert CALENDAR.allowed(schedule, due)
    earliest = CALENDAR.next_due(schedule, after, least)
    assert earliest is not None
    assert timedelta(0) <= due - earliest <= schedule.jitter


@settings(max_examples=60, deadline=None)
@given(zones, st.lists(windows, min_size=1, max_size=2).map(tuple), moments)
def test_no_allowed_minute_before_the_opening_was_passed_over(
    zone: str, opens: tuple[Window, ...], moment: datetime
) -> None:
    schedule = Schedule(every=MINUTE, time_zone=zone, windows=opens)
    moment = moment.replace(second=0, microsecond=0)
    due = CALENDAR.next_due(schedule, moment, least)
    assert due is not None
    earlier = moment + MINUTE
    while earlier < due:
        assert not CALENDAR.allowed(schedule, earlier)
        earlier += MINUTE


@settings(max_examples=60, deadline=None)
@given(zones, st.sampled_from(["30 2 * * *", "*/20 0,1,2,23 * * *", "15 3 * * *"]), moments)
def test_every_local_time_is_run_once_and_in_order(zone: str, cron: str, start: datetime) -> None:
    """Against a walk minute by minute over the local clock."""
    schedule, info = Schedule(cron=cron, time_zone=zone), ZoneInfo(zone)
    start = start.replace(second=0, microsecond=0)
    matches = {
        "30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
        "*/20 0,1,2,23 * * *": lambda t: t.hour in (0, 1, 2, 23) and t.minute % 20 == 0,
        "15 3 * * *": lambda t: (t.hour, t.minute) == (3, 15),
    }[cron]
    expected, latest = [], (start - 24 * HOUR).astimezone(info).replace(tzinfo=None)
    for n in range(-24 * 60 + 1, 48 * 60):  # a day ahead of the start, to know what was shown before
        moment = start + n * MINUTE
        shown = moment.astimezone(info).replace(tzinfo=None)
        passed = [latest + k * MINUTE for k in range(1, (shown - latest) // MINUTE + 1)]  # several over a gap
        latest = max(latest, shown)
        if n > 0 and any(matches(local) for local in passed):
            expected.append(moment)
    found, due = [], CALENDAR.next_due(schedule, start, least)
    while due is not None and due < start + 48 * HOUR:
        found.append(due)
        due = CALENDAR.next_due(schedule, due, least)
    assert found == expected
