"""Schedules as data: durations, windows, blackouts, jitter, and what is refused."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import Invalid
from service.core.schedule import (
    LONGEST,
    MOST,
    Blackout,
    Missed,
    Schedule,
    Window,
    duration,
    duration_text,
    jitter,
    parse,
    utc,
)

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("1h30m", timedelta(minutes=90)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("3600", HOUR),
        (3600, HOUR),
        ("3650d", LONGEST),
    ],
)
def test_durations_are_read(text: object, length: timedelta) -> None:
    assert duration(text, "x") == length


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "0", "0s", "0h0m", "-5m", "1.5h", "h", "5x", "30m1h", "1h1h", "1h ", "12H", "1h30", "\u0661h"],
        *["\u0661", "3651d", None, True, 1.5, -3, 0, ["1h"], {}],
        pytest.param("9" * 5000, id="long"),
        pytest.param(10**5000, id="large"),
        pytest.param(-(10**5000), id="small"),
    ],
)
def test_what_is_no_duration_is_refused_by_the_name_of_its_field(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        duration(text, "rotation.every")
    assert refused.value.field == "rotation.every"


@given(st.integers(1, int(LONGEST.total_seconds())))
def test_durations_come_back_as_they_were(seconds: int) -> None:
    assert duration(duration_text(timedelta(seconds=seconds)), "x") == timedelta(seconds=seconds)


def test_durations_are_written_in_the_largest_units() -> None:
    lengths = (timedelta(days=30), timedelta(minutes=90), timedelta(seconds=59.9), timedelta(0), -HOUR)
    assert [duration_text(length) for length in lengths] == ["30d", "1h30m", "59s", "0s", "0s"]


def test_only_aware_utc_moments_are_taken() -> None:
    assert utc(datetime(2026, 11, 1, tzinfo=timezone(timedelta(0)))).tzinfo is UTC
    for wrong in (datetime(2026, 11, 1), datetime(2026, 11, 1, tzinfo=timezone(HOUR))):  # noqa: DTZ001
        with pytest.raises(ValueError, match="UTC"):
            utc(wrong)


def test_jitter_is_uniform_and_never_beyond_its_limit() -> None:
    # Every value of the first two bytes once: what a fair source gives in the long run.
    draws: Iterator[bytes] = (n.to_bytes(2, "big") + bytes([n % 251, n % 241]) for n in range(65536))
    seen = Counter(jitter(timedelta(seconds=9), lambda _: next(draws)).total_seconds() for _ in range(65000))
    assert set(seen) == set(range(10))
    assert max(seen.values()) - min(seen.values()) < 1000


def test_jitter_draws_again_where_the_remainder_would_favour_small_delays() -> None:
    draws = iter([b"\xff\xff\xff\xff", b"\x00\x00\x00\x02"])  # 2**32 - 1 is the odd one out of three choices
    assert jitter(timedelta(seconds=2), lambda _: next(draws)) == timedelta(seconds=2)
    assert jitter(timedelta(0), lambda n: b"\xff" * n) == timedelta(0)


# 2026-11-02 is a Monday.


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("02:00", "04:00", ["02 02:00", "02 03:59"], ["02 01:59", "02 04:00", "03 03:00", "01 03:00"]),
        ("22:00", "04:00", ["02 22:00", "02 23:59", "03 00:00", "03 03:59"], ["02 21:59", "02 03:00", "03 04:00"]),
        ("06:00", "06:00", ["02 06:00", "02 23:00", "03 05:59"], ["02 05:59", "03 06:00"]),
        ("22:00", "00:00", ["02 22:00", "02 23:59"], ["03 00:00", "02 00:00"]),
        ("00:00", "00:00", ["02 00:00", "02 23:59"], ["03 00:00", "01 23:59"]),
    ],
)
def test_a_window_belongs_to_the_day_on_which_it_starts(
    start: str, end: str, inside: list[str], outside: list[str]
) -> None:
    window = Window((1,), time.fromisoformat(start), time.fromisoformat(end))
    assert [window.covers(datetime.fromisoformat(f"2026-11-{at}")) for at in inside] == [True] * len(inside)
    assert [window.covers(datetime.fromisoformat(f"2026-11-{at}")) for at in outside] == [False] * len(outside)


def test_a_sunday_window_over_midnight_reaches_into_monday() -> None:
    assert Window((7,), time(22), time(4)).covers(datetime(2026, 11, 2, 3))  # noqa: DTZ001


def test_blackouts_hold_their_first_and_last_day() -> None:
    blackout = Blackout(date(2026, 12, 24), date(2027, 1, 2))
    days = (date(2026, 12, 23), date(2026, 12, 24), date(2027, 1, 2), date(2027, 1, 3))
    assert [blackout.covers(day) for day in days] == [False, True, True, False]


FULL: dict[str, Any] = {
    "cron": "30 3 * * 1-5",
    "time_zone": "Europe/Berlin",
    "windows": [{"days": ["mon", "tue"], "from": "22:00", "to": "04:00"}],
    "blackouts": [{"first": "2026-12-24", "last": "2027-01-02"}],
    "jitter": "10m",
    "missed": "next_window",
    "grace": "1h30m",
}


def test_everything_that_can_be_said_is_read_and_written() -> None:
    schedule = parse(FULL)
    assert schedule == Schedule(
        None,
        "30 3 * * 1-5",
        "Europe/Berlin",
        (Window((1, 2), time(22), time(4)),),
        (Blackout(date(2026, 12, 24), date(2027, 1, 2)),),
        timedelta(minutes=10),
        Missed.NEXT_WINDOW,
        timedelta(minutes=90),
    )
    assert schedule.as_data() == FULL


def test_the_shortest_schedule_has_the_stated_defaults() -> None:
    schedule = parse({"every": "12h"})
    assert schedule == Schedule(timedelta(hours=12), None, "UTC", (), (), timedelta(0), Missed.RUN_NOW, HOUR / 12)
    assert schedule.as_data() == {"every": "12h"}


def test_a_window_without_days_is_open_on_all_of_them() -> None:
    assert parse({"every": "1h", "windows": [{"from": "01:00", "to": "02:00"}]}).windows[0].days == tuple(range(1, 8))


def but(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (FULL | changes).items() if value is not None}


WINDOW = {"days": ["mon"], "from": "22:00", "to": "04:00"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "rotation"),
        ([], "rotation"),
        ({}, "rotation.every"),
        (but(every="1h"), "rotation.every"),
        (but(cron=None, every="soon"), "rotation.every"),
        (but(cron=None, every="5m"), "rotation.jitter"),
        (but(cron=""), "rotation.cron"),
        (but(cron=5), "rotation.cron"),
        (but(cron="1," * 200), "rotation.cron"),
        (but(zone="UTC"), "rotation.zone"),
        (but(time_zone=1), "rotation.time_zone"),
        (but(jitter="0s"), "rotation.jitter"),
        (but(grace="never"), "rotation.grace"),
        (but(missed="skip"), "rotation.missed"),
        (but(missed=1), "rotation.missed"),
        (but(windows={}), "rotation.windows"),
        (but(windows=[WINDOW] * (MOST + 1)), "rotation.windows"),
        (but(windows=["mon"]), "rotation.windows[0]"),
        (but(windows=[WINDOW, WINDOW | {"day": 1}]), "rotation.windows[1].day"),
        (but(windows=[{"days": ["mon"], "from": "22:00"}]), "rotation.windows[0].to"),
        (but(windows=[WINDOW | {"days": []}]), "rotation.windows[0].days"),
        (but(windows=[WINDOW | {"days": "mon"}]), "rotation.windows[0].days"),
        (but(windows=[WINDOW | {"days": [1]}]), "rotation.windows[0].days"),
        (but(windows=[WINDOW | {"days": [[]]}]), "rotation.windows[0].days"),
        (but(windows=[WINDOW | {"from": "24:00"}]), "rotation.windows[0].from"),
        (but(windows=[WINDOW | {"to": "4:00"}]), "rotation.windows[0].to"),
        (but(windows=[WINDOW | {"to": 4}]), "rotation.windows[0].to"),
        (but(blackouts=[{"first": "2026-12-24"}]), "rotation.blackouts[0].last"),
        (but(blackouts=[{"first": "2026-02-30", "last": "2026-03-01"}]), "rotation.blackouts[0].first"),
        (but(blackouts=[{"first": "20261224", "last": "2026-12-25"}]), "rotation.blackouts[0].first"),
        (but(blackouts=[{"first": "2026-12-24", "last": "2026-12-23"}]), "rotation.blackouts[0].last"),
    ],
)
def test_what_is_wrong_is_named(data: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(data)
    assert refused.value.field == field


def test_fields_are_named_under_the_prefix_that_was_given() -> None:
    with pytest.raises(Invalid) as refused:
        parse({"every": "1h", "windows": [{}]}, prefix="defaults.rotation")
    assert refused.value.field == "defaults.rotation.windows[0].from"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Schedule(),
        lambda: Schedule(every=HOUR, cron="0 3 * * *"),
        lambda: Schedule(every=timedelta(0)),
        lambda: Schedule(every=LONGEST + HOUR),
        lambda: Schedule(every=timedelta(seconds=1.5)),
        lambda: Schedule(every=HOUR, jitter=-HOUR),
        lambda: Schedule(every=HOUR, grace=timedelta(0)),
        lambda: Window((), time(1), time(2)),
        lambda: Window((0,), time(1), time(2)),
        lambda: Window((1,), time(1, 0, 1), time(2)),
        lambda: Window((1,), time(1), time(2, tzinfo=UTC)),
    ],
)
def test_what_could_not_be_written_down_cannot_be_made(make: Any) -> None:
    with pytest.raises(Invalid):
        make()


minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))
windows = st.builds(Window, st.lists(st.integers(1, 7), min_size=1).map(tuple), minutes, minutes)
dates = st.dates(date(2020, 1, 1), date(2040, 1, 1))
blackouts = st.builds(lambda a, b: Blackout(min(a, b), max(a, b)), dates, dates)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    seconds = st.integers(1, 10**8).map(lambda n: timedelta(seconds=n))
    every = draw(st.none() | seconds)
    return Schedule(
        every,
        None if every else "30 3 * * 1-5",
        draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        tuple(draw(st.lists(windows, max_size=3))),
        tuple(draw(st.lists(blackouts, max_size=3))),
        min(draw(st.just(timedelta(0)) | seconds), every or LONGEST),
        draw(st.sampled_from(Missed)),
        draw(seconds),
    )


@given(schedules())
def test_schedules_come_back_as_they_were(schedule: Schedule) -> None:
    assert parse(schedule.as_data()) == schedule
