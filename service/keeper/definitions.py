"""Connection definitions: between the JSON of requests and ledger, and the types of the core.

    definition  {"engine", "endpoints": [{"host", "port", "part", "required"}], "database",
                 "tls": {"mode", "ca"}, "options": {}, "kept_in": {"reference", "username_key", "password_key"}}
    policy      {"strategy", "drain_minimum", "drain_limit", "after_limit", "role", "logins", "siblings", "spacing",
                 "check_every",
                 "password": {"length", "classes", "excluded"}, …the keys of a schedule}

Every reader raises Invalid naming the field, and knows the same defaults for requests and for the ledger.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service.core import names
from service.core import schedule as schedules
from service.core.connection import DEFAULT_PORTS, Endpoint, Engine, Option, Part, Target, Tls, TlsMode
from service.core.errors import Invalid
from service.core.password import PasswordPolicy
from service.core.reference import Reference
from service.core.rotation import AfterLimit, RotationPolicy, Strategy

MOST_ENDPOINTS = 16
DRAIN_MINIMUM = timedelta(hours=1)
DRAIN_LIMIT = timedelta(hours=24)
CHECK_EVERY = timedelta(hours=1)
MOST_OFTEN = timedelta(minutes=1)
"""So often the sentinel looks for what is to be checked. Judged where a connection is put, not where it is read."""
NEVER = "never"
LONGEST_USERNAME = {Engine.POSTGRESQL: 63, Engine.MARIADB: 80}
"""Bytes for PostgreSQL (NAMEDATALEN - 1), characters for MariaDB."""
STRATEGIES = {
    Engine.POSTGRESQL: (Strategy.ALTERNATING, Strategy.SINGLE),
    Engine.MARIADB: (Strategy.OVERLAPPING, Strategy.SINGLE),
}
_OWNED = re.compile(r"host|hostaddr|port|user|password|dbname|database|passfile|service|servicefile|ssl.*|gss.*", re.I)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?|[0-9A-Fa-f:.]{2,45}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class KeptIn:
    """The outside secret in which a connection's password lives (write-back), and its keys there."""

    location: Reference
    password_key: str
    username_key: str | None

    def password(self) -> Reference:
        """Where the password is."""
        return Reference(self.location.store, self.location.location, self.password_key)

    def username(self) -> Reference | None:
        """Where the user name is, if it is kept there too."""
        if self.username_key is None:
            return None
        return Reference(self.location.store, self.location.location, self.username_key)


def target(data: Mapping[str, Any]) -> Target:
    """The target of a definition. Raises Invalid."""
    engine = _member(Engine, data.get("engine"), "engine")
    endpoints = tuple(_endpoint(e, engine, f"endpoints[{i}]") for i, e in enumerate(data.get("endpoints") or ()))
    if not 1 <= len(endpoints) <= MOST_ENDPOINTS:
        raise Invalid(f"endpoints: 1 to {MOST_ENDPOINTS} are needed", field="endpoints")
    if sum(e.part is Part.PRIMARY for e in endpoints) != 1:
        raise Invalid("endpoints: exactly one must be the primary", field="endpoints")
    if not next(e for e in endpoints if e.part is Part.PRIMARY).required:
        raise Invalid("endpoints: the primary cannot be optional", field="endpoints")
    database = _text(data.get("database"), "database", 128)
    given = data.get("tls") or {}
    mode = _member(TlsMode, given.get("mode", TlsMode.VERIFY_FULL.value), "tls.mode")
    ca = given.get("ca")
    if ca is not None and ("-----BEGIN CERTIFICATE-----" not in ca or len(ca) > 65536):
        raise Invalid("tls.ca must be certificates in PEM text, 64 KiB at most", field="tls.ca")
    if "PRIVATE KEY" in (ca or ""):
        raise Invalid("tls.ca holds a private key; only certificates belong here", field="tls.ca")
    return Target(engine, endpoints, database, Tls(mode, ca), _options(data.get("options") or {}))


def server(it: Target) -> str:
    """Which server a target is on: what connections to it have in common. Hosts are the same in either case."""
    return address(it, it.primary)


def address(it: Target, endpoint: Endpoint) -> str:
    """One of its endpoints, in the words of `server`."""
    return f"{it.engine.value}://{endpoint}".lower()


def target_data(it: Target) -> dict[str, Any]:
    """As `target` reads it."""
    return {
        "engine": it.engine.value,
        "endpoints": [
            {"host": e.host, "port": e.port, "part": e.part.value, "required": e.required} for e in it.endpoints
        ],
        "database": it.database,
        "tls": {"mode": it.tls.mode.value, "ca": it.tls.ca},
        "options": dict(it.options),
    }


def _endpoint(data: Mapping[str, Any], engine: Engine, where: str) -> Endpoint:
    host = data.get("host")
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise Invalid(f"{where}.host must be a host name or an address", field=f"{where}.host")
    port = data.get("port", DEFAULT_PORTS[engine])
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise Invalid(f"{where}.port must be 1 to 65535", field=f"{where}.port")
    part = _member(Part, data.get("part", Part.PRIMARY.value), f"{where}.part")
    return Endpoint(host, port, part, bool(data.get("required", True)))


def _options(data: Mapping[str, Option]) -> dict[str, Option]:
    for name, value in data.items():
        where = f"options.{name[:60]}"
        if _OWNED.fullmatch(name):
            raise Invalid(f"{where} is set by the connection itself; use its own field", field=where)
        if not name or len(name) > 64 or _UNPRINTABLE.search(name) or len(str(value)) > 1024:
            raise Invalid(f"{where}: names have 1 to 64 characters and values 1,024 at most", field=where)
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            raise Invalid(f"{where} holds a control character", field=where)
    return dict(data)


def username(text: object, engine: Engine, field: str) -> str:
    """A login's or a role's name. Raises Invalid naming `field`."""
    longest = LONGEST_USERNAME[engine]
    if not isinstance(text, str) or not text or _UNPRINTABLE.search(text):
        raise Invalid(f"{field} must be a name without control characters", field=field)
    if len(text.encode() if engine is Engine.POSTGRESQL else text) > longest:
        raise Invalid(f"{field} is longer than the {longest} that {engine.value} allows", field=field)
    return text


def kept_in(data: Mapping[str, Any] | None) -> KeptIn | None:
    """The outside home of a password. Raises Invalid."""
    if data is None:
        return None
    location = Reference.parse(str(data.get("reference", "")), "kept_in.reference")
    if location.key is not None:
        raise Invalid("kept_in.reference names the whole secret; its keys go into *_key", field="kept_in.reference")
    if location.store not in ("vault", "aws-sm"):
        raise Invalid(
            "kept_in.reference must be in vault: or aws-sm:, the stores that take values back",
            field="kept_in.reference",
        )
    key = _text(data.get("password_key", "password"), "kept_in.password_key", 200)
    other = data.get("username_key")
    return KeptIn(location, key, None if other is None else _text(other, "kept_in.username_key", 200))


def kept_in_data(it: KeptIn | None) -> dict[str, Any] | None:
    """As `kept_in` reads it."""
    return (
        None
        if it is None
        else {
            "reference": str(it.location),
            "password_key": it.password_key,
            "username_key": it.username_key,
        }
    )


def policy(data: Mapping[str, Any] | None, engine: Engine) -> RotationPolicy | None:
    """The rotation policy. Raises Invalid. A schedule is judged apart, by the calendar."""
    if data is None:
        return None
    strategy = _member(Strategy, data.get("strategy"), "rotation.strategy")
    if strategy not in STRATEGIES[engine]:
        possible = " or ".join(s.value for s in STRATEGIES[engine])
        raise Invalid(f"rotation.strategy: {engine.value} has {possible}", field="rotation.strategy")
    minimum = _duration(data, "drain_minimum", DRAIN_MINIMUM)
    limit = _duration(data, "drain_limit", max(DRAIN_LIMIT, minimum))
    password = data.get("password")
    scheduled = {key: data[key] for key in schedules.KEYS if data.get(key) is not None}
    if strategy is not Strategy.ALTERNATING and (data.get("role") or data.get("logins")):
        raise Invalid("rotation.role and rotation.logins belong to the strategy alternating", field="rotation.role")
    role, logins = data.get("role"), data.get("logins")
    if logins is not None and len(logins) != 2:
        raise Invalid("rotation.logins must name two logins", field="rotation.logins")
    siblings = data.get("siblings")
    return RotationPolicy(
        strategy,
        schedules.parse(scheduled) if scheduled else None,
        minimum,
        limit,
        None
        if password is None
        else PasswordPolicy(
            password.get("length", 32),
            tuple(password.get("classes") or ("lower", "upper", "digit")),
            password.get("excluded", ""),
        ),
        None if role is None else username(role, engine, "rotation.role"),
        None
        if logins is None
        else (
            username(logins[0], engine, "rotation.logins"),
            username(logins[1], engine, "rotation.logins"),
        ),
        _member(AfterLimit, data.get("after_limit", AfterLimit.RETIRE.value), "rotation.after_limit"),
        None if siblings is None else names.path(siblings, "rotation.siblings"),
        schedules.duration(data["spacing"], "rotation.spacing") if data.get("spacing") is not None else None,
        None if data.get("check_every") == NEVER else _duration(data, "check_every", CHECK_EVERY),
    )


def policy_data(it: RotationPolicy | None) -> dict[str, Any] | None:
    """As `policy` reads it."""
    if it is None:
        return None
    data: dict[str, Any] = {
        "strategy": it.strategy.value,
        "drain_minimum": schedules.duration_text(it.drain_minimum),
        "drain_limit": schedules.duration_text(it.drain_limit),
    }
    if it.schedule:
        data |= it.schedule.as_data()
    if it.password:
        data["password"] = {
            "length": it.password.length,
            "classes": list(it.password.classes),
            "excluded": it.password.excluded,
        }
    if it.after_limit is not AfterLimit.RETIRE:
        data["after_limit"] = it.after_limit.value
    if it.siblings:
        data["siblings"] = it.siblings
    if it.spacing:
        data["spacing"] = schedules.duration_text(it.spacing)
    if it.check_every != CHECK_EVERY:
        data["check_every"] = schedules.duration_text(it.check_every) if it.check_every else NEVER
    if it.role:
        data["role"] = it.role
    if it.logins:
        data["logins"] = list(it.logins)
    return data


def _duration(data: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    given = data.get(key)
    return default if given is None else schedules.duration(given, f"rotation.{key}")


def _member(kind: Any, text: object, field: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"{field} must be {' or '.join(kind)}", field=field) from None


def _text(value: object, field: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or _UNPRINTABLE.search(value):
        raise Invalid(f"{field} must be 1 to {longest} characters without control characters", field=field)
    return value
