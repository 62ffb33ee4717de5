"""The language of rules: CEL, with what a rule can ask about, and functions for networks and local time.

It is loaded with the first rule: see `rules.py`.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel

from service.core.access import admitted

_TEXT, _TEXTS, _MOMENT = cel.Type.STRING, cel.Type.List(cel.Type.STRING), cel.Type.TIMESTAMP
BOOL = cel.Type.BOOL
VARIABLES = {
    "current_user.id": _TEXT,
    "current_user.email": _TEXT,
    "current_user.name": _TEXT,
    "current_user.method": _TEXT,
    "current_user.groups": _TEXTS,
    "current_user.attributes": cel.Type.Map(_TEXT, _TEXTS),
    "current_user.signed_in": cel.Type.BOOL,
    "current_user.factor_age": cel.Type.INT,
    "machine.name": _TEXT,
    "machine.kind": _TEXT,
    "request.address": _TEXT,
    "request.at": _MOMENT,
}


@lru_cache(256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# Called in every turn of a loop, with the same few things.
@lru_cache(1024)
def _within(address: str, network: str) -> bool:
    return admitted(address, (network,))


@lru_cache(1024)
def _hour(at: datetime, zone: str) -> int:
    return at.astimezone(_zone(zone)).hour


@lru_cache(1024)
def _weekday(at: datetime, zone: str) -> int:
    return at.astimezone(_zone(zone)).isoweekday()


@lru_cache(1024)
def _date(at: datetime, zone: str) -> str:
    return at.astimezone(_zone(zone)).date().isoformat()


def _function(name: str, of: Any, to: Any, does: Any) -> Any:
    overload = cel.Overload(f"keywright_{name}", return_type=to, parameters=[of, _TEXT], is_member=True, impl=does)
    return cel.FunctionDecl(name, [overload])


_OF_TIME = (
    *("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear"),
    *("Hours", "Minutes", "Seconds", "Milliseconds"),
)
_FUNCTIONS = ", ".join(f"{{name: {name}}}" for name in ("matches", *(f"get{part}" for part in _OF_TIME)))
_WITHOUT = f"stdlib: {{exclude_macros: [map], exclude_functions: [{_FUNCTIONS}]}}"
LANGUAGE = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml(_WITHOUT),
    variables=VARIABLES,
    functions=[
        _function("within", _TEXT, cel.Type.BOOL, _within),
        _function("hour", _MOMENT, cel.Type.INT, _hour),
        _function("weekday", _MOMENT, cel.Type.INT, _weekday),
        _function("date", _MOMENT, _TEXT, _date),
    ],
)
