"""Rules: what narrows a grant, judged by who asks, from where and when.

A rule is an expression of CEL, the Common Expression Language (github.com/google/cel-spec), which is true or false:

    'on-call' in current_user.groups && request.at.hour('Europe/Berlin') >= 8

    current_user.id .email .name .method    texts                  ┐
    current_user.groups                     list of texts          │
    current_user.attributes                 a list of texts each   ├ of a person
    current_user.signed_in                  false for its tokens   │
    current_user.factor_age                 seconds                ┘ not there where no second factor was shown
    machine.name .kind                      `machine`, or `token` for one that stands for itself
    request.address                         .within('10.0.0.0/8')
    request.at                              .hour(zone) 0..23  .weekday(zone) 1 Monday..7  .date(zone) '2026-12-24'

Names and types are looked at when the grant is made, and how many steps it may take (`rule_steps.py`): rules are judged
on the way of every fetch. There is neither `map`, by which a text could grow eightfold with every few characters of a
rule, nor `matches`, whose pattern may take any time to be read; nor `getHours` and its like, since CEL takes the time
zone that those are given for the name of a file, and opens it. What cannot be judged (nobody there, an attribute that
is missing, too many steps) does not hold: that is noted, by the rule alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import available_timezones

import structlog

from service.core.access import CurrentUser
from service.core.errors import Invalid
from service.keeper.rule_steps import ASSUMED, NoTree, steps

log = structlog.get_logger("rules")

LONGEST = 1000
"""Characters of a rule. How deep it may be nested is limited by CEL: 32 levels."""
MOST_STEPS = 100_000
"""Of one rule, where it is judged: a millisecond or so."""
_GAP = r"(?:\s|//[^\n]*\n)*"
_LITERAL = re.compile(rf"\.{_GAP}(within|hour|weekday|date)\s*\(\s*(?:'([^']*)'|\"([^\"]*)\")?\s*\)")
_CALL = re.compile(rf"\.{_GAP}(?:within|hour|weekday|date){_GAP}\(")


def checked(text: str, field: str = "rule") -> str:
    """The rule, if it could be judged. An empty one narrows nothing. Raises Invalid."""
    if not text:
        return text
    if len(text) > LONGEST:
        raise Invalid(f"{field} has {len(text)} characters; {LONGEST:,} are the most", field=field)
    # It takes 5 MB, and most servers have no rule.
    from service.keeper.rule_language import BOOL, LANGUAGE

    try:
        program = LANGUAGE.compile(text)
    except RuntimeError as wrong:
        raise Invalid(f"{field}: {_said(wrong)}", field=field) from None
    if program.return_type() != BOOL:
        raise Invalid(f"{field} must come to true or false", field=field)
    _check_arguments(text, field)
    if told := _too_much(program.serialize(), ASSUMED):
        raise Invalid(f"{field} {told}", field=field)
    return text


def unjudged(text: str) -> str:
    """Why a rule that was kept before is judged for nobody; empty where it is."""
    try:
        checked(text)
    except Invalid as wrong:
        return wrong.message
    return ""


def _too_much(tree: bytes, assumed: int) -> str:
    """Why it takes too long, as a part of a sentence; empty where it does not."""
    try:
        taken = steps(tree, assumed)
    except NoTree:
        return "holds what is no part of a rule, such as a message of Protocol Buffers"
    if taken <= MOST_STEPS:
        return ""
    return (
        f"may take {taken:,} steps, and {MOST_STEPS:,} are the most: what is in an exists, all or filter counts for "
        f"each element of its list, and for {ASSUMED} where the list is not written out"
    )


def _said(wrong: Exception) -> str:
    """What is wrong, in one line, without CEL's own drawing of where."""
    first = str(wrong).partition("\n")[0].removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: <input>:")
    said = first.replace(" (in container '')", "").replace("google.protobuf.Timestamp", "timestamp")
    at = re.match(r"1:(\d+): (.*)", said)
    return f"at character {at[1]}: {at[2]}" if at else said.partition(" [")[0]


def _check_arguments(text: str, field: str) -> None:
    """Networks and zones are written out, so that a misspelt one is found now."""
    found = list(_LITERAL.finditer(text))
    if len(found) != len(_CALL.findall(text)):
        raise Invalid(f"{field}: within, hour, weekday and date take one text, written out", field=field)
    for call in found:
        argument = call[2] or call[3] or ""
        try:
            if call[1] == "within":
                ip_network(argument)
            elif argument not in available_timezones():
                raise ValueError
        except ValueError:
            wanted = "a network, such as 10.0.0.0/8" if call[1] == "within" else "a time zone, such as Europe/Berlin"
            raise Invalid(f"{field}: {call[1]} takes {wanted}", field=field) from None


@lru_cache(4096)
def _program(text: str, assumed: int) -> Any:
    """Compiled, once in a process; None for what is too much, or what an older program took and this one does not."""
    from service.keeper.rule_language import LANGUAGE

    try:
        program = LANGUAGE.compile(text)
    except RuntimeError:
        return None
    return program if not _too_much(program.serialize(), assumed) else None


class Failures:
    """How often a rule could not be judged."""

    def __init__(self) -> None:
        self.count = 0
        self._told: set[str] = set()

    def note(self, rule: str) -> None:
        """One more. The log is told of each rule once."""
        self.count += 1
        if rule not in self._told and len(self._told) < LONGEST:
            self._told.add(rule)
            log.warning("a rule could not be judged, and does not hold", rule=rule)


failures = Failures()


@dataclass(slots=True)
class Context:
    """What a rule can ask about. Of one caller, at one moment: each rule is judged once."""

    user: CurrentUser | None
    name: str
    kind: str
    """`person`, or what `machine.kind` says."""
    address: str
    at: datetime
    _judged: dict[str, bool] = field(default_factory=dict)
    _facts: Any = None

    def holds(self, rule: str) -> bool:
        """Does it hold, for this caller at this moment?"""
        found = self._judged.get(rule)
        if found is None:
            found = self._judged[rule] = self._judge(rule)
        return found

    def _judge(self, rule: str) -> bool:
        program = _program(rule, self._assumed)
        if self._facts is None:
            from service.keeper.rule_language import LANGUAGE

            self._facts = LANGUAGE.Activation(self.facts())
        try:
            came_to = program.eval(self._facts).value() if program is not None else None
        except RuntimeError:  # over its budget
            came_to = None
        if came_to is not True and came_to is not False:
            failures.note(rule)
        return came_to is True

    @property
    def _assumed(self) -> int:
        """At least as many as the longest list of its user has; one of a few numbers, since each is worked out once."""
        found = ASSUMED
        if self.user is not None:
            texts = (each for each in self.user.attributes.values() if not isinstance(each, str))
            longest = max(map(len, (self.user.groups, *texts)))
            while found < longest:
                found *= 2
        return found

    def facts(self) -> Mapping[str, object]:
        """What the variables are."""
        found: dict[str, object] = {"request.address": _plain(self.address), "request.at": self.at}
        if self.user is None:
            return found | {"machine.name": self.name, "machine.kind": self.kind}
        user = self.user
        attributes = user.attributes.items()
        found |= {f"current_user.{name}": getattr(user, name) for name in ("id", "email", "name", "method")}
        found["current_user.groups"] = list(user.groups)
        found["current_user.attributes"] = {k: [v] if isinstance(v, str) else list(v) for k, v in attributes}
        found["current_user.signed_in"] = user.session
        if user.factor_at is not None:
            found["current_user.factor_age"] = int((self.at - user.factor_at).total_seconds())
        return found


def _plain(address: str) -> str:
    """IPv4 in IPv6 is what it stands for."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)
