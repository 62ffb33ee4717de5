"""MariaDB's fence: numbers that late workers fail at, bounded sessions, and what works without the privileges."""

import time
from contextlib import closing
from dataclasses import replace
from itertools import count

import pytest
from pymysql.err import OperationalError

from providers.databases import mariadb_accounts, mariadb_fence
from providers.databases.mariadb import MariaDB
from providers.databases.mariadb_accounts import Row
from providers.databases.mariadb_login import Link, connect
from service.core.connection import Accepted, Access, NotPermitted, Rejected
from service.core.database import Fence, Session
from service.core.errors import (
    ChangeError,
    ChangeFenced,
    ChangeLost,
    ChangeNotPermitted,
    ChangeRefused,
    ChangeUnreachable,
)
from service.core.secret import Secret
from tests.rigs.mariadb import GRANTS, MariaDBServer

NUMBER = 1_764_000_000_123_456
"""As large as the ledger's: microseconds since 1970."""
_numbers = count(1)
database = MariaDB()


def name(stem: str) -> str:
    return f"{stem}_behind_maria_{next(_numbers)}"


def works(server: MariaDBServer, username: str, password: str) -> bool:
    return isinstance(database.probe(server.access(username, password), server.endpoint), Accepted)


def stored(server: MariaDBServer, username: str) -> set[tuple[str]]:
    """The different hashes that its rows have."""
    hashes = "SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE User = %s"
    return set(server.execute(hashes, username))  # type: ignore[arg-type]


@pytest.fixture
def keeper(mariadb: MariaDBServer) -> Access:
    return mariadb.administration("keeper_of_fences")


@pytest.fixture
def user(mariadb: MariaDBServer) -> str:
    username = name("user")
    mariadb.login(username, "old")
    return username


@pytest.fixture
def fence() -> Fence:
    return Fence(name("key"), NUMBER)


# Numbers


def test_a_lower_number_changes_nothing_and_a_higher_one_does(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    assert database.fence_number(keeper, fence.key) is None
    for number in (NUMBER, NUMBER, NUMBER + 1, NUMBER + (1 << 32), (1 << 63) - 1):
        assert database.raise_fence(keeper, user, replace(fence, number=number)) == ()
        assert database.fence_number(keeper, fence.key) == number
        for late in (number - 1, number - (1 << 32), 1):
            with pytest.raises(ChangeFenced):
                database.raise_fence(keeper, user, replace(fence, number=late))
            with pytest.raises(ChangeFenced):
                database.set_password(keeper, user, Secret("late"), replace(fence, number=late))
            with pytest.raises(ChangeFenced):
                database.add_password(keeper, user, Secret("old"), Secret("late"), replace(fence, number=late))
        assert works(mariadb, user, "old")
        assert not works(mariadb, user, "late")
        assert database.fence_number(keeper, fence.key) == number
    database.set_password(keeper, user, Secret("new"), replace(fence, number=(1 << 63) - 1))
    assert works(mariadb, user, "new")


def test_a_change_shows_its_number_and_other_keys_keep_theirs(keeper: Access, user: str, fence: Fence) -> None:
    other = Fence(name("key"), 7)
    database.set_password(keeper, user, Secret("new"), fence)
    database.set_password(keeper, user, Secret("new"), other)
    assert database.fence_number(keeper, fence.key) == NUMBER
    assert database.fence_number(keeper, other.key) == 7


def test_nobody_can_log_in_as_the_account_that_keeps_the_number(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    database.set_password(keeper, user, Secret("new"), fence)
    account = mariadb_fence.account(fence.key)
    (made,) = mariadb.execute("SHOW CREATE USER %s@localhost", account)
    assert "ACCOUNT LOCK" in made[0]
    assert "IDENTIFIED BY PASSWORD 'invalid'" in made[0]
    (grants,) = mariadb.execute("SHOW GRANTS FOR %s@localhost", account)
    assert "GRANT USAGE ON *.*" in grants[0]
    assert mariadb.execute("SELECT Host FROM mysql.global_priv WHERE User = %s", account) == [("localhost",)]


def test_a_fence_whose_account_was_dropped_begins_anew(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    database.set_password(keeper, user, Secret("new"), fence)
    mariadb.execute("DROP USER %s@localhost", mariadb_fence.account(fence.key))
    database.set_password(keeper, user, Secret("newer"), replace(fence, number=NUMBER + 1))
    assert database.fence_number(keeper, fence.key) == NUMBER + 1


def test_every_row_is_behind_the_fence(mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence) -> None:
    mariadb.login(user, "old", "10.%")
    with closing(connect(keeper, mariadb.endpoint, seconds=5)) as late:
        first, second = (mariadb_accounts.change(row, Secret("late")) for row in mariadb_accounts.rows(late, user))
        gate = mariadb_fence.Gate(late, fence, "keeper")
        gate.run(first.statement, first.arguments)
        database.raise_fence(keeper, user, replace(fence, number=NUMBER + 1))
        with pytest.raises(OperationalError, match="a later worker was here"):
            gate.run(second.statement, second.arguments)
    assert len(stored(mariadb, user)) == 2


# Workers that stand still, and statements that go on without them


def test_a_worker_that_stood_still_is_gone_from_the_server(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    class Paused(MariaDB):
        """Stands still with its locks held, until the server has ended its session."""

        def _rows(self, link: Link, username: str) -> tuple[Row, ...]:
            found = super()._rows(link, username)
            until = time.monotonic() + 20
            while _connected(mariadb, keeper.account.username, link.thread_id()) and time.monotonic() < until:
                time.sleep(0.1)
            return found

    with pytest.raises(ChangeError):
        Paused().set_password(keeper, user, Secret("late"), replace(fence, lease=2.0))
    assert works(mariadb, user, "old")
    # Its locks went with it.
    database.set_password(keeper, user, Secret("new"), replace(fence, number=NUMBER + 1))
    assert works(mariadb, user, "new")


def test_raising_waits_for_a_statement_that_nobody_waits_for_any_more(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    with closing(connect(keeper, mariadb.endpoint, seconds=5)) as late:
        assert mariadb_fence.lock(late, fence, user, 1)
        thread_id = late.thread_id()
        # The statement of a worker that dies right after it was sent.
        late._execute_command(3, "SELECT SLEEP(1.5)")  # type: ignore[no-untyped-call]
        late._force_close()  # type: ignore[no-untyped-call]
        assert database.raise_fence(keeper, user, fence) == ()
        assert not _connected(mariadb, keeper.account.username, thread_id)


def test_a_session_that_does_not_end_is_busy_and_nothing_is_raised(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    quick = MariaDB(seconds=0.5)
    with closing(connect(keeper, mariadb.endpoint, seconds=5)) as other:
        assert mariadb_fence.lock(other, fence, user, 1)
        with pytest.raises(ChangeUnreachable, match="busy"):
            quick.raise_fence(keeper, user, fence)
        with pytest.raises(ChangeUnreachable, match="busy"):
            quick.set_password(keeper, user, Secret("new"), fence)
        # The name alone is held too: whoever changes it under another key waits as well.
        with pytest.raises(ChangeUnreachable, match="busy"):
            quick.set_password(keeper, user, Secret("new"), replace(fence, key=name("key")))
    assert database.fence_number(keeper, fence.key) is None
    assert works(mariadb, user, "old")


@pytest.mark.parametrize("lease", [1.0, 2.0, 30.0, 600.0])
def test_what_a_session_may_hold_ends_well_within_the_lease(
    mariadb: MariaDBServer, keeper: Access, lease: float
) -> None:
    limits = mariadb_fence.bounds(lease, 5.0)
    assert limits.lock < limits.statement < limits.wait <= lease / 4
    assert limits.silence + limits.statement <= max(lease * 0.75, 1.5)
    with closing(connect(keeper, mariadb.endpoint, seconds=5)) as link, link.cursor() as cursor:
        mariadb_fence.limit(link, limits)
        cursor.execute("SELECT @@wait_timeout, @@lock_wait_timeout, @@max_statement_time")
        silence, locks, statement = cursor.fetchone()
    assert (silence, locks, float(statement)) == (limits.silence, max(1, int(limits.lock)), limits.statement)


def _connected(server: MariaDBServer, username: str, thread_id: int) -> bool:
    found = server.execute(
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE user = %s AND id = %s", username, thread_id
    )
    return bool(found)


# Without the privileges


def test_without_the_columns_there_is_no_number_and_it_is_said(mariadb: MariaDBServer, user: str, fence: Fence) -> None:
    administration = mariadb.administration(name("less"), *(grant for grant in GRANTS if "max_questions" not in grant))
    (sentence,) = database.raise_fence(administration, user, fence)
    assert "GRANT SELECT (max_questions, max_updates)" in sentence
    assert database.fence_number(administration, fence.key) is None
    assert database.set_password(administration, user, Secret("new"), fence) == (sentence,)
    assert works(mariadb, user, "new")
    # Locks need no privilege.
    with closing(connect(administration, mariadb.endpoint, seconds=5)) as other:
        assert mariadb_fence.lock(other, fence, user, 1)
        with pytest.raises(ChangeUnreachable, match="busy"):
            MariaDB(seconds=0.5).set_password(administration, user, Secret("newer"), fence)


def test_a_plugin_that_refuses_hashes_keeps_no_number(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    mariadb.execute("INSTALL SONAME 'simple_password_check'")
    try:
        assert "simple_password_check" in "".join(database.raise_fence(keeper, user, fence))
    finally:
        mariadb.execute("UNINSTALL SONAME 'simple_password_check'")


# One's own password


def test_an_administration_login_turns_its_own_password_on_every_row(mariadb: MariaDBServer, fence: Fence) -> None:
    username = name("admin")
    before = mariadb.administration(username)
    mariadb.login(username, "old", "10.%")
    after = mariadb.access(username, "new")

    def right() -> bool:
        return works(mariadb, username, "new") and not works(mariadb, username, before.account.password.reveal())

    assert database.change_own(before, Secret("new"), fence, right) == ()
    assert right()
    assert len(stored(mariadb, username)) == 1
    with pytest.raises(ChangeFenced):
        database.change_own(after, Secret("late"), replace(fence, number=NUMBER - 1), lambda: True)
    assert right()


@pytest.mark.parametrize("powerful", [True, False])
def test_a_password_that_does_not_work_is_put_back_by_the_same_session(
    mariadb: MariaDBServer, user: str, fence: Fence, powerful: bool
) -> None:
    before = mariadb.administration(user) if powerful else mariadb.access(user, "old")
    tried = []

    def no() -> bool:
        tried.append(works(mariadb, user, "new"))
        return False

    with pytest.raises(ChangeRefused, match="former one is back"):
        database.change_own(before, Secret("new"), fence, no)
    assert tried == [True]
    assert isinstance(database.probe(before, mariadb.endpoint), Accepted)
    assert not works(mariadb, user, "new")

    def fail() -> bool:
        raise RuntimeError("whoever looks is broken")

    with pytest.raises(RuntimeError):
        database.change_own(before, Secret("new"), fence, fail)
    assert isinstance(database.probe(before, mariadb.endpoint), Accepted)


def test_a_session_that_is_gone_cannot_put_back_and_says_so(mariadb: MariaDBServer, user: str, fence: Fence) -> None:
    before = mariadb.access(user, "old")

    def cut() -> bool:
        for (thread_id,) in mariadb.execute("SELECT id FROM information_schema.PROCESSLIST WHERE user = %s", user):
            mariadb.execute("KILL CONNECTION %s", thread_id)
        return False

    with pytest.raises(ChangeLost, match="could not be put back"):
        database.change_own(before, Secret("new"), fence, cut)


def test_who_may_change_nobody_changes_itself_alone(mariadb: MariaDBServer, user: str, fence: Fence) -> None:
    (sentence,) = database.change_own(mariadb.access(user, "old"), Secret("new"), fence, lambda: True)
    assert "GRANT" in sentence
    assert works(mariadb, user, "new")
    assert not works(mariadb, user, "old")
    with pytest.raises(ChangeNotPermitted, match="rejected"):
        database.change_own(mariadb.access(user, "old"), Secret("newer"), fence, lambda: True)


def test_one_of_two_passwords_cannot_be_replaced_without_the_privilege(
    mariadb: MariaDBServer, keeper: Access, user: str, fence: Fence
) -> None:
    database.add_password(keeper, user, Secret("old"), Secret("other"), fence)
    with pytest.raises(ChangeNotPermitted, match="GRANT CREATE USER"):
        database.change_own(mariadb.access(user, "old"), Secret("new"), fence, lambda: True)
    assert works(mariadb, user, "old")
    assert works(mariadb, user, "other")


# Sessions


def test_sessions_are_seen_and_ended_only_if_they_are_who_they_were(
    mariadb: MariaDBServer, keeper: Access, user: str
) -> None:
    assert database.sessions(keeper, user) == ()
    way = mariadb.access(user, "old")
    with (
        closing(connect(way, mariadb.endpoint, seconds=5)) as first,
        closing(connect(way, mariadb.endpoint, seconds=5)) as second,
    ):
        seen = [Session(user, "127.0.0.1", "", link.thread_id()) for link in (first, second)]
        assert database.sessions(keeper, user) == tuple(seen)
        strangers = (
            replace(seen[0], username="somebody"),
            replace(seen[0], address="127.0.0.2"),
            replace(seen[0], id=1 << 31),
        )
        assert database.end_sessions(keeper, strangers) == 0
        assert database.sessions(keeper, user) == tuple(seen)
        assert database.end_sessions(keeper, (seen[0],)) == 1
        until = time.monotonic() + 20
        while database.sessions(keeper, user) != (seen[1],) and time.monotonic() < until:
            time.sleep(0.05)
        assert database.sessions(keeper, user) == (seen[1],)
        assert database.end_sessions(keeper, (seen[0],)) == 0
    wrong = mariadb.access(keeper.account.username, "not-it")
    assert isinstance(database.sessions(wrong, user), NotPermitted)
    assert isinstance(database.probe(wrong, mariadb.endpoint), Rejected)
