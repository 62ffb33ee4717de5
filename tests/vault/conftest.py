"""One pair of servers, and one of everything that takes time, for all tests of this folder that a process runs."""

from collections.abc import Iterator

import pytest

from tests.rigs.postgresql import PostgresServer
from tests.vault.openbao_side import openbao_side
from tests.vault.pair import Side
from tests.vault.papers import Cluster, Issuer, cluster


@pytest.fixture(scope="session", name="issuer")
def issuer_fixture() -> Issuer:
    """Whose tokens both servers trust."""
    return Issuer("https://issuer.example")


@pytest.fixture(scope="session", name="cluster_of_pods")
def cluster_fixture() -> Iterator[Cluster]:
    """Whose service accounts both servers trust."""
    with cluster() as made:
        yield made


@pytest.fixture(scope="session", name="openbao_of_the_pair")
def openbao_fixture(new_postgresql: PostgresServer, issuer: Issuer, cluster_of_pods: Cluster) -> Iterator[Side]:
    """OpenBao, prepared."""
    with openbao_side(new_postgresql, issuer, cluster_of_pods) as side:
        yield side
