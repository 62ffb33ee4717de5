"""People who are signed in, made by hand: their accounts and sessions as any way in leaves them in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx2

from service.core.access import Grant, Kind, Level
from service.core.person import User, UserType
from service.keeper.sessions import Way
from service.ledger import environments, grants, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction
from tests.rigs.keywright import Keywright


@dataclass
class Person:
    """A user and a client of theirs, signed in."""

    id: str
    email: str
    it: Keywright
    client: httpx2.Client
    token: str

    def elsewhere(self, other: Keywright) -> httpx2.Client:
        """The same session at another replica."""
        return other.client(self.token)

    def grant(self, level: str, kind: str, environment: str = "", path: str = "") -> None:
        """One more grant of their own."""
        with changing(self.it) as tx:
            _grant(self.it, tx, self.id, (level, kind, environment, path))

    def lose(self) -> None:
        """All grants of their own are taken away."""
        with changing(self.it) as tx:
            for held in grants.of(tx, Holder(self.id, self.email, Holding.USER)):
                grants.remove(tx, held)

    def enable(self, *, enabled: bool) -> None:
        """Disable, or enable again."""
        with changing(self.it) as tx:
            found = users.get(tx, self.id)
            assert found is not None
            users.change(tx, replace(found, enabled=enabled))

    def again(self, *, factor_ago: timedelta | None) -> httpx2.Client:
        """Another session, in which a second factor was shown that long ago, or none was."""
        with changing(self.it) as tx:
            found = users.get(tx, self.id)
            assert found is not None
            at = None if factor_ago is None else tx.now - factor_ago
            _, text = self.it.service.keeper.sessions.opened(
                tx, found, Way("password", "127.0.0.1", "test", factor_at=at)
            )
        return self.it.client(text.reveal())


@contextmanager
def changing(it: Keywright) -> Iterator[Transaction]:
    """A change of the ledger by hand, which its processes hear of."""
    with it.service.ledger.change() as tx:
        yield tx
    it.service.keeper.door.changed()


def signed_in(it: Keywright, email: str, *held: tuple[str, ...]) -> Person:
    """A person with these grants (level, kind, environment, path), who has just shown a second factor."""
    door = it.service.keeper.door
    with changing(it) as tx:
        made = User(door.new_id(), email, email, True, UserType.LOCAL, {}, 1, tx.now, "test", tx.now)
        users.add(tx, made)
        for grant in held:
            _grant(it, tx, made.id, grant)
        _, text = it.service.keeper.sessions.opened(tx, made, Way("password", "127.0.0.1", "test", factor_at=tx.now))
    return Person(made.id, email, it, it.client(text.reveal()), text.reveal())


def _grant(it: Keywright, tx: Transaction, user_id: str, grant: tuple[str, ...]) -> None:
    level, kind, environment, path = (*grant, "", "")[:4]
    wall = environments.find(tx, environment) if environment else None
    holder = Holder(user_id, "", Holding.USER)
    given = Grant(Level.of(level), Kind(kind), wall.id if wall else "", path)
    grants.add(tx, it.service.keeper.door.new_id(), holder, given)
