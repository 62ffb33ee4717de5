"""Reversal: before a pointer is turned back, the former credential is seen to log in.

It is asked outside of any transaction; whoever turns the pointer evaluates everything again inside of one.
"""

from service.core.connection import Accepted, NotPermitted, Rejected, Unreachable
from service.core.errors import ChangeUnreachable, Conflict
from service.core.rotation import Rotation
from service.keeper.briefs import Briefs
from service.keeper.budget import Budget
from service.keeper.door import Door


class Reversal:
    """Looks at the targets of rotations."""

    def __init__(self, door: Door, briefs: Briefs, budget: Budget) -> None:
        self._door = door
        self._briefs = briefs
        self._budget = budget

    def require(self, rotation: Rotation) -> None:
        """See that the former credential logs in wherever it must.

        Raises Conflict if an endpoint refuses it, ChangeUnreachable if that cannot be told, key errors.
        """
        access = self._door.look(lambda tx: self._briefs.former(tx, rotation))
        if access is None:
            raise Conflict(f"rotation {rotation.id} has no former password to go back to; rotate again instead")
        username = access.account.username
        for endpoint in access.target.endpoints:
            match self._budget.probe(access, endpoint):
                case Accepted():
                    pass
                case _ if not endpoint.required:
                    pass
                case Unreachable(reason):
                    raise ChangeUnreachable(
                        f"{endpoint} cannot be reached, so nobody knows whether {username} still logs in there "
                        f"({reason}); nothing was changed"
                    )
                case Rejected(reason) | NotPermitted(reason):
                    raise Conflict(
                        f"{endpoint} does not accept the former credential of {username} any more ({reason}): going "
                        "back would lock applications out; rotate again instead"
                    )
