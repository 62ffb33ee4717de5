"""What scim2-server asks of a storage, done by the keeper on behalf of one caller.

one page of everything                  found in the ledger
userName, externalId, displayName eq    found in the ledger: it is what providers ask before anything else
any other filter, any order             all are read, and judged here
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from scim2_models import (
    NotImplementedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimFilter,
    SearchRequest,
)
from scim2_models.path import CompareOperator, Comparison
from scim2_server.conditions import opaque_tag
from scim2_server.storage import ScimStorage, SearchPage
from scim2_server.utils import parametrize

from service.core.access import Caller
from service.core.directory import Sought
from service.core.errors import KeywrightError
from service.http.scim import groups, users
from service.http.scim.errors import scim_error
from service.keeper.directory import Directory

_LOOKUPS = {
    "User": {"username": "user_name", "externalid": "external_id"},
    "Group": {"displayname": "name", "externalid": "external_id"},
}
"""Attributes, in small letters, that the ledger finds by."""

FURTHEST = 2**31
"""Where a page may begin: no directory has as many, and databases count no further than their numbers go."""


@contextmanager
def _in_its_words() -> Iterator[None]:
    """What the keeper refuses is said as SCIM says it."""
    try:
        yield
    except KeywrightError as error:
        raise scim_error(error) from error


class DirectoryStorage(ScimStorage):
    """The directory, as `caller` may see and change it."""

    def __init__(self, directory: Directory, caller: Caller) -> None:
        self._directory = directory
        self._caller = caller

    @_in_its_words()
    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,  # noqa: ARG002
    ) -> Resource[Any]:
        """By id."""
        if resource_type.id == "User":
            return _resource(users.shown(self._directory.users.get(self._caller, resource_id)))
        return _resource(groups.shown(self._directory.groups.get(self._caller, resource_id)))

    @_in_its_words()
    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """A new one."""
        if resource_type.id == "User":
            made = self._directory.users.add(self._caller, users.wanted(resource, new=True))
            return _resource(users.shown(made))
        return _resource(groups.shown(self._directory.groups.add(self._caller, groups.wanted(resource))))

    @_in_its_words()
    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """All of it, as it is from now on."""
        version = None if expected_version is None else opaque_tag(expected_version)
        which = resource.id or ""
        if resource_type.id == "User":
            user = self._directory.users.change(self._caller, which, users.wanted(resource), version)
            return _resource(users.shown(user))
        group = self._directory.groups.change(self._caller, which, groups.wanted(resource), version)
        return _resource(groups.shown(group))

    @_in_its_words()
    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """It is gone."""
        version = None if expected_version is None else opaque_tag(expected_version)
        if resource_type.id == "User":
            self._directory.users.remove(self._caller, resource_id, version)
        else:
            self._directory.groups.remove(self._caller, resource_id, version)

    @_in_its_words()
    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """A page, by index: users before groups where both are meant, those that were made first before others."""
        if position is not None or search_request.cursor is not None:
            raise NotImplementedException(detail="pages are told by startIndex")
        asked = search_request.filter
        start, count = min(search_request.start_index_0 or 0, FURTHEST), search_request.count
        plain = asked is None and search_request.sort_by is None and len(resource_types) == 1
        if plain:
            total, page = self._read(resource_types[0], Sought("", "", start, count))
            return SearchPage(total, page)
        found: list[Resource[Any]] = []
        for resource_type in resource_types:
            _, some = self._read(resource_type, _sought(resource_type, asked))
            found += some if asked is None else _matching(asked, some)
        if search_request.sort_by is not None:
            found = search_request.sort(found)
        return SearchPage(len(found), found[start:] if count is None else found[start : start + count])

    def _read(self, resource_type: ResourceType, sought: Sought) -> tuple[int, list[Resource[Any]]]:
        if resource_type.id == "User":
            of_users = self._directory.users.find(self._caller, sought)
            return of_users.total, [_resource(users.shown(each)) for each in of_users.items]
        of_groups = self._directory.groups.find(self._caller, sought)
        return of_groups.total, [_resource(groups.shown(each)) for each in of_groups.items]


def _resource(made: Any) -> Resource[Any]:
    return cast(Resource[Any], made)


def _matching(asked: ScimFilter[Any], some: list[Resource[Any]]) -> list[Resource[Any]]:
    """A filter of several types is judged by each type's own attributes: what one lacks matches none of it."""
    if not some:
        return []
    own = parametrize(ScimFilter, type(some[0]))(str(asked))
    return [each for each in some if own.match(each)]


def _sought(resource_type: ResourceType, asked: ScimFilter[Any] | None) -> Sought:
    """What the ledger can find of a filter; what it found is judged by the filter all the same."""
    node = asked.ast if asked is not None else None
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq or not isinstance(node.value, str):
        return Sought()
    path = node.attr_path
    # Beyond ASCII the database's small letters are others than the protocol's.
    if path.sub_attr is not None or path.uri is not None or not node.value.isascii():
        return Sought()
    by = _LOOKUPS[resource_type.id or ""].get(path.attr.lower())
    return Sought(by, node.value) if by else Sought()
