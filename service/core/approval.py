"""Approvals: what a person does only when another person agrees, and how one goes without (break-glass).

An environment says in which areas its changes wait for somebody else: variables, connections, policies, rotations,
reveals. It is asked of people; machines and the scheduler are judged by their grants.

    asked ─┬→ approved ─┬→ applied     done as it was asked, by who asked it; a reveal: told, once
           │            ├→ failed      it was tried and cannot be done, or is not any more what was agreed to
           │            ├→ withdrawn
           │            └→ expired
           ├→ refused
           ├→ withdrawn                by who asked
           └→ expired

    break-glass    taken ─┬→ ended     by its holder, or by an owner
                          └→ over      by itself, after an hour at most

`GUARDED` says which actions of the log are held up where, `EXEMPT` which changes are not, and why. A test walks all
operations: what is in neither fails it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.core.access import Thing
from service.core.errors import Conflict, Invalid
from service.core.event import fit

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=14)
REVEALED_WITHIN = timedelta(minutes=15)
"""After somebody agreed to a reveal; then it must be asked for again."""
LONGEST_GLASS = timedelta(minutes=60)
LONGEST_REASON = LONGEST_NOTE = 500


class Area(StrEnum):
    """What of an environment can be held up."""

    VARIABLES = "variables"
    CONNECTIONS = "connections"
    POLICIES = "policies"
    ROTATIONS = "rotations"
    REVEALS = "reveals"


@dataclass(frozen=True)
class Terms:
    """In which areas an environment asks for a second person, and how long a question waits for an answer."""

    areas: frozenset[Area] = frozenset()
    lasts: timedelta = timedelta(hours=8)

    def __post_init__(self) -> None:
        if not SHORTEST <= self.lasts <= LONGEST:
            raise Invalid("approvals.lasts must be from 5m to 14d", field="approvals.lasts")


ALONE = Terms()
"""Of an environment in which nobody waits for anybody."""


@dataclass(frozen=True)
class Glass:
    """A right to go without approvals for a while, as the snapshot has it."""

    id: str
    user_id: str
    expires_at: datetime


def broken(glasses: tuple[Glass, ...], user_id: str, now: datetime) -> Glass | None:
    """The one that somebody holds now."""
    return next((glass for glass in glasses if glass.user_id == user_id and now < glass.expires_at), None)


class About(StrEnum):
    """What the resource in the event of a guarded action names: where its terms and its owners are found."""

    VARIABLE = "variable"
    CONNECTION = "connection"
    FOLDER = "folder"
    ENVIRONMENT = "environment"
    GRANT = "grant"
    """The holder of a grant; the environment is in the event, and none stands for all of them."""
    TOKEN = "token"  # noqa: S105 - no password
    """By name or id: it reaches wherever its grants do."""
    MACHINE = "machine"
    USER = "user"
    """By its id, with what its groups hold."""
    GROUP = "group"
    """By its id, with what the groups hold that it is in."""
    EVERYTHING = "everything"


@dataclass(frozen=True)
class Guarded:
    """How an action is guarded: in these areas; all of them for what could switch the guard itself off."""

    about: About
    areas: frozenset[Area]
    foreseen: bool = False
    """Is it judged before it is tried, since trying it reaches outside? Then its outcome is not compared."""

    @property
    def lasting(self) -> bool:
        """Would it outlast a break-glass? Then that does not cover it."""
        return self.areas == _ANY


_ANY = frozenset(Area)
_VARIABLE = Guarded(About.VARIABLE, frozenset({Area.VARIABLES}))
_ROTATION = Guarded(About.CONNECTION, frozenset({Area.ROTATIONS}))
_INCIDENT = Guarded(About.FOLDER, frozenset({Area.ROTATIONS}))
_MACHINE = Guarded(About.MACHINE, _ANY)
_TOKEN = Guarded(About.TOKEN, _ANY)

GUARDED: Mapping[str, Guarded] = {
    "variable.put": _VARIABLE,
    "variable.activate": _VARIABLE,
    "variable.annotate": _VARIABLE,
    "variable.delete": _VARIABLE,
    "version.delete": _VARIABLE,
    "version.undelete": _VARIABLE,
    "version.destroy": _VARIABLE,
    # Where only the rotation policy is another, `policies` alone decides.
    "connection.put": Guarded(About.CONNECTION, frozenset({Area.CONNECTIONS, Area.POLICIES}), foreseen=True),
    "policy.put": Guarded(About.CONNECTION, frozenset({Area.POLICIES}), foreseen=True),
    "connection.delete": Guarded(About.CONNECTION, frozenset({Area.CONNECTIONS, Area.POLICIES})),
    "rotation.ask": _ROTATION,
    "rotation.retry": _ROTATION,
    "rotation.abandon": _ROTATION,
    "rotation.revert": _ROTATION,
    "incident.begin": _INCIDENT,
    "incident.cancel": _INCIDENT,
    "incident.resume": _INCIDENT,
    # What switches approvals off, opens the environment to others, or is the end of it.
    "environment.change": Guarded(About.ENVIRONMENT, _ANY),
    "environment.delete": Guarded(About.ENVIRONMENT, _ANY),
    # Who would otherwise make a machine, and let that do it.
    "grant.add": Guarded(About.GRANT, _ANY),
    "token.add": _TOKEN,
    "token.bind": _TOKEN,
    "machine.add": _MACHINE,
    "machine.change": _MACHINE,
    "machine.prove": _MACHINE,
    "machine_token.add": _MACHINE,
    "secret_id.add": _MACHINE,
    # Who would otherwise make a second person.
    "group.join": Guarded(About.GROUP, _ANY),
    "group.change": Guarded(About.GROUP, _ANY),  # another name, of which rules may ask; else it waits for nobody
    "user.change": Guarded(About.USER, _ANY),  # enabling, an address, attributes; else it waits for nobody
    "invitation.add": Guarded(About.USER, _ANY),
    "password.set": Guarded(About.USER, _ANY),
    "settings.change": Guarded(About.EVERYTHING, _ANY),
    "identity_provider.add": Guarded(About.EVERYTHING, _ANY),
    "identity_provider.change": Guarded(About.EVERYTHING, _ANY),
}
REVEALS = frozenset({"value.fetch", "credential.fetch"})
"""Fetches: guarded where a person would be told a secret."""
EXEMPT: Mapping[str, str] = {
    "approval.asked": "asking is how one gets there",
    "approval.decided": "it is the other half of it, and needs a second person already",
    "approval.withdrawn": "nothing is done then",
    "approval.applied": "it was agreed to, and is judged once more where it is told",
    "approval.failed": "nothing was done then",
    "break-glass.taken": "going without is what it is for; it is told to everybody concerned",
    "break-glass.ended": "from then on approvals are needed again",
    "environment.add": "there is nothing in it yet",
    "user.add": "a person without a grant: what it may do comes by grants and groups, which wait",
    "user.owner": "only whoever runs the server's own command on its machine",
    "user.remove": "taking access away is never held up",
    "group.add": "a group without a grant and without members",
    "group.part": "taking access away is never held up",
    "group.remove": "taking access away is never held up",
    "identity_provider.remove": "taking access away is never held up",
    "session.open": "signing in is how one becomes a caller",
    "session.allow": "a session of one's own, which may do what the one may that allows it",
    "session.refuse": "nothing is done then",
    "session.end": "taking access away is never held up",
    "password.change": "one's own",
    "factor.begin": "one's own",
    "factor.add": "one's own",
    "factor.show": "one's own",
    "factor.remove": "who has no factor agrees to nothing; other ways in as somebody, by invitation or password, wait",
    "recovery_codes.make": "one's own",
    "personal_token.add": "what its person may do, who is asked by whatever token",
    "grant.remove": "taking access away is never held up",
    "token.revoke": "taking access away is never held up",
    "token.renew": "a machine's own, with what that may do already",
    "machine.login": "a machine's own, by a proof that was waited for",
    "token.use": "making out who asks changes nothing",
    "machine.remove": "taking access away is never held up",
    "machine.unprove": "taking access away is never held up",
    "secret_id.revoke": "taking access away is never held up",
    "wrapping.make": "of an answer that was given already",
    "wrapping.open": "whoever gave it away was allowed to read it",
    "webhook.add": "a webhook is told names, never values, and changes nothing here",
    "webhook.change": "a webhook is told names, never values, and changes nothing here",
    "webhook.delete": "a webhook is told names, never values, and changes nothing here",
    "webhook.renew": "a webhook is told names, never values, and changes nothing here",
    "webhook.replay": "a webhook is told names, never values, and changes nothing here",
    "webhook.test": "a webhook is told names, never values, and changes nothing here",
    "restoration.begin": "it holds rotations, and changes no password",
    "key.rotate": "only whoever runs the server's own command on its machine",
    "key.reseal": "only whoever runs the server's own command on its machine",
    "key.rewrap": "only whoever runs the server's own command on its machine",
    "event.prune": "only whoever runs the server's own command on its machine, or the pruner by its settings",
}
"""Changes that a person can make and that wait for nobody, each with the reason."""


@dataclass(frozen=True)
class Need:
    """What somebody else has to agree to. `resource` is as the log has it, `things` what an approver must own.

    `after` is what would be so from then on, as `service.keeper.likeness` tells it.
    """

    action: str
    environment_id: str
    environment: str
    resource: str
    things: tuple[Thing, ...]
    lasts: timedelta
    after: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Carried:
    """An approval that is being applied: its caller may do just this, and nothing else that needs one."""

    id: str
    action: str
    environment_id: str
    resource: str
    approved_by: str
    things: frozenset[Thing]


@dataclass(frozen=True)
class Kept:
    """A request, as it is kept sealed until it is applied. Never a header that says who asks."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: str = field(repr=False)


class State(StrEnum):
    """Where an approval stands."""

    ASKED = "asked"
    APPROVED = "approved"
    APPLIED = "applied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"


OPEN = (State.ASKED, State.APPROVED)
_MOVES = {
    State.ASKED: {State.APPROVED, State.REFUSED, State.WITHDRAWN},
    State.APPROVED: {State.APPLIED, State.FAILED, State.WITHDRAWN},
}


@dataclass(frozen=True)
class Changed:
    """One line of a summary. Of a secret nothing is told but that it is another."""

    what: str
    old: object = None
    new: object = None
    secret: bool = False


@dataclass(frozen=True)
class Approval:
    """What somebody asked to do. `state` is as it is at the moment of reading."""

    id: str
    environment_id: str
    environment: str
    action: str
    resource: str
    things: tuple[Thing, ...]
    summary: tuple[Changed, ...]
    reason: str
    asked_by: str
    asked_by_name: str
    state: State
    note: str
    expires_at: datetime
    created_at: datetime
    decided_by: str = ""
    decided_by_name: str = ""
    decided_at: datetime | None = None
    applied_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)

    def require_move(self, state: State) -> None:
        """Raises Conflict if it cannot go there from where it stands."""
        if state not in _MOVES.get(self.state, set()):
            raise Conflict(f"approval {self.id} is {self.state.value} and cannot become {state.value}")

    @property
    def reveals(self) -> bool:
        """Is it about being told a secret?"""
        return self.action in REVEALS


@dataclass(frozen=True)
class BreakGlass:
    """That somebody went without approvals, and why."""

    id: str
    environment_id: str
    environment: str
    user_id: str
    user: str
    reason: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


def summary(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Changed, ...]:
    """What is another afterwards. What a likeness tells of a secret is a digest in a dictionary of its own."""
    lines = []
    for what in sorted({*before, *after}):
        old, new = before.get(what), after.get(what)
        if old == new:
            continue
        if _hidden(old) or _hidden(new):
            lines.append(Changed(what, secret=True))
        else:
            lines.append(Changed(what, old, new))
    return tuple(lines)


def hidden(digest: str) -> dict[str, str]:
    """What stands for a secret in a likeness."""
    return {"digest": digest}


def _hidden(told: object) -> bool:
    return isinstance(told, dict) and told.keys() == {"digest"}


def reason(text: str) -> str:
    """Why somebody asks, or goes without. Raises Invalid."""
    said = text.strip(" ")
    if not 1 <= len(said) <= LONGEST_REASON or fit(said) != said:
        raise Invalid(f"reason must be 1 to {LONGEST_REASON} characters on one line: why", field="reason")
    return said
