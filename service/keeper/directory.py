"""The directory that identity providers keep by SCIM: who may, and the two halves of it.

    users   `directory_users.py`     those that are provisioned
    groups  `directory_groups.py`    those that are provisioned, and the members that SCIM put into them

It takes *own* on people, and no person: whoever speaks SCIM puts anybody into provisioned groups, whatever those were
given, and so only who owns everything gives *own* on people to a token or a machine. Whatever else there is (users and
groups made by hand, users for emergencies, memberships by hand, grants) is absent here, so that whoever holds the token
of an identity provider raises nobody beyond what provisioned groups were given.
"""

from service.keeper.directory_groups import DirectoryGroups
from service.keeper.directory_users import DirectoryUsers
from service.keeper.door import Door


class Directory:
    """Operations of SCIM."""

    def __init__(self, door: Door) -> None:
        self.users = DirectoryUsers(door)
        self.groups = DirectoryGroups(door)
