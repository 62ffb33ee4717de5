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
    """Its tests of cursors do not concern a storage that pages by index."""

    @pytest.fixture
    def provider(self) -> ScimProvider:
        return PROVIDER

    @pytest.fixture
    def storage(self, served: Keywright) -> Any:
        directory = served.service.keeper.directory
        for user in directory.users.find(PROVIDERS, Sought()).items:
            directory.users.remove(PROVIDERS, user.user.id)
        for group in directory.groups.find(PROVIDERS, Sought()).items:
            directory.groups.remove(PROVIDERS, group.group.id)
        return DirectoryStorage(directory, PROVIDERS)
