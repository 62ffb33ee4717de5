"""What the agent's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.place import Place, place
from tests.rigs.keywright import Keywright


@pytest.fixture
def site(keywright_service: Keywright, tmp_path: Path) -> Iterator[Place]:
    """A real Keywright, and a folder to work in."""
    with place(keywright_service, tmp_path) as made:
        yield made
