"""Variables: defined, listed, activated, deleted. Values leave only through `values.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from service.core import names
from service.core.access import Caller, Level, require
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Forbidden, Invalid, TooLarge
from service.core.reference import Reference, allowed
from service.core.sealed import version_context
from service.core.secret import Secret
from service.core.variable import (
    LONGEST_VALUE,
    ConnectionPart,
    Value,
    ValueKind,
    Variable,
    VariablePart,
    Version,
    VersionState,
    parse_template,
    refuse_cycle,
    variables_in,
)
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls, of_connection, of_variable
from service.ledger import connections, variables, wrappings
from service.ledger.ledger import Transaction

V = TypeVar("V")
MOST_NOTES, LONGEST_KEY, LONGEST_NOTE = 64, 128, 512
"""Notes of one variable, and characters of one: they are in memory, and in answers."""


@dataclass(frozen=True)
class NewValue:
    """What is put: exactly one of the three kinds."""

    kind: ValueKind
    content: Value

    def sealable(self) -> Secret:
        """As it is sealed. Raises Invalid, TooLarge."""
        try:
            text = json.dumps(self.content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            text.encode()
        except ValueError:
            raise Invalid("value holds what JSON cannot: a half surrogate, NaN or Infinity", field="value") from None
        if len(text.encode()) > LONGEST_VALUE:
            raise TooLarge(f"the value has {len(text.encode())} bytes; {LONGEST_VALUE} are the most")
        return Secret(text)


@dataclass(frozen=True)
class Definition:
    """A variable with its history, newest version first; never a value."""

    variable: Variable
    versions: tuple[Version, ...]

    @property
    def kind(self) -> str:
        """The kind of the live version; empty if none is live."""
        return next((v.kind.value for v in self.versions if v.number == self.variable.live), "")


class Variables:
    """Operations on the definitions of variables."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings

    def listed(
        self, caller: Caller, environment: str, folder: str, after: str, limit: int
    ) -> list[tuple[Variable, str]]:
        """Those of a folder, at any depth, that the caller may use; with the kind of each live version."""
        if folder:
            names.path(folder, "folder")

        def evaluate(tx: Transaction) -> list[tuple[Variable, str]]:
            wall = self._walls.enter(tx, caller, environment)
            seen: list[tuple[Variable, str]] = []
            position = after
            while len(seen) < limit:
                page = variables.listed(tx, wall.id, folder, position, limit)
                seen += [row for row in page if caller.level(of_variable(wall, row[0].name))]
                if len(page) < limit:
                    break
                position = page[-1][0].name
            return seen[:limit]

        return self._door.fetch(caller, Deed("variable.list", environment, folder), evaluate)

    def get(self, caller: Caller, environment: str, name: str, level: Level = Level.USE) -> Definition:
        """The definition and the versions, for who has this level at least. Raises Absent, Forbidden."""
        names.path(name)

        def evaluate(tx: Transaction) -> Definition:
            wall = self._walls.enter(tx, caller, environment)
            return _definition(tx, found(tx, wall, caller, name, level))

        return self._door.fetch(caller, Deed("variable.get", environment, name), evaluate)

    def put(
        self,
        caller: Caller,
        environment: str,
        name: str,
        value: NewValue,
        *,
        secret: bool | None,
        activate: bool,
        if_match: int | None,
        same_kind: bool = False,
    ) -> tuple[Definition, bool]:
        """A new version, live at once if `activate`. True beside it if the variable is new.

        `secret` None keeps what the variable is; a new one is secret. With `same_kind` a live version of another kind
        is left as it is. Raises Invalid, Absent, Forbidden, Outdated, TooLarge, Conflict for another kind.
        """
        names.path(name)
        plain_text = value.sealable()

        def act(tx: Transaction) -> tuple[Definition, bool]:
            wall = self._walls.enter(tx, caller, environment)
            former = variables.find(tx, wall.id, name)
            require(caller, Level.EDIT, of_variable(wall, name), f"variable {name}")
            check_revision(if_match, former.revision if former else 0)
            if same_kind and former and former.live:
                _of_kind(_version(tx, former, former.live), name, value.kind)
            is_secret = secret if secret is not None else (former.secret if former else True)
            if former and former.secret and not is_secret:
                require(caller, Level.OWN, of_variable(wall, name), f"variable {name}")
                require_fresh(tx, caller, "making a secret plain")
            self._check(tx, wall, caller, name, value, is_secret=is_secret)
            number = (former.newest if former else 0) + 1
            variable_id = former.id if former else self._door.new_id()
            context = version_context(wall.id, variable_id, number)
            sealed = self._keyrings.sealer(tx, wall.id).seal(plain_text, context, self._door.randomness)
            live = number if activate else (former.live if former else None)
            revision, notes = (former.revision + 1, former.notes) if former else (1, None)
            new = Variable(variable_id, wall.id, name, is_secret, live, number, revision, tx.now, notes)
            if former is None:
                variables.add(tx, new)
            else:
                variables.replace(tx, new)
                if activate and former.live is not None:
                    variables.set_state(tx, variable_id, former.live, VersionState.KEPT)
            state = VersionState.LIVE if activate else VersionState.KEPT
            variables.add_version(tx, Version(variable_id, number, value.kind, state, sealed, tx.now, caller.name))
            deed.detail.update(version=number, kind=value.kind.value, live=activate)
            if not is_secret and (value.kind is ValueKind.REFERENCE or (former and former.secret)):
                deed.detail["plain"] = True  # what was kept from people, or may have been, is shown to all of them
            return _definition(tx, new), former is None

        deed = Deed("variable.put", environment, name)
        return self._door.change(caller, deed, act)

    def activate(
        self, caller: Caller, environment: str, name: str, number: int, *, if_match: int | None = None
    ) -> Definition:
        """Make a kept version the live one: back or forward. Raises Absent, Forbidden, Conflict, Outdated."""
        names.path(name, "variable")

        def act(tx: Transaction) -> Definition:
            wall = self._walls.enter(tx, caller, environment)
            variable = found(tx, wall, caller, name, Level.EDIT)
            check_revision(if_match, variable.revision)
            version = _version(tx, variable, number)
            if version.state in (VersionState.DELETED, VersionState.DESTROYED):
                raise Conflict(f"version {number} of {name} is {version.state.value}, so it cannot become live")
            self._check_again(tx, wall, caller, variable, version)
            if variable.live is not None and variable.live != number:
                variables.set_state(tx, variable.id, variable.live, VersionState.KEPT)
            variables.set_state(tx, variable.id, number, VersionState.LIVE)
            return self._moved(tx, variable, live=number)

        return self._door.change(caller, Deed("variable.activate", environment, name, {"version": number}), act)

    def set_state(self, caller: Caller, environment: str, name: str, number: int, state: VersionState) -> Definition:
        """Delete, undelete (KEPT) or destroy one version. Raises Absent, Forbidden, Conflict."""
        names.path(name, "variable")
        level = Level.OWN if state is VersionState.DESTROYED else Level.EDIT

        def act(tx: Transaction) -> Definition:
            wall = self._walls.enter(tx, caller, environment)
            variable = found(tx, wall, caller, name, level)
            version = _version(tx, variable, number)
            if version.state is VersionState.DESTROYED:
                raise Conflict(f"version {number} of {name} is destroyed; nothing brings it back")
            if state is VersionState.KEPT and version.state is not VersionState.DELETED:
                raise Conflict(f"version {number} of {name} is not deleted")
            variables.set_state(tx, variable.id, number, state)
            if state is VersionState.DESTROYED:
                wrappings.lost(tx, wall.id, variable.id)
            deed.detail["live"] = variable.live == number
            return self._moved(tx, variable, live=None if variable.live == number else variable.live)

        action = {VersionState.KEPT: "undelete", VersionState.DELETED: "delete", VersionState.DESTROYED: "destroy"}
        deed = Deed(f"version.{action[state]}", environment, name, {"version": number})
        return self._door.change(caller, deed, act)

    def delete(self, caller: Caller, environment: str, name: str, *, if_match: int | None) -> None:
        """The variable with all its versions, for good. Raises Absent, Forbidden, Outdated."""
        names.path(name)

        def act(tx: Transaction) -> None:
            wall = self._walls.enter(tx, caller, environment)
            variable = found(tx, wall, caller, name, Level.OWN)
            check_revision(if_match, variable.revision)
            variables.remove(tx, variable.id)
            wrappings.lost(tx, wall.id, variable.id)

        self._door.change(caller, Deed("variable.delete", environment, name), act)

    def annotate(
        self, caller: Caller, environment: str, name: str, notes: Mapping[str, str | None] | None, *, merge: bool
    ) -> Definition:
        """Note something of a variable, in place of what was noted of it; None leaves that as it is.

        With `merge` only these notes change, and those that are None go; the variable must be there then. Without it
        one that is not there is made: secret, and without a version. Raises Invalid, Absent, Forbidden.
        """
        names.path(name)

        def act(tx: Transaction) -> Definition:
            wall = self._walls.enter(tx, caller, environment)
            former = variables.find(tx, wall.id, name)
            if merge:
                judged(former, wall, caller, name, Level.EDIT)
            require(caller, Level.EDIT, of_variable(wall, name), f"variable {name}")
            held = former or Variable(self._door.new_id(), wall.id, name, True, None, 0, 0, tx.now)
            known = json.loads(held.notes) if held.notes and (merge or notes is None) else {}
            text = annotated(known | dict(notes or {}))
            new = replace(held, notes=text, revision=held.revision + 1, updated_at=tx.now)
            if former is None:
                variables.add(tx, new)
            else:
                variables.replace(tx, new)
            return _definition(tx, new)

        return self._door.change(caller, Deed("variable.annotate", environment, name), act)

    def _moved(self, tx: Transaction, variable: Variable, *, live: int | None) -> Definition:
        new = replace(variable, live=live, revision=variable.revision + 1, updated_at=tx.now)
        variables.replace(tx, new)
        return _definition(tx, new)

    def _check(
        self, tx: Transaction, wall: Environment, caller: Caller, name: str, value: NewValue, *, is_secret: bool
    ) -> None:
        """Whatever a value points at must be there, allowed, and no circle."""
        if value.kind is ValueKind.REFERENCE and isinstance(value.content, str):
            reference = Reference.parse(value.content)
            if not allowed(reference, wall.stores):
                raise Invalid(
                    f"reference: environment {wall.name} does not let its references read this {reference.store} "
                    "location; its owner can add a rule under `stores`",
                    field="reference",
                )
        if value.kind is ValueKind.TEMPLATE and isinstance(value.content, str):
            parts = parse_template(value.content)
            for part in parts:
                if isinstance(part, VariablePart):
                    used = variables.find(tx, wall.id, part.name)
                    if part.name != name and (used is None or caller.level(of_variable(wall, part.name)) is None):
                        raise Invalid(f"template: variable {part.name} does not exist", field="template")
                    if used is not None and used.secret and not is_secret:
                        raise Invalid(
                            f"template: {part.name} is secret, so what is composed of it is too", field="secret"
                        )
                elif isinstance(part, ConnectionPart):
                    target = connections.find(tx, wall.id, part.connection)
                    if target is None or caller.level(of_connection(wall, part.connection)) is None:
                        raise Invalid(f"template: connection {part.connection} does not exist", field="template")
                    if not is_secret and part.field in ("password", "url"):
                        raise Invalid("template: a password makes what is composed of it secret", field="secret")
            refuse_cycle(name, lambda used: variables_in(parts) if used == name else self.uses(tx, wall, used))

    def _check_again(
        self, tx: Transaction, wall: Environment, caller: Caller, variable: Variable, version: Version
    ) -> None:
        """A version that was fine when it was put may not be any more: the rules may have changed since."""
        content = self.opened(tx, wall, version)
        self._check(tx, wall, caller, variable.name, NewValue(version.kind, content), is_secret=variable.secret)

    def uses(self, tx: Transaction, wall: Environment, name: str) -> tuple[str, ...]:
        """The variables that a variable's live version is composed of."""
        variable = variables.find(tx, wall.id, name)
        version = variables.version(tx, variable.id, variable.live) if variable and variable.live else None
        if version is None or version.kind is not ValueKind.TEMPLATE:
            return ()
        return variables_in(parse_template(str(self.opened(tx, wall, version))))

    def opened(self, tx: Transaction, wall: Environment, version: Version) -> Value:
        """What was put as this version. Raises Conflict for a destroyed one, SealBroken, key errors."""
        if version.sealed is None:
            raise Conflict(f"version {version.number} is destroyed")
        ring = self._keyrings.opener(tx, wall.id, version.sealed)
        text = ring.unseal(version.sealed, version_context(wall.id, version.variable_id, version.number))
        value: Value = json.loads(text.reveal())
        return value


def annotated(notes: Mapping[str, str | None]) -> str | None:
    """Notes as they are kept; None for none. Raises Invalid, which tells no note: somebody may mistake its place."""
    kept = {key: text for key, text in notes.items() if text is not None}
    if len(kept) > MOST_NOTES:
        raise Invalid(f"notes: {MOST_NOTES} are the most", field="notes")
    if any(len(key) > LONGEST_KEY or len(text) > LONGEST_NOTE for key, text in kept.items()):
        raise Invalid(
            f"notes: {LONGEST_KEY} characters are the most for a key, {LONGEST_NOTE} for a text", field="notes"
        )
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"), sort_keys=True) if kept else None


def found(tx: Transaction, wall: Environment, caller: Caller, name: str, level: Level) -> Variable:
    """The variable, if the caller may do this much with it. Raises Absent or Forbidden."""
    return judged(variables.find(tx, wall.id, name), wall, caller, name, level)


def judged(variable: V | None, wall: Environment, caller: Caller, name: str, level: Level) -> V:
    """What was found under this name, if the caller may do this much with it. Raises Absent or Forbidden."""
    held = caller.level(of_variable(wall, name))
    if variable is None or held is None:
        raise Absent(f"variable {name} does not exist in {wall.name}")
    if held < level:
        raise Forbidden(f"variable {name}: this needs the grant '{level.word}', and the token has '{held.word}'")
    return variable


def _version(tx: Transaction, variable: Variable, number: int) -> Version:
    version = variables.version(tx, variable.id, number)
    if version is None:
        raise Absent(f"variable {variable.name} has no version {number}")
    return version


def _of_kind(live: Version, name: str, kind: ValueKind) -> None:
    """Raises Conflict, where a value of this kind would take the place of one of another."""
    if live.kind is not kind:
        raise Conflict(
            f"variable {name} is a {live.kind.value}, and a {kind.value} would take its place: if that is meant, "
            "PUT it at Keywright's own door"
        )


def _definition(tx: Transaction, variable: Variable) -> Definition:
    return Definition(variable, tuple(variables.history(tx, variable.id)))
