"""Drift: what a login is and may do, in parts that can be compared and shown.

    current_user, role       as they are
    membership NAME          one for each role that it can act as
    administration NAME      one for each role that it can only give to others, as to whoever made it
    setting NAME             its value; a keyed digest where the value may be a secret
    grant STATEMENT          one for each line of SHOW GRANTS

A setting's value may be a secret where its name has a dot (it is an application's own) or sounds like one: such a
value is neither kept nor shown.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SECRET = re.compile(r"\.|pass|secret|key|token|credential|pwd", re.I)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.$]*")
_HIDDEN = "digest "
_MOST, _LONGEST = 10, 120

Parts = Mapping[str, str]


@dataclass(frozen=True)
class Sighting:
    """What a login that was let in showed, by endpoint.

    `moved`: parts that are other than before, and right. What is known already stays known but for those.
    """

    seen: Mapping[str, Parts] = field(default_factory=dict)
    moved: Mapping[str, Parts] = field(default_factory=dict)


def parts(identity: Mapping[str, str], key: bytes = b"") -> dict[str, str]:
    """Of what `Accepted.identity` holds. `key` keys the digests that are kept."""
    found: dict[str, str] = {}
    for name, text in identity.items():
        match name:
            case "memberships":
                found |= {f"membership {role}": "" for role in text.split(",") if role}
            case "administers":
                found |= {administration(role): "" for role in text.split(",") if role}
            case "grants":
                found |= {f"grant {line}": "" for line in text.splitlines() if line}
            case "settings":
                for line in text.splitlines():
                    setting, _, value = line.partition("=")
                    plain = _NAME.fullmatch(setting) and not _SECRET.search(setting)
                    shown = setting if _NAME.fullmatch(setting) else "of another name"
                    found[f"setting {shown}"] = value if plain else _HIDDEN + _digest(key, line)
            case _:
                found[name] = text
    return found


def administration(role: str) -> str:
    """The part that tells that a login administers a role, and cannot act as it."""
    return f"administration {role}"


def difference(before: Parts, now: Parts) -> tuple[str, ...]:
    """What became another, in sentences; none if nothing did."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    said = [_sentence(name, before.get(name), now.get(name)) for name in names]
    more = (f"and {len(said) - _MOST} more",) if len(said) > _MOST else ()
    return (*said[:_MOST], *more)


def _sentence(name: str, before: str | None, now: str | None) -> str:
    kind, _, what = name.partition(" ")
    if kind in ("membership", "administration", "grant"):
        return f"{kind} {'gained' if before is None else 'lost'}: {_short(what)}"
    if any(value is not None and value.startswith(_HIDDEN) for value in (before, now)):
        return f"{name}: changed (its value is not shown)"
    return f"{name}: {_quoted(before)} -> {_quoted(now)}"


def _quoted(value: str | None) -> str:
    return "none" if value is None else f"'{_short(value)}'"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key or b"-", text.encode(errors="surrogatepass"), hashlib.sha256).hex()[:16]
