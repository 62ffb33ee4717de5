"""Schedules: when a connection's credential is due to turn, and when it may.

    {"every": "12h"}                                       or
    {"cron": "30 3 * * 1-5", "time_zone": "Europe/Berlin"} five fields, an IANA zone (default UTC)

    "windows":   [{"days": ["mon", "tue"], "from": "22:00", "to": "04:00"}]    only then; none: always
    "blackouts": [{"first": "2026-12-24", "last": "2027-01-02"}]               never then; both included
    "jitter":    "10m"         a random delay of up to this
    "missed":    "run_now"     or next_window, alert: what becomes of a run that is later than "grace"
    "grace":     "5m"

Windows and blackouts are on the clocks and dates of the schedule's time zone; a window belongs to the
day on which it starts. Days without "days" are all seven. What local times mean when clocks change
needs the zone's history, which is the implementation's part (`service.keeper.calendar`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from service.core.errors import Invalid
from service.core.sealed import Randomness

LONGEST = timedelta(days=3650)
KEYS = ("every", "cron", "time_zone", "windows", "blackouts", "jitter", "missed", "grace")
"""What `parse` knows, for a caller whose object holds more than the schedule."""
MOST = 100
"""Windows or blackouts in one schedule."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_LONGEST = 200
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?=[0-9])" + "".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
T = TypeVar("T")


def utc(moment: datetime) -> datetime:
    """`moment`, if it is an aware UTC time. Raises ValueError: anything else is a defect of the caller."""
    if moment.utcoffset() != timedelta(0):
        raise ValueError("a moment must be an aware datetime in UTC")
    return moment.replace(tzinfo=UTC)


def duration(text: object, field: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `1h30m`, or a plain number of seconds. Raises Invalid naming `field`."""
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text < 1e9:
        text = str(text)
    match = _DURATION.fullmatch(f"{text}s" if text.isdecimal() else text) if isinstance(text, str) else None
    if not match:
        raise Invalid(f"{field} must be a duration such as 90s, 15m, 12h, 30d or 1h30m", field=field)
    seconds = sum(int(n) * size for n, size in zip(match.groups(default="0"), _UNITS.values(), strict=True))
    if not 0 < seconds <= LONGEST.total_seconds():
        raise Invalid(f"{field} must be longer than 0s and at most {duration_text(LONGEST)}", field=field)
    return timedelta(seconds=seconds)


def duration_text(length: timedelta) -> str:
    """As `duration` reads it, in the largest units that fit; parts of a second are left out."""
    seconds = max(0, int(length.total_seconds()))
    text = ""
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def jitter(longest: timedelta, randomness: Randomness) -> timedelta:
    """A whole number of seconds from 0 to `longest`, each as likely (by rejection, so no modulo bias)."""
    choices = int(longest.total_seconds()) + 1
    ceiling = 2**32 - 2**32 % choices
    while (drawn := int.from_bytes(randomness(4), "big")) >= ceiling:
        pass
    return timedelta(seconds=drawn % choices)


@dataclass(frozen=True)
class Window:
    """Local time on ISO weekdays (1 is Monday), its end not included; one that ends at or before its
    start ends on the next day."""

    days: tuple[int, ...]
    start: time
    end: time

    def __post_init__(self) -> None:
        if not self.days or not set(self.days) <= set(range(1, 8)):
            raise Invalid(f"days must be some of {', '.join(DAYS)}", field="days")
        for name, value in (("from", self.start), ("to", self.end)):
            if value.tzinfo or value.second or value.microsecond:
                raise Invalid(f"{name} must be a local time in whole minutes", field=name)
        object.__setattr__(self, "days", tuple(sorted(set(self.days))))

    def covers(self, local: datetime) -> bool:
        """Is this time on the local clock inside?"""
        today, yesterday = local.isoweekday() in self.days, (local.isoweekday() - 1 or 7) in self.days
        begun, over = local.time() >= self.start, local.time() >= self.end
        if self.start < self.end:
            return today and begun and not over
        return (today and begun) or (yesterday and not over)


@dataclass(frozen=True)
class Blackout:
    """Local dates on which nothing is turned, the first and the last included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise Invalid("last must not be before first", field="last")

    def covers(self, day: date) -> bool:
        """Is this local date inside?"""
        return self.first <= day <= self.last


class Missed(StrEnum):
    """What becomes of a run that could not start in time."""

    RUN_NOW = "run_now"  # it runs as soon as it can, in a window or not
    NEXT_WINDOW = "next_window"  # it runs at the next allowed moment
    ALERT = "alert"  # it does not run; somebody is told, and the next regular one is awaited


@dataclass(frozen=True)
class Schedule:
    """When a credential turns: every so often, or by cron. Raises Invalid naming the field."""

    every: timedelta | None = None
    cron: str | None = None
    time_zone: str = "UTC"
    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    jitter: timedelta = timedelta(0)
    missed: Missed = Missed.RUN_NOW
    grace: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if (self.every is None) == (self.cron is None):
            raise Invalid("a schedule has either every or cron", field="every")
        for name, least in (("every", 1), ("jitter", 0), ("grace", 1)):
            length = getattr(self, name)
            if length is not None and (not timedelta(seconds=least) <= length <= LONGEST or length.microseconds):
                raise Invalid(f"{name} must be {least} to {LONGEST.total_seconds():.0f} whole seconds", field=name)
        if self.every and self.jitter > self.every:
            raise Invalid("jitter must not be longer than every", field="jitter")
        if self.cron is not None and not 0 < len(self.cron) <= _CRON_LONGEST:
            raise Invalid(f"cron must have 1 to {_CRON_LONGEST} characters", field="cron")
        for name in ("windows", "blackouts"):
            if len(getattr(self, name)) > MOST:
                raise Invalid(f"{name} must be at most {MOST}", field=name)

    def permits(self, local: datetime) -> bool:
        """Is a time on the schedule's local clock inside a window (if there are any) and in no blackout?"""
        is_open = not self.windows or any(window.covers(local) for window in self.windows)
        return is_open and not self._blacked_out(local.date())

    def _blacked_out(self, day: date) -> bool:
        return any(blackout.covers(day) for blackout in self.blackouts)

    def edges(self, day: date) -> list[datetime]:
        """The local times of a date at which `permits` may change."""
        windows = () if self._blacked_out(day) else self.windows
        times = {time(0)} | {w.start for w in windows} | {w.end for w in windows}
        return sorted(datetime.combine(day, at) for at in times)

    def as_data(self) -> dict[str, Any]:
        """As `parse` reads it; what is at its default is left out."""
        data: dict[str, Any] = {"every": duration_text(self.every)} if self.every else {"cron": self.cron}
        if self.time_zone != Schedule.time_zone:
            data["time_zone"] = self.time_zone
        if self.windows:
            data["windows"] = [
                {"days": [DAYS[d - 1] for d in w.days], "from": f"{w.start:%H:%M}", "to": f"{w.end:%H:%M}"}
                for w in self.windows
            ]
        if self.blackouts:
            data["blackouts"] = [{"first": b.first.isoformat(), "last": b.last.isoformat()} for b in self.blackouts]
        if self.jitter:
            data["jitter"] = duration_text(self.jitter)
        if self.missed is not Schedule.missed:
            data["missed"] = self.missed.value
        if self.grace != Schedule.grace:
            data["grace"] = duration_text(self.grace)
        return data


def parse(data: object, prefix: str = "rotation") -> Schedule:
    """A schedule from JSON-like data. Raises Invalid naming the field, such as `rotation.windows[0].days`."""
    given = _object(data, prefix, KEYS)
    parts: dict[str, Any] = {
        name: duration(given[name], f"{prefix}.{name}") for name in ("every", "jitter", "grace") if name in given
    }
    if "cron" in given:
        parts["cron"] = " ".join(_text(given["cron"], f"{prefix}.cron").split())
    if "time_zone" in given:
        parts["time_zone"] = _text(given["time_zone"], f"{prefix}.time_zone")
    if "missed" in given:
        try:
            parts["missed"] = Missed(_text(given["missed"], f"{prefix}.missed"))
        except ValueError:
            raise Invalid(f"missed must be one of {', '.join(Missed)}", field=f"{prefix}.missed") from None
    for name, read in (("windows", _window), ("blackouts", _blackout)):
        items = given.get(name, [])
        if not isinstance(items, list):
            raise Invalid(f"{name} must be a list", field=f"{prefix}.{name}")
        parts[name] = tuple(read(item, f"{prefix}.{name}[{i}]") for i, item in enumerate(items[: MOST + 1]))
    return _placed(prefix, Schedule, **parts)


def _window(data: object, where: str) -> Window:
    given = _object(data, where, ("days", "from", "to"), needed=("from", "to"))
    days = given.get("days", list(DAYS))
    if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
        raise Invalid(f"days must be some of {', '.join(DAYS)}", field=f"{where}.days")
    ends = {}
    for name in ("from", "to"):
        match = _TIME.fullmatch(_text(given[name], f"{where}.{name}"))
        if not match:
            raise Invalid(f"{name} must be a time of day such as 22:00", field=f"{where}.{name}")
        ends[name] = time(int(match[1]), int(match[2]))
    return _placed(where, Window, days=tuple(DAYS.index(day) + 1 for day in days), start=ends["from"], end=ends["to"])


def _blackout(data: object, where: str) -> Blackout:
    given = _object(data, where, ("first", "last"), needed=("first", "last"))
    ends = {}
    for name in ("first", "last"):
        text = _text(given[name], f"{where}.{name}")
        try:
            ends[name] = date.fromisoformat(text if _DATE.fullmatch(text) else "")
        except ValueError:
            raise Invalid(f"{name} must be a date such as 2026-12-24", field=f"{where}.{name}") from None
    return _placed(where, Blackout, **ends)


def _placed(where: str, kind: Callable[..., T], **parts: Any) -> T:
    try:
        return kind(**parts)
    except Invalid as error:
        raise Invalid(error.message, field=f"{where}.{error.field}") from None


def _object(data: object, where: str, known: tuple[str, ...], needed: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise Invalid(f"{where} must be an object", field=where)
    for name in data:
        if name not in known:
            raise Invalid(f"{where} knows {', '.join(known)} and nothing else", field=f"{where}.{name}")
    for name in needed:
        if name not in data:
            raise Invalid(f"{where} needs {name}", field=f"{where}.{name}")
    return data


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{where} must be text", field=where)
    return value


@dataclass(frozen=True)
class Run:
    """What becomes of a due moment: turn now."""


@dataclass(frozen=True)
class Wait:
    """Not now: turn at `until`."""

    until: datetime


@dataclass(frozen=True)
class Alert:
    """The run is given up and somebody is told; `next_due` is the next regular one, if there is any."""

    next_due: datetime | None


Decision = Run | Wait | Alert


class Calendar(Protocol):
    """Turns schedules into moments. All moments are aware UTC datetimes; a naive one raises ValueError.

    Every method raises Invalid for a schedule whose time zone or cron expression means nothing.
    """

    def next_due(self, schedule: Schedule, after: datetime, draw: Randomness) -> datetime | None:
        """The next moment to turn, strictly after `after`, with jitter drawn; None: not within five years."""

    def check(self, schedule: Schedule, drain_minimum: timedelta, now: datetime) -> None:
        """Raises Invalid if the schedule never runs, or ever turns again within the drain minimum."""
