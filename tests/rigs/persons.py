"""People in a running service's ledger: users with what they hold, and sessions of theirs, however they came in.

anna = persons.add(service, "anna@keywright.test", owner())
text = persons.signed_in(service, anna, factor=True)
"""

from datetime import timedelta

from service.core.access import Grant, Kind, Level
from service.core.factor import FactorKind
from service.core.person import BY_HAND, Group, Settings, User, UserType
from service.core.token import Token, make
from service.keeper.sessions import Way
from service.ledger import factors, grants, groups, settings, tokens, users
from service.ledger.grants import Holder, Holding
from service.ledger.persons import sessions
from service.people import totp
from service.people.second_factor import SecondFactor
from service.wiring import Service

OWNER = Grant(Level.OWN, Kind.EVERYTHING)


def add(service: Service, email: str, *held: Grant, enabled: bool = True, emergency: bool = False) -> str:
    """A user with these grants; its id."""
    door = service.keeper.door
    user_id = door.new_id()
    with service.ledger.change() as tx:
        user = User(
            user_id, email, email.partition("@")[0], enabled, UserType.LOCAL, {}, 1, tx.now, "a test", tx.now,
            emergency=emergency,
        )  # fmt: skip
        users.add(tx, user)
        for grant in held:
            grants.add(tx, door.new_id(), Holder(user_id, email, Holding.USER), grant)
    return user_id


def group(service: Service, name: str, *members: str, second_factor: bool = False, within: str = "") -> str:
    """A group with these users in it, which is in another one if `within` says so; its id."""
    door = service.keeper.door
    group_id = door.new_id()
    with service.ledger.change() as tx:
        groups.add(tx, Group(group_id, name, 1, tx.now, "a test", tx.now, second_factor=second_factor))
        for member in members:
            groups.join(tx, door.new_id(), group_id, BY_HAND, user_id=member)
        if within:
            groups.join(tx, door.new_id(), within, BY_HAND, child_id=group_id)
    return group_id


def decide(service: Service, **changed: object) -> None:
    """What administrators decided."""
    with service.ledger.change() as tx:
        settings.write(tx, Settings(**changed))  # type: ignore[arg-type]


def signed_in(service: Service, user_id: str, *, factor: timedelta | None = None, ago: timedelta = timedelta()) -> str:
    """The text of a session that was opened so long `ago`, with a second factor shown so long ago, if one was."""
    with service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        way = Way("password", "127.0.0.1", "a test", factor_at=None if factor is None else tx.now - factor)
        token, text = service.keeper.sessions.opened(tx, user, way)
        if ago:
            tx.sql.execute(sessions.update().where(sessions.c.token_id == token.id).values(signed_in_at=tx.now - ago))
    return text.reveal()


def own_token(service: Service, user_id: str) -> str:
    """The text of a token of a user's own."""
    token_id, text, hashed = make(service.keeper.door.randomness)
    with service.ledger.change() as tx:
        tokens.add(tx, Token(token_id, "", hashed, (), (), tx.now, "a test", None, user_id=user_id, label="a script"))
    return text.reveal()


def app(service: Service, user_id: str) -> str:
    """The secret of an authenticator app of the user's, of which no code was taken yet."""
    secret = totp.make(service.keeper.door.randomness)
    with service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        service.keeper.factors.add(tx, user, FactorKind.TOTP, "app", {"secret": secret.reveal()}, 0)
    return secret.reveal()


def waiting(service: Service, user_id: str, method: str = "password") -> str | None:
    """What a sign-in of this user waits for, behind its first half; None if it needs no more."""
    with service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        way = Way(method, "127.0.0.1", "a test")
        return SecondFactor(service.keeper.factors, service.keeper.pendings).begins(tx, user, way)


def held(service: Service, user_id: str) -> list[str]:
    """The names of a user's factors."""
    with service.ledger.read() as tx:
        return [factor.name for factor in factors.of(tx, user_id)]
