"""What scim2-server asks of every storage, by its own suite, held to the one over the keeper."""

from collections.abc import Iterator
from typing import Any

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract

from service.core.access import PEOPLE, Caller, Grant, Level
from service.core.directory import Sought
from service.http.scim.provider import PROVIDER
from service.http.scim.storage import DirectoryStorage
from tests.rigs.keywright import Keywright, running_keywright

PROVIDERS = Caller("directory", "directory", "machine", (Grant(Level.OWN, PEOPLE.kind),))


@pytest.fixture(scope="module")
def served() -> Iterator[Keywright]:
    with running_keywright() as it:
        yield it


class TestDirectoryStorage(ScimStorageContract):
    """But for its tests of cursors (RFC 9865): pages are told by index here, and nothing else is announced."""

    @pytest.fixture
    def provider(self) -> ScimProvider:
        return PROVIDER

    @pytest.fixture(autouse=True)
    def tolerant(self) -> Iterator[None]:
        """As at the door: what has no place here is passed over."""
        with PROVIDER:
            yield

    @pytest.fixture
    def storage(self, served: Keywright) -> Any:
        directory = served.service.keeper.directory
        for user in directory.users.find(PROVIDERS, Sought()).items:
            directory.users.remove(PROVIDERS, user.user.id)
        for group in directory.groups.find(PROVIDERS, Sought()).items:
            directory.groups.remove(PROVIDERS, group.group.id)
        return DirectoryStorage(directory, PROVIDERS)


for name in [name for name in dir(ScimStorageContract) if name.startswith("test_cursor")]:
    setattr(TestDirectoryStorage, name, None)
