"""What every database keeps, whichever engine it is: PostgreSQL old and new, MariaDB, and the fake."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count

import pytest
from psycopg.sql import SQL, Identifier

from providers.databases import mariadb_login, postgresql_login
from providers.databases.mariadb import MariaDB
from providers.databases.postgresql import PostgreSQL
from service.core.connection import Accepted, Access, Endpoint, NotPermitted, Rejected, Unreachable
from service.core.database import (
    Database,
    DrainView,
    Examination,
    Fence,
    Fencing,
    Overlap,
    OwnChange,
    Pairing,
    Session,
    SessionEnd,
)
from service.core.errors import (
    ChangeError,
    ChangeFenced,
    ChangeLost,
    ChangeNotPermitted,
    ChangeRefused,
    ChangeUnreachable,
)
from service.core.secret import Secret
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.fences import next_fence
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.ports import free_port, silent_port
from tests.rigs.postgresql import PostgresServer

_numbers = count(1)
PATIENCE = 40.0
LEDGERS = 1_764_000_000_123_456
"""A number as large as the ledger's: microseconds since 1970."""

PASSWORDS = [
    "plain1234",
    'it\'s "quoted"',
    "back\\slash\\' and \\n",
    "percent %s %(x)s %%",
    "dollar $1 $$ ${x}",
    " spaces at both ends ",
    "pässwörd-Ω-漢字-🔑",
    "-- comment; /* */ #",
    "?&=@:/+[]",
    "x" * 128,
]
USERNAMES = [
    "plain",
    "MixedCase",
    "with-dash",
    'quo"te',
    "it's",
    "back\\slash",
    "per%cent",
    "sp ace",
    "tick`ed",
    "ümlaut",
]


@dataclass(frozen=True)
class Bench:
    """One implementation, and what a test needs around it."""

    database: Database
    quick: Database
    administration: Access
    powerless: Access
    access: Callable[[str, str], Access]
    create: Callable[[str, str], None]
    forbid: Callable[[str], None]
    log: Callable[[], str]
    session: Callable[[str, str], AbstractContextManager[object]]
    """Somebody is connected, until it is over."""

    @property
    def endpoint(self) -> Endpoint:
        return self.administration.target.primary

    def works(self, username: str, password: str) -> bool:
        outcome = self.database.probe(self.access(username, password), self.endpoint)
        assert isinstance(outcome, Accepted | Rejected), outcome
        return isinstance(outcome, Accepted)

    def user(self, password: str = "first-password", name: str = "user") -> str:
        username = f"{name}_in_contract_{next(_numbers)}"
        self.create(username, password)
        return username


def fake_bench() -> Bench:
    class Both(FakeDatabase):
        """The administration login named `weak` may do nothing; any other may."""

        def _reach(self, administration: Access) -> None:
            super()._reach(administration)
            self.powerless = administration.account.username == "contract_weak"

        def sessions(self, administration: Access, username: str) -> tuple[Session, ...] | NotPermitted | Unreachable:
            self.powerless = administration.account.username == "contract_weak"
            return super().sessions(administration, username)

    both = Both()
    administration = both.administration()
    both.create("contract_weak", "contract_weak")

    def forbid(username: str) -> None:
        both.logins[username] = replace(both.logins[username], blocked=True)

    @contextmanager
    def session(username: str, password: str) -> Iterator[None]:
        assert both.valid(username, password)
        somebody = Session(username, "192.0.2.1", "", next(_numbers))
        both.connected.append(somebody)
        yield
        both.connected = [it for it in both.connected if it != somebody]

    return Bench(
        both,
        both,
        administration,
        both.access("contract_weak", "contract_weak"),
        both.access,
        both.create,
        forbid,
        lambda: "".join(both.log),
        session,
    )


def postgresql_bench(server: PostgresServer) -> Bench:
    administration = server.administration("contract_keeper")
    server.execute("GRANT pg_monitor, pg_signal_backend TO contract_keeper")
    server.login("contract_weak", "contract_weak")

    def create(username: str, password: str) -> None:
        # With a verifier, so that only what the code under test writes can be in the log.
        with server.connect() as connection:
            made = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256").decode()
        server.login(username, made)
        server.administers("contract_keeper", username)

    def forbid(username: str) -> None:
        server.execute(SQL("ALTER ROLE {} NOLOGIN").format(Identifier(username)))

    def session(username: str, password: str) -> AbstractContextManager[object]:
        access = server.access(username, password)
        return closing(postgresql_login.connect(access, server.endpoint, postgresql_login.Certificates(), seconds=5))

    return Bench(
        PostgreSQL(),
        PostgreSQL(seconds=0.5),
        administration,
        server.access("contract_weak", "contract_weak"),
        server.access,
        create,
        forbid,
        server.log_text,
        session,
    )


def mariadb_bench(server: MariaDBServer) -> Bench:
    administration = server.administration("contract_keeper")
    server.login("contract_weak", "contract_weak")

    def create(username: str, password: str) -> None:
        server.login(username, password)

    def forbid(username: str) -> None:
        server.execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@'%%'", username)

    def session(username: str, password: str) -> AbstractContextManager[object]:
        return closing(mariadb_login.connect(server.access(username, password), server.endpoint, seconds=5))

    return Bench(
        MariaDB(),
        MariaDB(seconds=0.5),
        administration,
        server.access("contract_weak", "contract_weak"),
        server.access,
        create,
        forbid,
        server.log_text,
        session,
    )


@pytest.fixture(scope="module", params=["fake", "old_postgresql", "new_postgresql", "mariadb"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield fake_bench()
    elif request.param == "mariadb":
        yield mariadb_bench(request.getfixturevalue("mariadb"))
    else:
        yield postgresql_bench(request.getfixturevalue(request.param))


def elsewhere(access: Access, port: int) -> Access:
    """The same way in, at another port."""
    return replace(access, target=replace(access.target, endpoints=(Endpoint("127.0.0.1", port),)))


def test_the_right_password_is_accepted(bench: Bench) -> None:
    username = bench.user("right-password")
    outcome = bench.database.probe(bench.access(username, "right-password"), bench.endpoint)
    assert isinstance(outcome, Accepted)
    assert outcome.identity["current_user"] == username


def test_identity_holds_no_password_and_is_the_same_each_time(bench: Bench) -> None:
    username = bench.user("identical-password")
    first = bench.database.probe(bench.access(username, "identical-password"), bench.endpoint)
    bench.database.set_password(bench.administration, username, Secret("another-password"), next_fence())
    second = bench.database.probe(bench.access(username, "another-password"), bench.endpoint)
    assert isinstance(first, Accepted)
    assert first == second
    assert "password" not in "".join(first.identity.values()).lower()


def test_a_wrong_password_is_rejected(bench: Bench) -> None:
    username = bench.user("right-password")
    for wrong in ("wrong", "right-password ", "Right-password", "right-passwor"):
        outcome = bench.database.probe(bench.access(username, wrong), bench.endpoint)
        assert isinstance(outcome, Rejected), wrong
        assert wrong not in outcome.reason


def test_an_unknown_user_is_not_accepted(bench: Bench) -> None:
    outcome = bench.database.probe(bench.access("nobody-knows", "x"), bench.endpoint)
    assert isinstance(outcome, Rejected | NotPermitted)


def test_a_password_that_cannot_be_sent_is_no_accepted_one(bench: Bench) -> None:
    username = bench.user("right-password")
    for text in ("right-password\0more", "right-password\ud800"):
        outcome = bench.database.probe(bench.access(username, text), bench.endpoint)
        assert isinstance(outcome, Rejected | NotPermitted)


def test_a_closed_port_is_unreachable(bench: Bench) -> None:
    port = free_port()
    away = elsewhere(bench.access("user", "pw"), port)
    assert isinstance(bench.database.probe(away, away.target.primary), Unreachable)
    with pytest.raises(ChangeUnreachable):
        bench.database.set_password(elsewhere(bench.administration, port), "user", Secret("x"), next_fence())


def test_a_port_that_never_answers_is_unreachable(bench: Bench) -> None:
    with silent_port() as port:
        away = elsewhere(bench.access("user", "pw"), port)
        assert isinstance(bench.quick.probe(away, away.target.primary), Unreachable)
        with pytest.raises(ChangeUnreachable):
            bench.quick.set_password(elsewhere(bench.administration, port), "user", Secret("x"), next_fence())


def test_a_name_that_does_not_resolve_is_unreachable(bench: Bench) -> None:
    assert isinstance(
        bench.quick.probe(bench.access("user", "pw"), Endpoint("no.such.host.invalid", 5432)), Unreachable
    )


def test_who_may_not_use_the_database_is_not_permitted(bench: Bench) -> None:
    username = bench.user("right-password")
    right = bench.access(username, "right-password")
    nowhere = replace(right, target=replace(right.target, database="no_such_database"))
    assert isinstance(bench.database.probe(nowhere, bench.endpoint), NotPermitted)
    bench.forbid(username)
    assert isinstance(bench.database.probe(right, bench.endpoint), NotPermitted)


def test_a_change_makes_the_new_password_the_only_one(bench: Bench) -> None:
    username = bench.user("old-password")
    bench.database.set_password(bench.administration, username, Secret("new-password"), next_fence())
    assert bench.works(username, "new-password")
    assert not bench.works(username, "old-password")


def test_a_repeated_change_changes_nothing_more(bench: Bench) -> None:
    username = bench.user("old-password")
    for _ in range(2):
        bench.database.set_password(bench.administration, username, Secret("new-password"), next_fence())
        assert bench.works(username, "new-password")


@pytest.mark.parametrize("password", PASSWORDS)
def test_every_character_of_a_password_counts_and_none_is_logged(bench: Bench, password: str) -> None:
    username = bench.user("old-password")
    bench.database.set_password(bench.administration, username, Secret(password), next_fence())
    assert bench.works(username, password)
    assert not bench.works(username, password[:-1])
    assert password not in bench.log()


@pytest.mark.parametrize("name", USERNAMES)
def test_every_character_of_a_username_counts(bench: Bench, name: str) -> None:
    username = bench.user("old-password", name)
    neighbour = bench.user("old-password", name)
    bench.database.set_password(bench.administration, username, Secret("new-password"), next_fence())
    outcome = bench.database.probe(bench.access(username, "new-password"), bench.endpoint)
    assert isinstance(outcome, Accepted)
    assert outcome.identity["current_user"] == username
    assert bench.works(neighbour, "old-password")


@pytest.mark.parametrize("password", ["", "with\0nul", "half \ud800 a surrogate"])
def test_a_password_that_no_client_could_send_is_refused(bench: Bench, password: str) -> None:
    username = bench.user("old-password")
    with pytest.raises(ChangeRefused):
        bench.database.set_password(bench.administration, username, Secret(password), next_fence())
    assert bench.works(username, "old-password")


def test_without_the_privilege_nothing_changes(bench: Bench) -> None:
    username = bench.user("old-password")
    with pytest.raises(ChangeNotPermitted, match=r"GRANT|run:"):
        bench.database.set_password(bench.powerless, username, Secret("new-password"), next_fence())
    assert bench.works(username, "old-password")
    assert not bench.works(username, "new-password")


def test_a_login_that_does_not_exist_cannot_be_changed(bench: Bench) -> None:
    with pytest.raises(ChangeNotPermitted, match="nobody-knows"):
        bench.database.set_password(bench.administration, "nobody-knows", Secret("new-password"), next_fence())


def test_a_wrong_administration_password_is_named(bench: Bench) -> None:
    username = bench.user("old-password")
    wrong = bench.access(bench.administration.account.username, "not-it")
    with pytest.raises(ChangeNotPermitted, match=r"administration login .* rejected"):
        bench.database.set_password(wrong, username, Secret("new-password"), next_fence())
    assert bench.works(username, "old-password")


def test_no_error_shows_a_password(bench: Bench) -> None:
    username = bench.user("old-password")
    ways = [
        (bench.powerless, username),
        (bench.administration, "nobody-knows"),
        (elsewhere(bench.administration, free_port()), username),
        (bench.access(bench.administration.account.username, "not-it-at-all"), username),
    ]
    for administration, name in ways:
        with pytest.raises(ChangeError) as caught:
            bench.database.set_password(administration, name, Secret("sesame-open-up"), next_fence())
        shown = f"{caught.value!r}{caught.value.__cause__!r}"
        assert "sesame" not in shown
        assert administration.account.password.reveal() not in shown.replace(administration.account.username, "")


def test_what_is_lacking_is_said_and_nothing_is_changed(bench: Bench) -> None:
    examination: Examination = bench.database  # type: ignore[assignment]
    username = bench.user("old-password")
    assert examination.lacks(bench.administration, username) == ()
    assert examination.lacks(bench.powerless, username)
    assert any("nobody-knows" in sentence for sentence in examination.lacks(bench.administration, "nobody-knows"))
    assert bench.works(username, "old-password")
    with pytest.raises(ChangeUnreachable):
        examination.lacks(elsewhere(bench.administration, free_port()), username)


# The fence


def fenced(bench: Bench) -> Fencing:
    assert isinstance(bench.database, Fencing)
    return bench.database


def new_key() -> str:
    """A fence that nobody has passed yet."""
    return f"{next(_numbers):032x}"


def test_a_lower_number_changes_nothing_and_an_equal_or_higher_one_does(bench: Bench) -> None:
    username, key = bench.user("old-password"), new_key()
    fencing = fenced(bench)
    assert fencing.fence_number(bench.administration, key) is None
    for number, password in ((LEDGERS, "first"), (LEDGERS, "the same worker"), (LEDGERS + 1, "a later worker")):
        assert bench.database.set_password(bench.administration, username, Secret(password), Fence(key, number)) == ()
        assert bench.works(username, password)
        assert fencing.fence_number(bench.administration, key) == number
    for number in (LEDGERS, 1):
        with pytest.raises(ChangeFenced):
            bench.database.set_password(bench.administration, username, Secret("late"), Fence(key, number))
    assert bench.works(username, "a later worker")
    assert not bench.works(username, "late")
    assert fencing.fence_number(bench.administration, key) == LEDGERS + 1


def test_whoever_is_below_a_raised_fence_changes_nothing(bench: Bench) -> None:
    username, key = bench.user("old-password"), new_key()
    fencing = fenced(bench)
    for _ in range(2):
        assert fencing.raise_fence(bench.administration, username, Fence(key, LEDGERS)) == ()
    with pytest.raises(ChangeFenced):
        fencing.raise_fence(bench.administration, username, Fence(key, LEDGERS - 1))
    with pytest.raises(ChangeFenced):
        bench.database.set_password(bench.administration, username, Secret("late"), Fence(key, LEDGERS - 1))
    assert bench.works(username, "old-password")
    bench.database.set_password(bench.administration, username, Secret("new"), Fence(key, LEDGERS))
    assert bench.works(username, "new")


def test_every_change_passes_the_same_fence(bench: Bench) -> None:
    database, who, username, key = bench.database, bench.administration, bench.user("old-password"), new_key()
    late, old = Fence(key, 1), Secret("old-password")
    fenced(bench).raise_fence(who, username, Fence(key, 2))
    if isinstance(database, Overlap):
        with pytest.raises(ChangeFenced):
            database.add_password(who, username, old, Secret("late"), late)
    if isinstance(database, Pairing):
        with pytest.raises(ChangeFenced):
            database.join(who, bench.user(), username, Secret("late"), late)
    assert bench.works(username, "old-password")
    assert not bench.works(username, "late")


def test_keys_have_nothing_to_do_with_each_other(bench: Bench) -> None:
    username, high, low = bench.user("old-password"), new_key(), new_key()
    fencing = fenced(bench)
    fencing.raise_fence(bench.administration, username, Fence(high, 9))
    assert bench.database.set_password(bench.administration, username, Secret("new"), Fence(low, 1)) == ()
    numbers = [fencing.fence_number(bench.administration, key) for key in (high, low)]
    assert (numbers, bench.works(username, "new")) == ([9, 1], True)


def test_a_fence_at_a_closed_port_is_unreachable(bench: Bench) -> None:
    away = elsewhere(bench.administration, free_port())
    with pytest.raises(ChangeUnreachable):
        fenced(bench).raise_fence(away, "user", next_fence())
    with pytest.raises(ChangeUnreachable):
        fenced(bench).fence_number(away, new_key())


# A login changes its own password


def test_a_login_changes_its_own_password_once_it_was_seen_to_work(bench: Bench) -> None:
    username = bench.user("old-password")
    database = bench.database
    assert isinstance(database, OwnChange)
    seen: list[bool] = []

    def works() -> bool:
        seen.append(bench.works(username, "sesame-its-own"))
        return seen[-1]

    database.change_own(bench.access(username, "old-password"), Secret("sesame-its-own"), next_fence(new_key()), works)
    assert seen == [True]
    assert bench.works(username, "sesame-its-own")
    assert not bench.works(username, "old-password")
    assert "sesame-its-own" not in bench.log()


def test_a_login_keeps_its_password_when_the_new_one_does_not_work(bench: Bench) -> None:
    username = bench.user("old-password")
    database = bench.database
    assert isinstance(database, OwnChange)
    access = bench.access(username, "old-password")

    def broken() -> bool:
        assert bench.works(username, "new-password")
        raise ZeroDivisionError

    with pytest.raises(ChangeRefused):
        database.change_own(access, Secret("new-password"), next_fence(new_key()), lambda: False)
    assert bench.works(username, "old-password")
    with pytest.raises(ZeroDivisionError):
        database.change_own(access, Secret("new-password"), next_fence(new_key()), broken)
    assert bench.works(username, "old-password")
    assert not bench.works(username, "new-password")


def test_who_cannot_log_in_changes_no_password_of_its_own(bench: Bench) -> None:
    username = bench.user("old-password")
    database = bench.database
    assert isinstance(database, OwnChange)
    with pytest.raises(ChangeNotPermitted):
        database.change_own(bench.access(username, "wrong"), Secret("new"), next_fence(new_key()), lambda: True)
    away = elsewhere(bench.access(username, "old-password"), free_port())
    with pytest.raises(ChangeUnreachable):
        database.change_own(away, Secret("new"), next_fence(new_key()), lambda: True)
    assert bench.works(username, "old-password")


# Sessions


def test_sessions_are_seen_and_only_those_that_were_named_are_ended(bench: Bench) -> None:
    username, neighbour = bench.user("a-password"), bench.user("a-password")
    view = bench.database
    assert isinstance(view, DrainView)
    assert isinstance(view, SessionEnd)
    with (
        bench.session(username, "a-password"),
        bench.session(username, "a-password"),
        bench.session(neighbour, "a-password"),
    ):
        found = view.sessions(bench.administration, username)
        assert isinstance(found, tuple)
        assert [it.username for it in found] == [username] * 2
        assert view.end_sessions(bench.administration, ()) == 0
        assert view.end_sessions(bench.administration, (replace(found[0], username=neighbour),)) == 0
        assert view.end_sessions(bench.administration, found[:1]) == 1
        deadline = time.monotonic() + PATIENCE
        while view.sessions(bench.administration, username) != found[1:] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert view.sessions(bench.administration, username) == found[1:]
        others = view.sessions(bench.administration, neighbour)
        assert isinstance(others, tuple)
        assert len(others) == 1
        with pytest.raises(ChangeNotPermitted, match=r"GRANT|may not"):
            view.end_sessions(bench.powerless, found[1:])
    with pytest.raises(ChangeUnreachable):
        view.end_sessions(elsewhere(bench.administration, free_port()), found)


def test_sessions_of_nobody_are_none_and_a_closed_port_is_unreachable(bench: Bench) -> None:
    view: DrainView = bench.database  # type: ignore[assignment]
    assert view.sessions(bench.administration, bench.user()) == ()
    assert isinstance(view.sessions(elsewhere(bench.administration, free_port()), "user"), Unreachable)


def test_the_fake_misbehaves_as_it_is_told() -> None:
    fake = FakeDatabase()
    administration, replica = fake.administration(), Endpoint("replica.test", 5432)
    fake.endpoints += (replica,)
    fake.create("user", "old")

    def outcome(password: str = "old", endpoint: Endpoint | None = None) -> type:
        return type(fake.probe(fake.access("user", password), endpoint or fake.endpoints[0]))

    fake.unreachable.add(replica)
    assert (outcome(), outcome(endpoint=replica)) == (Accepted, Unreachable)
    fake.unreachable.add(fake.everywhere)
    assert outcome() is Unreachable
    fake.unreachable.clear()

    fake.hanging = True
    assert outcome() is Unreachable
    with pytest.raises(ChangeLost):
        fake.set_password(administration, "user", Secret("new"), next_fence())
    fake.hanging = False
    assert not fake.valid("user", "new")

    fake.losing = 1
    with pytest.raises(ChangeLost):
        fake.add_password(administration, "user", Secret("old"), Secret("new"), next_fence())
    assert outcome("old") is outcome("new") is Accepted

    fake.policy = str.isdigit
    with pytest.raises(ChangeRefused):
        fake.set_password(administration, "user", Secret("letters"), next_fence())
    fake.join(administration, "role", "user", Secret("123"), next_fence())
    joined = fake.probe(fake.access("user", "123"), fake.endpoints[0])
    assert joined == Accepted({"current_user": "role"})
    assert outcome("old") is Rejected

    fake.powerless = True
    assert isinstance(fake.sessions(administration, "user"), NotPermitted)
    fake.trusting = True
    assert outcome("anything") is Accepted
