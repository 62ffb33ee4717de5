"""How an agent is: a file with mode 0600 that it keeps up to date, and that `keywright agent --status` reads.

{"written", "pid", "began", "namespace", "ended", "once", "server", "environment",
 "subjects": [{"kind", "name", "heard", "sealed", "good_until", "error"}],
 "templates": [{"destination", "changed", "error"}], "program": {"pid"} or null}       moments in seconds since 1970
"""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keywright.agent import identity
from keywright.agent.child import Child
from keywright.agent.configuration import content_of
from keywright.agent.hearing import Heeded
from keywright.agent.page import Page
from keywright.agent.subject import Subject, moment
from keywright.errors import Invalid

PAST = 120.0
"""Seconds after which a status that was not written again is that of an agent that hangs, or is gone."""


def told(server: str, environment: str, heeded: Heeded, pages: Iterable[Page], child: Child | None) -> dict[str, Any]:
    """What is written, but for `ended` and `once`."""
    return {
        "written": time.time(),
        **identity.ours(),
        "server": server,
        "environment": environment,
        "subjects": [_subject(heeded, subject) for subject in sorted({*heeded.known, *heeded.failing})],
        "templates": [
            {"destination": page.template.name, "changed": page.changed, "error": page.error} for page in pages
        ],
        "program": None if child is None else {"pid": child.pid},
    }


def _subject(heeded: Heeded, subject: Subject) -> dict[str, Any]:
    known = heeded.known.get(subject)
    return {
        "kind": subject.kind.value,
        "name": subject.name,
        "heard": known.heard if known else None,
        "sealed": known.sealed if known else False,
        "good_until": known.good_until() if known else None,
        "error": heeded.failing.get(subject),
    }


def read(file: Path) -> dict[str, Any]:
    """Raises Invalid when there is none."""
    try:
        found = json.loads(content_of(file))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("written"), int | float):
        raise Invalid(f"{file} is not the status of an agent")
    return found


def aged(status: Mapping[str, Any], now: float) -> dict[str, Any]:
    """With ages in seconds at `now`, whether promises are over, and whether the agent is `gone` without an end."""
    subjects = [
        each
        | {
            "age": max(0, round(now - each["heard"])) if each["heard"] is not None else None,
            # A server that answers tells a change itself, before it retires what it promised for a shorter time.
            "past": bool(each["error"]) and each["good_until"] is not None and now >= each["good_until"],
        }
        for each in status["subjects"]
    ]
    age, lives = max(0, round(now - status["written"])), identity.lives(status)
    gone = not status.get("ended") and (lives is False or age > PAST)
    return dict(status) | {"age": age, "lives": lives, "gone": gone, "subjects": subjects}


def lines(status: Mapping[str, Any]) -> list[str]:
    """An aged status for people."""
    found = [f"agent {status['pid']} at {status['server']} {status['environment']}, {status['age']} seconds ago"]
    if status.get("ended"):
        found[0] += "; it ended"
    elif status["gone"]:
        found[0] += "; it is gone" if status["lives"] is False else "; it is gone, or hangs"
    for each in status["subjects"]:
        about = "never heard of" if each["age"] is None else f"{each['age']} seconds old"
        about += ", from the cache" if each["sealed"] else ""
        about += f", past its promise ({moment(each['good_until'])})" if each["past"] else ""
        about += f": {each['error']}" if each["error"] else ""
        found.append(f"{each['kind']} {each['name']}: {about}")
    for each in status["templates"]:
        about = "not written" if each["changed"] is None else f"as it should be since {moment(each['changed'])}"
        found.append(f"{each['destination']}: {about}" + (f"; {each['error']}" if each["error"] else ""))
    return found


def healthy(status: Mapping[str, Any]) -> bool:
    """Is nothing wrong? An agent that ended keeps nothing up to date, unless that was to be done once."""
    if status["gone"] or (status.get("ended") and not status.get("once")):
        return False
    parts = [*status["subjects"], *status["templates"]]
    return not any(each["error"] or each.get("past") for each in parts)
