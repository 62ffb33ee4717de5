"""Every kind of caller, made when it is needed: what it shows, and what it may do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from service.core.access import Grant, Kind, Level
from service.core.machine import Lives, Machine
from service.core.person import User, UserType
from service.core.token import Token, make
from service.keeper.sessions import Way
from service.keeper.tokens import SYSTEM
from service.ledger import environments, grants, machines, tokens, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction
from tests.access.needs import LEVELS
from tests.access.things import ELSEWHERE, HERE, Thing, Things
from tests.rigs.keywright import Keywright

OTHERS = {"level": "own", "kind": "environment", "environment": ELSEWHERE}
"""A grant, as `POST /tokens` takes it."""


def of_all(level: str) -> dict[str, str]:
    """A grant on everything."""
    return {"level": level, "kind": "everything"}


def bearer(text: str) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {text}"}


@dataclass(frozen=True)
class Person:
    """Somebody's account, and the texts of a session and of a token of its own."""

    user: User
    session: str
    token: str


class Callers:
    """Makes them on one running service, straight in its ledger: there are many."""

    def __init__(self, it: Keywright, things: Things, expired: str) -> None:
        self._keeper = it.service.keeper
        self._door = it.service.keeper.door
        self._things = things
        self.expired = expired

    def token(self, *held: dict[str, str]) -> str:
        """The text of a token that holds these grants."""
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> None:
            name = self._things.fresh()
            tokens.add(tx, Token(token_id, name, hashed, (), (), tx.now, "owner", None))
            self._give(tx, Holder(token_id, name), held)

        self._door.change(SYSTEM, (), act)
        return text.reveal()

    def mixed(self, *held: dict[str, str]) -> str:
        """The id of one token with the secret of another."""
        one, other = self.token(*held).split("_", 2), self.token().split("_", 2)
        return "_".join([*one[:2], other[2]])

    def revoked(self, *held: dict[str, str]) -> str:
        """The text of a token that was of use."""
        text = self.token(*held)
        self._keeper.tokens.revoke(SYSTEM, text.split("_")[1])
        return text

    def machine(self, *held: dict[str, str], enabled: bool = True) -> str:
        """The text of a machine's token."""
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> None:
            name = self._things.fresh()
            machine = Machine(self._door.new_id(), name, enabled, (), Lives(), 1, tx.now, "owner")
            machines.add(tx, machine)
            self._give(tx, Holder(machine.id, name, Holding.MACHINE), held)
            until = tx.now + timedelta(days=1)
            tokens.add(tx, Token(token_id, name, hashed, (), (), tx.now, "owner", until, (), machine.id))

        self._door.change(SYSTEM, (), act)
        return text.reveal()

    def person(self, *held: dict[str, str], enabled: bool = True, factor: bool = True) -> Person:
        """Somebody who is signed in, with a second factor, and has a token of its own."""
        token_id, own, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> Person:
            name = self._things.fresh()
            email, user_id = f"{name}@example.com", self._door.new_id()
            user = User(user_id, email, name, True, UserType.LOCAL, {}, 1, tx.now, "owner", tx.now)
            users.add(tx, user)
            self._give(tx, Holder(user.id, user.email, Holding.USER), held)
            _, text = self._keeper.sessions.opened(
                tx, user, Way("password", "127.0.0.1", "a browser", factor_at=tx.now if factor else None)
            )
            token = Token(token_id, email, hashed, (), (), tx.now, email, None, user_id=user.id, label="a script")
            tokens.add(tx, token)
            if not enabled:
                users.change(tx, replace(user, enabled=False))
            return Person(user, text.reveal(), own.reveal())

        return self._door.change(SYSTEM, (), act)

    def _give(self, tx: Transaction, holder: Holder, held: tuple[dict[str, str], ...]) -> None:
        for each in held:
            wall = environments.find(tx, each["environment"]) if "environment" in each else None
            level, kind = Level.of(each["level"]), Kind(each["kind"])
            grants.add(
                tx, self._door.new_id(), holder, Grant(level, kind, wall.id if wall else "", each.get("path", ""))
            )


@dataclass(frozen=True)
class Who:
    """A kind of caller. `shows` makes one for a thing, and tells the headers that it sends."""

    name: str
    shows: Callable[[Callers, Thing], dict[str, str]]
    holds: str | None = None
    """The level that it has on the thing; None: none."""
    kind: str = "token"


def _token(grants: Callable[[Thing], list[dict[str, str]]]) -> Callable[[Callers, Thing], dict[str, str]]:
    return lambda them, thing: bearer(them.token(*grants(thing)))


UNKNOWN = (
    Who("nobody", lambda *_: {}),
    Who("a token that there is not", lambda *_: bearer(f"kw_{'0' * 16}_{'a' * 43}")),
    Who("a token with another's secret", lambda them, thing: bearer(them.mixed(thing.grant("own")))),
    Who("a token that has expired", lambda them, _: bearer(them.expired)),
    Who("a token that was revoked", lambda them, thing: bearer(them.revoked(thing.grant("own")))),
    Who("a disabled machine", lambda them, thing: bearer(them.machine(thing.grant("own"), enabled=False))),
    Who(
        "a disabled person's session",
        lambda them, thing: bearer(them.person(thing.grant("own"), enabled=False).session),
    ),
    Who("a disabled person's token", lambda them, thing: bearer(them.person(thing.grant("own"), enabled=False).token)),
)
"""None of these is anybody: 401, in the same words."""

KNOWN = (
    Who("a token without grants", _token(lambda _: [])),
    Who("own of another environment", _token(lambda _: [OTHERS])),
    *(Who(f"{level} of the very thing", _token(lambda it, level=level: [it.grant(level)]), level) for level in LEVELS),
    *(Who(f"{level} of everything", _token(lambda _, level=level: [of_all(level)]), level) for level in LEVELS),
    Who("a machine", lambda them, thing: bearer(them.machine(thing.grant("own"))), "own", "machine"),
    Who("a machine of another environment", lambda them, _: bearer(them.machine(OTHERS)), kind="machine"),
    Who("a person's session", lambda them, thing: bearer(them.person(thing.grant("own")).session), "own", "session"),
    Who(
        "a session without a second factor",
        lambda them, thing: bearer(them.person(thing.grant("own"), factor=False).session),
        "own",
        "stale",
    ),
    Who("a person's own token", lambda them, thing: bearer(them.person(thing.grant("own")).token), "own", "own_token"),
    Who("a person without grants", lambda them, _: bearer(them.person().session), kind="session"),
    Who("a person of another environment", lambda them, _: bearer(them.person(OTHERS).session), kind="session"),
)
NEIGHBOURS = {"folder": "bank", "connection": "bank/db"}
BESIDE = tuple(
    Who(
        f"own of a {kind} beside it",
        _token(lambda _, kind=kind, path=path: [{"level": "own", "kind": kind, "environment": HERE, "path": path}]),
    )
    for kind, path in NEIGHBOURS.items()
)
"""In the same environment: for what lies in one, and is not all of it."""
