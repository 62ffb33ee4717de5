"""Fetching values: what applications come for.

evaluate  on one snapshot: which live versions the answer is made of, and whether the caller may use
          every one of them; a reference that was not read yet ends the evaluation…
read      …it is read from its store, outside of any transaction, and the evaluation begins again
record    on the epoch of the snapshot that was evaluated
answer    only then
"""

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.core import names
from service.core.access import Caller, Level
from service.core.connection import Account, url
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Invalid, StoreMalformed, StoreRefused, TooLarge
from service.core.reference import Reference, allowed, select
from service.core.secret import Secret
from service.core.variable import (
    DEEPEST,
    LONGEST_VALUE,
    ConnectionPart,
    Part,
    Value,
    ValueKind,
    Variable,
    VariablePart,
    Version,
    fill,
    parse_template,
)
from service.keeper.credentials import Credentials, Set
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.references import Held, Readings, References, require_read
from service.keeper.variables import Variables, found
from service.keeper.walls import Walls, of_variable
from service.ledger import variables
from service.ledger.ledger import Transaction

MOST = 500
"""Values in one answer, at most."""


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


@dataclass(frozen=True)
class Fetched:
    """One value as it is answered. `age` is how many seconds ago an outside store was last asked."""

    name: str
    value: Secret | dict[str, object]
    version: int
    secret: bool
    kind: ValueKind
    age: float = 0.0


@dataclass(frozen=True)
class _Planned:
    """A value before anything is opened outside: its template's parts are planned too."""

    variable: Variable
    version: Version
    content: Value
    reference: Reference | None
    parts: tuple[Part, ...]
    inner: dict[str, "_Planned"]
    sets: dict[str, Set]
    height: int
    """How many templates lie within it at the deepest."""

    def references(self) -> set[Reference]:
        """The references that it needs itself, without those of its parts."""
        own = {self.reference} if self.reference else set()
        return own.union(*(offered.references() for offered in self.sets.values()))


@dataclass
class _Fetch:
    """One evaluation. Every variable in it is planned and opened once, however often templates use it."""

    tx: Transaction
    wall: Environment
    caller: Caller
    readings: Readings
    plans: dict[str, _Planned] = field(default_factory=dict)
    opened: dict[str, Fetched] = field(default_factory=dict)


class Values:
    """The fetch of values. `references` reads outside stores; `monotonic` is a clock for ages."""

    def __init__(
        self,
        door: Door,
        walls: Walls,
        definitions: Variables,
        credentials: Credentials,
        references: References,
        keyrings: Keyrings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door = door
        self._walls = walls
        self._definitions = definitions
        self._credentials = credentials
        self._references = references
        self._keyrings = keyrings
        self._monotonic = monotonic

    def fetch(self, caller: Caller, environment: str, wanted: Wanted) -> tuple[list[Fetched], str]:
        """The values and their tag, recorded. By name all or none; of a folder those that the caller may use.

        Raises Absent, Forbidden, Conflict (no live version), TooLarge, the store errors, SealBroken.
        """
        wanted.check()
        deed = Deed("value.fetch", environment, str(wanted))

        def evaluate(tx: Transaction, readings: Readings) -> tuple[list[Fetched], str]:
            found, through, generations = self._evaluated(tx, caller, environment, wanted, readings)
            deed.detail["versions"] = " ".join(f"{f.name}:{f.version}" for f in found)
            deed.detail |= {"through": " ".join(through)} if through else {}
            deed.detail |= {"generations": " ".join(generations)} if generations else {}
            return found, self._tag(environment, found)

        return self._references.fetch(self._door, caller, deed, evaluate)

    def tag(self, caller: Caller, environment: str, wanted: Wanted) -> str:
        """The tag alone, evaluated like a fetch but not recorded: what `If-None-Match` and waiting compare."""
        wanted.check()
        deed = Deed("value.fetch", environment, str(wanted))

        def evaluate(tx: Transaction, readings: Readings) -> str:
            return self._tag(environment, self._evaluated(tx, caller, environment, wanted, readings)[0])

        return self._references.fetch(self._door, caller, deed, evaluate, record=False)

    def _tag(self, environment: str, found: list[Fetched]) -> str:
        # Keyed, so that a tag in a log tells nothing about the value; the ages are left out.
        said = [[f.name, f.version, f.value.reveal() if isinstance(f.value, Secret) else f.value] for f in found]
        text = json.dumps([environment, said], sort_keys=True)
        return hmac.new(self._keyrings.tag_key(), text.encode(), "sha256").hexdigest()[:32]

    def _evaluated(
        self, tx: Transaction, caller: Caller, environment: str, wanted: Wanted, readings: Readings
    ) -> tuple[list[Fetched], list[str], list[str]]:
        """The values; and what else they are composed of, for the event: variables as `name:version`, and
        connections as `name:generation`."""
        wall = self._walls.enter(tx, caller, environment)
        fetch = _Fetch(tx, wall, caller, readings)
        planned = [self._plan(fetch, variable) for variable in self._chosen(tx, wall, caller, wanted)]
        require_read(readings, set().union(*(p.references() for p in fetch.plans.values())))
        found = [self._opened(fetch, p) for p in planned]
        inner = fetch.plans.keys() - {p.variable.name for p in planned}
        sets = {s.connection.name: s.connection.generation for p in fetch.plans.values() for s in p.sets.values()}
        through = sorted(f"{name}:{fetch.plans[name].version.number}" for name in inner)
        return found, through, sorted(f"{name}:{generation}" for name, generation in sets.items())

    @staticmethod
    def _chosen(tx: Transaction, wall: Environment, caller: Caller, wanted: Wanted) -> list[Variable]:
        if wanted.folder is None:
            return [found(tx, wall, caller, name, Level.USE) for name in dict.fromkeys(wanted.names)]
        seen: list[Variable] = []
        position = ""
        while True:
            rows = variables.listed(tx, wall.id, wanted.folder, position, MOST)
            seen += [v for v, _ in rows if v.live is not None and caller.level(of_variable(wall, v.name))]
            if len(seen) > MOST:  # of those that it may use: the others are none of its business
                raise TooLarge(f"folder: it holds more than {MOST} values; ask for its folders one by one")
            if len(rows) < MOST:
                return seen
            position = rows[-1][0].name

    def _plan(self, fetch: _Fetch, variable: Variable, depth: int = 0) -> _Planned:
        if variable.name in fetch.plans:
            return fetch.plans[variable.name]
        tx, wall, caller = fetch.tx, fetch.wall, fetch.caller
        if variable.live is None:
            raise Conflict(
                f"variable {variable.name} has no live version in {wall.name}; activate one or put a new one"
            )
        version = variables.version(tx, variable.id, variable.live)
        assert version is not None  # the pointer only ever names a version that is there  # noqa: S101
        content = self._definitions.opened(tx, wall, version)
        reference: Reference | None = None
        parts: tuple[Part, ...] = ()
        inner: dict[str, _Planned] = {}
        sets: dict[str, Set] = {}
        if version.kind is ValueKind.REFERENCE:
            reference = Reference.parse(str(content))
            if not allowed(reference, wall.stores):
                raise StoreRefused(
                    f"environment {wall.name} does not let its references read this location any more",
                    store=reference.store,
                    reference=str(reference),
                )
        elif version.kind is ValueKind.TEMPLATE:
            parts = parse_template(str(content))
            for part in parts:
                if isinstance(part, VariablePart) and part.name not in inner:
                    used = self._part(tx, wall, caller, variable, part.name)
                    # When it was put, only what lies below a template was counted, not what lies above.
                    if depth < DEEPEST:
                        inner[part.name] = self._plan(fetch, used, depth + 1)
                    if depth >= DEEPEST or inner[part.name].height >= DEEPEST:
                        raise Conflict(
                            f"variable {variable.name}: more than {DEEPEST} templates lie within one another"
                        )
                elif isinstance(part, ConnectionPart) and part.connection not in sets:
                    sets[part.connection] = self._credentials.plan(tx, wall, caller, part.connection)
        height = 1 + max((plan.height for plan in inner.values()), default=-1)
        plan = _Planned(variable, version, content, reference, parts, inner, sets, height)
        fetch.plans[variable.name] = plan
        return plan

    @staticmethod
    def _part(tx: Transaction, wall: Environment, caller: Caller, whole: Variable, name: str) -> Variable:
        try:
            used = found(tx, wall, caller, name, Level.USE)
        except Absent:
            raise Conflict(
                f"variable {whole.name} is composed of {name}, which does not exist or is not for this token"
            ) from None
        if used.secret and not whole.secret:
            raise Conflict(f"variable {whole.name} is plain but composed of {name}, which is secret; declare it secret")
        return used

    def _opened(self, fetch: _Fetch, plan: _Planned) -> Fetched:
        variable, version, readings = plan.variable, plan.version, fetch.readings
        if variable.name in fetch.opened:
            return fetch.opened[variable.name]
        value: Secret | dict[str, object]
        age = 0.0
        if plan.reference:
            held = readings[plan.reference]
            value, age = _selected(held, plan.reference), self._monotonic() - held.at
        elif version.kind is ValueKind.TEMPLATE:
            value, age = self._filled(fetch, plan)
        else:
            value = Secret(plan.content) if isinstance(plan.content, str) else plan.content
        fetched = Fetched(variable.name, value, version.number, variable.secret, version.kind, age)
        fetch.opened[variable.name] = fetched
        return fetched

    def _filled(self, fetch: _Fetch, plan: _Planned) -> tuple[Secret, float]:
        texts: dict[Part, str] = {}
        age = 0.0
        for part in plan.parts:
            if isinstance(part, VariablePart):
                used = self._opened(fetch, plan.inner[part.name])
                if not isinstance(used.value, Secret):
                    raise Invalid(f"variable {part.name} is an object, which cannot stand inside a template")
                texts[part] = used.value.reveal()
                age = max(age, used.age)
            elif isinstance(part, ConnectionPart):
                texts[part] = self._field(plan.sets[part.connection], part.field, fetch.readings)
        text = fill(plan.parts, texts)
        if len(text.encode()) > LONGEST_VALUE:
            raise TooLarge(f"variable {plan.variable.name}: the composed value is longer than {LONGEST_VALUE} bytes")
        return Secret(text), age

    def _field(self, offered: Set, field: str, readings: Readings) -> str:
        account: Account = self._credentials.accounts(offered, readings)[0]
        target = offered.target
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


def _selected(held: Held, reference: Reference) -> Secret:
    value = select(held.reading, reference)
    if len(value.reveal().encode(errors="surrogatepass")) > LONGEST_VALUE:
        raise StoreMalformed(
            f"is longer than the {LONGEST_VALUE} bytes that a value may have",
            store=reference.store,
            reference=str(reference),
        )
    return value
