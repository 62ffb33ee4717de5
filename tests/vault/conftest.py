"""One pair of servers, and one of everything that takes time, for all tests of this folder that a process runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.cluster import ApiServer, running_api_server
from tests.rigs.issuer import Issuer
from tests.rigs.postgresql import PostgresServer
from tests.vault.keywright_side import keywright_side
from tests.vault.openbao_side import openbao_side
from tests.vault.pair import Pair, Side


@pytest.fixture(scope="session", name="trusted_issuer")
def issuer_fixture() -> Issuer:
    """Whose statements both servers trust, by the key that they were given."""
    return Issuer("https://issuer.test")


@pytest.fixture(scope="session", name="reviewer")
def reviewer_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the token that the cluster wants to see."""
    return tmp_path_factory.mktemp("reviewer") / "token"


@pytest.fixture(scope="session", name="trusted_cluster")
def cluster_fixture(reviewer: Path) -> Iterator[ApiServer]:
    """Whose service accounts both servers trust."""
    with running_api_server(reviewer) as made:
        yield made


@pytest.fixture(scope="session", name="openbao_of_the_pair")
def openbao_fixture(
    new_postgresql: PostgresServer, trusted_issuer: Issuer, trusted_cluster: ApiServer
) -> Iterator[Side]:
    """OpenBao, prepared."""
    with openbao_side(new_postgresql, trusted_issuer, trusted_cluster) as side:
        yield side


@pytest.fixture(scope="session", name="pair")
def pair_fixture(
    openbao_of_the_pair: Side,
    new_postgresql: PostgresServer,
    trusted_issuer: Issuer,
    trusted_cluster: ApiServer,
    reviewer: Path,
) -> Iterator[Pair]:
    """Both."""
    with keywright_side(new_postgresql, trusted_issuer, trusted_cluster, reviewer) as side:
        yield Pair(openbao_of_the_pair, side)
