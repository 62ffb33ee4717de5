"""The fence of PostgreSQL: late workers, workers that stand still, and servers that will not have a fence."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import pytest
from psycopg.sql import SQL, Identifier, Literal

from providers.databases import postgresql_roles as roles
from providers.databases.postgresql import PostgreSQL
from providers.databases.postgresql_fence import role_name
from service.core.connection import Accepted, Access, Endpoint, Tls, TlsMode
from service.core.database import Fence
from service.core.errors import ChangeError, ChangeFenced, ChangeLost, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret
from tests.rigs.cutting import Standstill, cutting, recording, stalling
from tests.rigs.postgresql import PostgresServer

PATIENCE = 40.0
COMMIT = b"COMMIT\0"
"""The message that is this statement alone; READ COMMITTED is another one."""
LOOSE = " ".join(
    f"-c {setting}"
    for setting in (
        "lock_timeout=0",
        "statement_timeout=0",
        "idle_in_transaction_session_timeout=0",
        "default_transaction_isolation=serializable",
    )
)
_numbers = count(1)
database = PostgreSQL()


@dataclass(frozen=True)
class Place:
    """A server with a login to change, who may change it, and a fence that nobody else knows."""

    server: PostgresServer
    user: str
    administration: Access
    key: str

    def fence(self, number: int, lease: float = 30.0) -> Fence:
        return Fence(self.key, number, lease)

    def change(self, password: str, fence: Fence, administration: Access | None = None) -> tuple[str, ...]:
        return database.set_password(administration or self.administration, self.user, Secret(password), fence)

    def works(self, password: str, user: str | None = None) -> bool:
        access = self.server.access(user or self.user, password)
        return isinstance(database.probe(access, self.server.endpoint), Accepted)

    def comment(self, text: str | None) -> None:
        role = Identifier(role_name(self.key))
        self.server.execute(SQL("COMMENT ON ROLE {} IS {}").format(role, Literal(text)))

    def comments(self) -> list[tuple[object, ...]]:
        question = SQL("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = {}")
        return self.server.execute(question.format(Literal(role_name(self.key))))


@pytest.fixture(params=["old_postgresql", "new_postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    return _place(request.getfixturevalue(request.param))


@pytest.fixture
def plain(new_postgresql: PostgresServer) -> Place:
    """On one server, where that is enough."""
    return _place(new_postgresql)


def _place(server: PostgresServer) -> Place:
    number = next(_numbers)
    user = f"user_of_fence_{number}"
    server.login(user, "old")
    return Place(server, user, server.administration(f"keeper_of_fence_{number}", user), f"{number:032x}")


def at(access: Access, port: int, db: str = "postgres", **options: str) -> Access:
    """The same way in, at a port of the proxy, which speaks plain text."""
    target = replace(access.target, endpoints=(Endpoint("127.0.0.1", port),), tls=Tls(TlsMode.DISABLE))
    target = replace(target, database=db, options=options)
    return replace(access, target=target)


class Worker(threading.Thread):
    """Does one thing beside the test, and remembers how it ended."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: ChangeError | None = None
        self.start()

    def run(self) -> None:
        """The work."""
        try:
            self._work()
        except ChangeError as error:
            self.error = error

    def ended(self) -> ChangeError | None:
        """Wait for it."""
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.error


@contextmanager
def standing(place: Place, statement: bytes, fence: Fence, **options: str) -> Iterator[tuple[Worker, Standstill]]:
    """A worker who changes the password, and stands still just before that statement reaches the server."""
    with stalling(place.server.port, statement) as (port, still):
        access = at(place.administration, port, **options)
        worker = Worker(lambda: place.change("of the late one", fence, access))
        assert still.reached.wait(PATIENCE)
        yield worker, still


def test_who_wakes_up_late_changes_nothing(plain: Place) -> None:
    with standing(plain, b"BEGIN", plain.fence(1)) as (worker, still):
        assert database.raise_fence(plain.administration, plain.user, plain.fence(2)) == ()
        still.go.set()
        assert isinstance(worker.ended(), ChangeFenced)
    assert plain.works("old")


@pytest.mark.parametrize("options", [{}, {"options": LOOSE}], ids=["plain", "loose"])
def test_a_change_under_way_is_given_up_within_the_lease(place: Place, options: dict[str, str]) -> None:
    with standing(place, COMMIT, place.fence(1, lease=1.5), **options) as (worker, still):
        assert place.works("old")
        # Waits until the server ends the one who stands still; then he can change nothing more.
        assert database.raise_fence(place.administration, place.user, place.fence(2)) == ()
        still.go.set()
        assert isinstance(worker.ended(), ChangeLost)
    assert place.works("old")


def test_a_fence_is_not_up_while_a_change_is_under_way(plain: Place) -> None:
    with standing(plain, COMMIT, plain.fence(1)) as (worker, still):
        with pytest.raises(ChangeUnreachable, match="busy"):
            database.raise_fence(plain.administration, plain.user, plain.fence(2, lease=1.5))
        still.go.set()
        assert worker.ended() is None
    assert plain.works("of the late one")
    assert database.raise_fence(plain.administration, plain.user, plain.fence(2)) == ()


def test_the_number_is_read_after_the_lock_was_had(place: Place) -> None:
    assert place.change("first", place.fence(1)) == ()
    access = at(place.administration, place.server.port, options=LOOSE)
    who = access.account.username
    waiting = f"SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND usename = '{who}'"
    with place.server.connect() as other, other.transaction():
        other.execute(roles.lock(role_name(place.key)))
        worker = Worker(lambda: place.change("second", place.fence(1), access))
        deadline = time.monotonic() + PATIENCE
        while not place.server.execute(waiting) and time.monotonic() < deadline and worker.is_alive():
            time.sleep(0.01)
        other.execute(SQL("COMMENT ON ROLE {} IS 'keywright fence 2'").format(Identifier(role_name(place.key))))
    assert isinstance(worker.ended(), ChangeFenced)
    assert place.works("first")


# Advisory locks hold in one database; the administration connection may be put again with another one.


@pytest.fixture
def elsewhere(plain: Place) -> Access:
    """The same administration login, in another database of the server."""
    other = f"other_{plain.user}"
    plain.server.execute(f"CREATE DATABASE {other}")
    return at(plain.administration, plain.server.port, other)


@pytest.mark.parametrize("statement", [b"SAVEPOINT", COMMIT])
def test_a_fence_raised_from_another_database_holds(plain: Place, elsewhere: Access, statement: bytes) -> None:
    assert plain.change("first", plain.fence(1)) == ()
    with standing(plain, statement, plain.fence(1, lease=30 if statement == b"SAVEPOINT" else 1.5)) as (worker, still):
        assert database.raise_fence(elsewhere, plain.user, plain.fence(2)) == ()
        still.go.set()
        assert isinstance(worker.ended(), ChangeFenced | ChangeLost)
    assert plain.works("first")


def test_two_first_ones_in_two_databases_make_one_fence(plain: Place, elsewhere: Access) -> None:
    with standing(plain, b"SAVEPOINT", plain.fence(1)) as (worker, still):
        assert plain.change("second", plain.fence(1), elsewhere) == ()
        still.go.set()
        assert isinstance(worker.ended(), ChangeUnreachable)
    assert plain.works("second")
    assert plain.change("again", plain.fence(1)) == ()


def test_first_ones_of_one_database_wait_for_each_other(place: Place) -> None:
    workers = [Worker(lambda: place.change("same", place.fence(7))) for _ in range(4)]
    assert [worker.ended() for worker in workers] == [None] * 4
    assert place.comments() == [("keywright fence 7",)]
    assert place.server.execute(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role_name(place.key)}'") == [
        (False,)
    ]


def test_both_logins_of_a_pair_have_one_fence(place: Place) -> None:
    login = f"{place.user}_a"
    assert database.join(place.administration, place.user, login, Secret("one"), place.fence(2)) == ()
    with pytest.raises(ChangeFenced):
        place.change("late", place.fence(1))
    assert place.change("later", place.fence(3)) == ()
    with pytest.raises(ChangeFenced):
        database.join(place.administration, place.user, login, Secret("two"), place.fence(2))
    assert place.works("one", login)


# What is not permitted


def test_who_may_not_keep_the_number_is_told_what_to_run(plain: Place) -> None:
    assert plain.change("first", plain.fence(5)) == ()
    other = plain.server.administration(f"second_{plain.user}", plain.user)
    (sentence,) = plain.change("second", plain.fence(6), other)
    assert plain.works("second")
    assert plain.comments() == [("keywright fence 5",)]
    with pytest.raises(ChangeFenced):  # what may not be written can be read
        plain.change("late", plain.fence(4), other)
    assert database.raise_fence(other, plain.user, plain.fence(6)) == (sentence,)
    plain.server.execute(sentence.partition("run: ")[2])
    assert plain.change("third", plain.fence(6), other) == ()
    assert database.fence_number(other, plain.key) == 6


@pytest.mark.parametrize("text", ["belongs to the shop", "keywright fence", "keywright fence -1", "KEYWRIGHT FENCE 1"])
def test_a_comment_of_somebody_else_is_left_alone(place: Place, text: str) -> None:
    place.server.execute(SQL("CREATE ROLE {}").format(Identifier(role_name(place.key))))
    place.server.administers(place.administration.account.username, role_name(place.key))
    place.comment(text)
    (sentence,) = place.change("new", place.fence(1))
    assert place.works("new")
    assert place.comments() == [(text,)]
    assert database.fence_number(place.administration, place.key) is None
    place.server.execute(sentence.partition("run: ")[2])
    assert place.change("newer", place.fence(1)) == ()


def test_a_fence_that_is_refused_unexpectedly_keeps_nobody_from_changing(old_postgresql: PostgresServer) -> None:
    place = _place(old_postgresql)
    assert place.change("first", place.fence(1)) == ()
    # Only a superuser may alter such a role before version 16, which no look tells.
    old_postgresql.execute(f"ALTER ROLE {role_name(place.key)} REPLICATION")
    (sentence,) = place.change("second", place.fence(2))
    assert "42501" in sentence
    assert place.works("second")
    assert place.comments() == [("keywright fence 1",)]


def test_a_key_of_any_shape_has_a_role_of_its_own() -> None:
    keys = ["a" * 32, "a" * 47, "a" * 48, "a" * 49, "", "A", "a", 'quo"te', "ä", "x" * 200]
    names = [role_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(len(name.encode()) <= 63 for name in names)
    assert role_name("0" * 32) == f"keywright_fence_{'0' * 32}"


def test_a_change_is_three_messages(plain: Place) -> None:
    with recording(plain.server.port) as (port, sent):
        plain.change("new", plain.fence(1), at(plain.administration, port))
    assert len([data for data in sent if data.startswith((b"Q", b"P"))]) == 3


# A login changes its own password


def own(place: Place, password: str, works: Callable[[], bool], number: int = 1, port: int = 0) -> tuple[str, ...]:
    access = place.server.access(place.user, "old")
    access = at(access, port) if port else access
    return database.change_own(access, Secret(password), place.fence(number), works)


def test_a_login_without_privileges_changes_its_own_password(place: Place) -> None:
    (sentence,) = own(place, "new", lambda: place.works("new") and not place.works("old"))
    assert "CREATEROLE" in sentence
    assert place.works("new")


def test_a_login_that_acts_as_another_changes_itself_and_nobody_else(place: Place) -> None:
    role = f"role_of_{place.user}"
    place.server.login(role, "of the role", "CREATEROLE")
    place.server.execute(f"GRANT {role} TO {place.user}")
    place.server.execute(f"ALTER ROLE {place.user} SET role = '{role}'")
    assert own(place, "new", lambda: place.works("new")) == ()
    assert place.works("new")
    assert place.works("of the role", role)


def test_a_password_that_does_not_work_is_put_back(place: Place) -> None:
    with pytest.raises(ChangeRefused, match="the former one is back"):
        own(place, "new", lambda: False)
    assert place.works("old")

    def broken() -> bool:
        assert place.works("new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        own(place, "new", broken)
    assert place.works("old")
    assert not place.works("new")


def test_a_login_whose_sessions_end_early_gets_its_password_back(place: Place) -> None:
    place.server.execute(f"ALTER ROLE {place.user} SET idle_session_timeout = '50ms'")

    def slow() -> bool:
        time.sleep(0.3)
        return False

    with pytest.raises(ChangeRefused, match="the former one is back"):
        own(place, "new", slow)
    assert place.works("old")


def test_what_a_later_worker_changed_is_not_put_back(place: Place) -> None:
    place.server.execute(f"ALTER ROLE {place.user} CREATEROLE")

    def overtaken() -> bool:
        access = place.server.access(place.user, "new")
        return database.raise_fence(access, place.user, place.fence(2)) != ()

    with pytest.raises(ChangeFenced):
        own(place, "new", overtaken)
    assert place.works("new")


def test_a_session_that_is_gone_cannot_put_anything_back(place: Place) -> None:
    def ended() -> bool:
        ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{place.user}'"
        return not place.server.execute(ends)

    with pytest.raises(ChangeLost, match="could not be put back"):
        own(place, "new", ended)
    assert place.works("new")


@pytest.mark.parametrize("delivered", [True, False])
def test_a_lost_reply_to_an_own_change_is_lost(plain: Place, delivered: bool) -> None:
    with cutting(plain.server.port, COMMIT, delivered=delivered) as port, pytest.raises(ChangeLost):
        own(plain, "new", lambda: True, port=port)
    assert plain.works("new" if delivered else "old")


def test_no_password_of_an_own_change_is_logged(place: Place) -> None:
    place.server.execute(f"ALTER ROLE {place.user} SET log_min_duration_statement = 0")
    begins = len(place.server.log_text())
    with pytest.raises(ChangeRefused):
        own(place, "sesame-own", lambda: False)
    written = place.server.log_text()[begins:]
    assert written.count(f'ALTER ROLE "{place.user}" PASSWORD \'SCRAM-SHA-256$') >= 2
    assert "sesame-own" not in written
    assert "'old'" not in written
