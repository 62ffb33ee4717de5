"""Fetching values: what applications come for.

evaluate  on one snapshot: which live versions the answer is made of, and whether the caller may use
          every one of them; a reference that was not read yet ends the evaluation…
read      …it is read from its store, outside of any transaction, and the evaluation begins again
record    on the epoch of the snapshot that was evaluated
answer    only then
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from service.core import names
from service.core.access import Caller, Level
from service.core.connection import Account, Target, url
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Invalid, StoreMalformed, StoreRefused, TooLarge
from service.core.event import Detail
from service.core.reference import Reference, allowed
from service.core.sealed import version_context
from service.core.secret import Secret
from service.core.variable import (
    DEEPEST,
    LONGEST_VALUE,
    ConnectionPart,
    Part,
    Value,
    ValueKind,
    VariablePart,
    fill,
    parse_template,
)
from service.keeper.asked import Asked, Known, Told, Who, nothing
from service.keeper.credentials import Credentials, Set, common_keys, key_of
from service.keeper.freshness import require_fresh_in
from service.keeper.guard import reveal
from service.keeper.keys import Keyrings
from service.keeper.recorder import Recorder
from service.keeper.references import Read, Readings, References, Sought
from service.keeper.snapshot import WITHIN, Key, Snapshot, View
from service.keeper.variables import judged
from service.keeper.walls import Walls, of_variable
from service.ledger.changes import Kind as Changed
from service.ledger.state import LiveVariable

MOST = 500
LARGEST = 4 * 2**20
"""Values in one answer, at most, and bytes of them: an event loop opens them, and others wait for it."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for: names, or a folder."""

    names: tuple[str, ...] = ()
    folder: str | None = None

    def check(self) -> None:
        """Raises Invalid, TooLarge."""
        if self.folder:
            names.path(self.folder, "folder")
        if self.folder is None and not self.names:
            raise Invalid("names: at least one is needed", field="names")
        if len(self.names) > MOST:
            raise TooLarge(f"names: {len(self.names)} were asked for; {MOST} are the most")
        for name in self.names:
            names.path(name, "name")

    def __str__(self) -> str:
        return ",".join(self.names) if self.folder is None else f"{self.folder}/"


@dataclass(slots=True)
class Fetched:
    """One value as it is answered. `age` is how many seconds ago an outside store was last asked.

    `text` is the value as JSON. `mark` stands for the value in a tag: a version of a literal never changes, so that
    it needs no look into it.
    """

    name: str
    text: Secret = field(repr=False)
    version: int
    secret: bool
    kind: ValueKind
    age: float
    mark: str
    created_at: datetime
    """Of the version."""
    notes: str | None
    stale: bool = False

    @property
    def value(self) -> Secret | dict[str, object]:
        """The string or the object."""
        read: Value = json.loads(self.text.reveal())
        return Secret(read) if isinstance(read, str) else read


@dataclass(slots=True)
class _Planned:
    """A value before anything is opened outside: its template's parts are planned too."""

    variable: LiveVariable
    text: Secret
    """What was put as this version, as JSON."""
    reference: Reference | None = None
    parts: tuple[Part, ...] = ()
    inner: dict[str, "_Planned"] = field(default_factory=dict)
    sets: dict[str, Set] = field(default_factory=dict)
    height: int = 0
    """How many templates lie within it at the deepest."""

    def sought(self) -> set[Sought]:
        """What it needs itself from stores, without what its parts need."""
        own = {Sought(self.reference)} if self.reference else set()
        return own.union(*(offered.sought() for offered in self.sets.values()))


@dataclass(slots=True)
class _Fetch:
    """One evaluation. Every variable in it is planned and opened once, however often templates use it."""

    view: View
    wall: Environment
    caller: Caller
    readings: Readings
    plans: dict[str, _Planned] = field(default_factory=dict)
    opened: dict[str, Fetched] = field(default_factory=dict)

    def detail(self, found: list[Fetched]) -> dict[str, Detail]:
        """For the event: the versions of what was answered; and what else it is composed of, variables as
        `name:version` and connections as `name:generation`; and the ages of what is stale, as `name:seconds`."""
        told: dict[str, Detail] = {"versions": " ".join([f"{it.name}:{it.version}" for it in found])}
        if len(found) == 1 and found[0].kind is ValueKind.LITERAL:
            return told
        if inner := self.plans.keys() - {it.name for it in found}:
            told["through"] = " ".join(sorted(f"{name}:{self.plans[name].variable.number}" for name in inner))
        if stale := [f"{it.name}:{round(it.age)}" for it in found if it.stale]:
            told["stale"] = " ".join(stale)
        sets = [offered.connection for plan in self.plans.values() for offered in plan.sets.values()]
        if sets:
            told["generations"] = " ".join(sorted({f"{stored.name}:{stored.generation}" for stored in sets}))
        return told

    def reveals(self) -> bool:
        """Is any of it a secret? What lies in a store is one, whatever a person who may write here calls it."""
        return any(plan.variable.secret or plan.reference for plan in self.plans.values())

    def keys(self, *, folder: bool) -> frozenset[Key]:
        """What the answer depends on."""
        keys = {*common_keys(self.wall, self.caller)} | ({(WITHIN, self.wall.id)} if folder else set())
        for plan in self.plans.values():
            keys.add((Changed.VARIABLE.value, plan.variable.id))
            keys.update(key_of(offered.connection) for offered in plan.sets.values())
        return frozenset(keys)


class Values:
    """The fetch of values."""

    def __init__(
        self,
        recorder: Recorder,
        walls: Walls,
        credentials: Credentials,
        references: References,
        keyrings: Keyrings,
    ) -> None:
        self._recorder = recorder
        self._walls = walls
        self._credentials = credentials
        self._references = references
        self._keyrings = keyrings

    def fetch(self, caller: Caller, environment: str, wanted: Wanted) -> tuple[list[Fetched], str]:
        """The values and their tag, recorded. By name all or none; of a folder those that the caller may use.

        Raises Absent, Forbidden, Conflict (no live version), TooLarge, the store errors, SealBroken.
        """
        told: Told[list[Fetched]] = self._recorder.fetch(self.asked(lambda _: caller, environment, wanted))
        return told.news, told.tag

    def asked(self, who: Who, environment: str, wanted: Wanted, known: Known = nothing) -> Asked:
        """The same, to be recorded with others; comes to a `Told[list[Fetched]]`. Raises Invalid, TooLarge."""
        wanted.check()
        readings = self._references.readings()

        def evaluate(view: View, asked: Asked) -> Told[list[Fetched]]:
            caller = asked.caller = who(view)
            wall = self._walls.judge(view.snapshot.environment(environment), caller, environment)
            fetch = _Fetch(view, wall, caller, readings)
            chosen = _chosen(view.snapshot, wall, caller, wanted)
            _bounded(sum(len(variable.sealed or b"") for variable in chosen))  # before anything is opened
            planned = [self._plan(fetch, variable) for variable in chosen]
            if fetch.reveals():
                require_fresh_in(view, caller, "showing a secret")
            right = {}
            if caller.user is not None:
                secrets = [of_variable(wall, plan.variable.name) for plan in planned if plan.variable.secret]
                right = reveal(wall, caller, view.now, asked.action, asked.resource, secrets)
            if not all(plan.variable.kind is ValueKind.LITERAL for plan in planned):
                readings.require(set().union(*(plan.sought() for plan in fetch.plans.values())))
            found, size = [], 0
            for plan in planned:
                found.append(self._opened(fetch, plan))
                size += len(found[-1].text.reveal())
                _bounded(size)  # what is composed may be much longer than what was put
            tag = self._tag(wall, found)
            if known(tag):
                asked.told = False
                return Told(None, tag, fetch.keys(folder=wanted.folder is not None) | readings.keys())
            asked.detail = fetch.detail(found) | right
            return Told(found, tag)

        return Asked(evaluate, "value.fetch", environment, str(wanted), renew=readings.renew)

    def tag_of_literal(self, wall: Environment, variable: LiveVariable) -> str:
        """The tag of an answer of this alone."""
        return self._digest(f"{wall.id}\n{variable.name} {variable.secret} {mark_of(variable)}")

    def _tag(self, wall: Environment, found: list[Fetched]) -> str:
        # Keyed, so that a tag in a log tells nothing about the value; the ages are left out.
        return self._digest("\n".join([wall.id, *(f"{it.name} {it.secret} {it.mark}" for it in found)]))

    def _digest(self, text: str) -> str:
        # BLAKE2 with a key (RFC 7693): unlike OpenSSL's HMAC it does not let go of the interpreter in between.
        said = text.encode(errors="surrogatepass")
        return hashlib.blake2s(said, key=self._keyrings.tag_key(), digest_size=16).hexdigest()

    def _plan(self, fetch: _Fetch, variable: LiveVariable, depth: int = 0) -> _Planned:
        if variable.name in fetch.plans:
            return fetch.plans[variable.name]
        if variable.number is None or variable.sealed is None:
            raise Conflict(
                f"variable {variable.name} has no live version in {fetch.wall.name}; activate one or put a new one"
            )
        ring = self._keyrings.kept(fetch.wall.id, variable.sealed)
        text = ring.unseal(variable.sealed, version_context(fetch.wall.id, variable.id, variable.number))
        plan = _Planned(variable, text)
        if variable.kind is ValueKind.REFERENCE:
            plan.reference = _permitted(fetch.wall, str(json.loads(text.reveal())))
        elif variable.kind is ValueKind.TEMPLATE:
            plan.parts = parse_template(str(json.loads(text.reveal())))
            self._plan_parts(fetch, plan, depth)
        fetch.plans[variable.name] = plan
        return plan

    def _plan_parts(self, fetch: _Fetch, plan: _Planned, depth: int) -> None:
        view, wall, caller, variable = fetch.view, fetch.wall, fetch.caller, plan.variable
        for part in plan.parts:
            if isinstance(part, VariablePart) and part.name not in plan.inner:
                used = _part(view.snapshot, wall, caller, variable, part.name)
                # When it was put, only what lies below a template was counted, not what lies above.
                if depth < DEEPEST:
                    plan.inner[part.name] = self._plan(fetch, used, depth + 1)
                if depth >= DEEPEST or plan.inner[part.name].height >= DEEPEST:
                    raise Conflict(f"variable {variable.name}: more than {DEEPEST} templates lie within one another")
            elif isinstance(part, ConnectionPart) and part.connection not in plan.sets:
                plan.sets[part.connection] = self._credentials.plan(view, wall, caller, part.connection)
        plan.height = 1 + max((inner.height for inner in plan.inner.values()), default=-1)

    def _opened(self, fetch: _Fetch, plan: _Planned) -> Fetched:
        variable = plan.variable
        assert variable.number is not None and variable.kind is not None  # planned only so  # noqa: S101, PT018
        assert variable.created_at is not None  # as it has a version  # noqa: S101
        if variable.name in fetch.opened:
            return fetch.opened[variable.name]
        age, stale, text = 0.0, False, plan.text
        if variable.kind is ValueKind.LITERAL:
            mark = mark_of(variable)
        else:
            if plan.reference:
                read = _checked(fetch.readings.read(Sought(plan.reference), fetch.wall), plan.reference)
            else:
                read = self._filled(fetch, plan)
            value, age, stale = read.value.reveal(), read.age, read.stale
            text = Secret(json.dumps(value))
            mark = f"{variable.number}:{self._digest(value)}"
        fetched = Fetched(
            variable.name,
            text,
            variable.number,
            variable.secret,
            variable.kind,
            age,
            mark,
            variable.created_at,
            variable.notes,
            stale,
        )
        fetch.opened[variable.name] = fetched
        return fetched

    def _filled(self, fetch: _Fetch, plan: _Planned) -> Read:
        texts: dict[Part, str] = {}
        age, stale = 0.0, False
        for part in plan.parts:
            if isinstance(part, VariablePart):
                used = self._opened(fetch, plan.inner[part.name])
                value = used.value
                if not isinstance(value, Secret):
                    raise Invalid(f"variable {part.name} is an object, which cannot stand inside a template")
                texts[part] = value.reveal()
                age, stale = max(age, used.age), stale or used.stale
            elif isinstance(part, ConnectionPart):
                offered = plan.sets[part.connection]
                best = self._credentials.accounts(offered, fetch.readings)[0]
                texts[part] = _field(offered.target, best.account, part.field)
                age, stale = max(age, best.age), stale or best.stale
        try:
            return Read(Secret(fill(plan.parts, texts)), age, stale)
        except TooLarge as error:
            raise TooLarge(f"variable {plan.variable.name}: {error.message}") from None


def mark_of(variable: LiveVariable) -> str:
    """What stands for a literal in a tag: a version of it never changes."""
    return f"{variable.id}:{variable.number}"


def _field(target: Target, account: Account, field: str) -> str:
    match field:
        case "username":
            return account.username
        case "password":
            return account.password.reveal()
        case "url":
            return url(target, account).reveal()
        case "host":
            return target.primary.host
        case "port":
            return str(target.primary.port)
        case _:
            return target.database


def _permitted(wall: Environment, text: str) -> Reference:
    reference = Reference.parse(text)
    if not allowed(reference, wall.stores):
        raise StoreRefused(
            f"environment {wall.name} does not let its references read this location any more",
            store=reference.store,
            reference=str(reference),
        )
    return reference


def _checked(read: Read, reference: Reference) -> Read:
    if len(read.value.reveal().encode(errors="surrogatepass")) > LONGEST_VALUE:
        raise StoreMalformed(
            f"is longer than the {LONGEST_VALUE} bytes that a value may have",
            store=reference.store,
            reference=str(reference),
        )
    return read


def _bounded(size: int) -> None:
    """Raises TooLarge."""
    if size > LARGEST:
        raise TooLarge(f"these values have more than {LARGEST // 2**20} MiB together: ask for fewer at once")


def _chosen(snapshot: Snapshot, wall: Environment, caller: Caller, wanted: Wanted) -> list[LiveVariable]:
    if wanted.folder is None:
        return [_found(snapshot, wall, caller, name) for name in dict.fromkeys(wanted.names)]
    chosen: list[LiveVariable] = []
    for variable in snapshot.folder(wall.id, wanted.folder):
        if variable.number is not None and caller.level(of_variable(wall, variable.name)):
            chosen.append(variable)
            if len(chosen) > MOST:  # of those that it may use: the others are none of its business
                raise TooLarge(f"folder: it holds more than {MOST} values; ask for its folders one by one")
    return chosen


def _found(snapshot: Snapshot, wall: Environment, caller: Caller, name: str) -> LiveVariable:
    return judged(snapshot.variable(wall.id, name), wall, caller, name, Level.USE)


def _part(snapshot: Snapshot, wall: Environment, caller: Caller, whole: LiveVariable, name: str) -> LiveVariable:
    try:
        used = _found(snapshot, wall, caller, name)
    except Absent:
        raise Conflict(
            f"variable {whole.name} is composed of {name}, which does not exist or is not for this token"
        ) from None
    if used.secret and not whole.secret:
        raise Conflict(f"variable {whole.name} is plain but composed of {name}, which is secret; declare it secret")
    return used
