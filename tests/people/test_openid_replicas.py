"""Signing in where two replicas serve one ledger in PostgreSQL: behind one address, a browser meets either."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.people.conftest import Site
from tests.people.test_admission import let_in, over
from tests.rigs.hostile_provider import HostileProvider
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import free_port
from tests.rigs.postgresql import PostgresServer

AT_ONCE = 8


@pytest.fixture(scope="module")
def replicas(
    new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Keywright, Keywright]]:
    server, data = new_postgresql, tmp_path_factory.mktemp("replicas")
    server.execute("CREATE DATABASE openid_ledger")
    ledger = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/openid_ledger"
    data.chmod(0o700)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    try:
        with (
            running_keywright(ledger_url=ledger, data=data, url=url, port=port) as one,
            running_keywright(ledger_url=ledger, data=data, url=url, owner=one.owner) as other,
        ):
            yield one, other
    finally:
        server.execute("DROP DATABASE openid_ledger WITH (FORCE)")


@pytest.fixture(scope="module")
def sites(replicas: tuple[Keywright, Keywright], server: HostileProvider) -> tuple[Site, Site]:
    one = Site(replicas[0], server, "shared")
    one.let()
    return one, replace(one, it=replicas[1])


def test_an_answer_that_is_shown_to_both_at_once_is_taken_once(sites: tuple[Site, Site]) -> None:
    browser = sites[0].browser()
    state = sites[0].begun(browser)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda at: sites[at % 2].back(browser, state).status_code, range(AT_ONCE)))
    assert sorted(answers) == [303] + [401] * (AT_ONCE - 1)


def test_a_session_that_its_provider_ends_at_one_is_over_at_the_other(sites: tuple[Site, Site]) -> None:
    one, other = sites
    browser = one.browser()
    session = let_in(other.back(browser, one.begun(browser)))  # begun at one, gone on with at the other
    assert [site.it.client(session).get("/me").status_code for site in sites] == [200, 200]
    assert over(one).status_code == 200
    assert other.it.client(session).get("/me").status_code == 401


def test_a_provider_that_is_switched_off_at_one_is_off_at_the_other(sites: tuple[Site, Site]) -> None:
    one, other = sites
    session = let_in(one.come())
    assert one.it.client().patch("/identity-providers/shared", json={"enabled": False}).status_code == 200
    assert other.it.client(session).get("/me").status_code == 401
    assert other.browser().get(other.here).status_code == 404
