"""The administration login while it is turned itself: which of its passwords to try, and in which order.

    no open rotation         live                  then draining
    staged, announced        live, then candidate  the target may have taken the candidate in this very moment
    applied, verified        candidate, then live  (`single`: the candidate is in force, unless it is being undone)
    published and later      live, then draining   (live is what was the candidate)

Under `alternating` and `overlapping` the live one works at every instant; the candidate is not tried.
"""

from collections.abc import Callable, Iterable, Sequence

from service.core.connection import Accepted, Access, Probe
from service.core.rotation import Credential, CredentialState, Rotation, Stage, Strategy

MOST_WAYS = 3
"""Wrong passwords count against a login in some servers: more than so many are never tried in a row."""


def in_order(credentials: Iterable[Credential], rotation: Rotation | None) -> tuple[Credential, ...]:
    """Those of an administration connection that may work now, the likeliest first; `rotation` is its open one."""
    known = tuple(credentials)
    live = [c for c in known if c.state is CredentialState.LIVE]
    single = rotation is not None and rotation.strategy is Strategy.SINGLE
    upcoming = [c for c in known if single and rotation and c.id == rotation.candidate_id and c not in live]
    turned = rotation is not None and rotation.reached in (Stage.APPLIED, Stage.VERIFIED)
    first = [*upcoming, *live] if turned else [*live, *upcoming]
    draining = [c for c in known if c.state is CredentialState.DRAINING and c not in first]
    return tuple([*first, *draining][:MOST_WAYS])


def admitted(tried: Callable[[Access, Sequence[Access]], Probe], ways: Sequence[Access]) -> Access | None:
    """The first that the target accepts; the first of all if it accepts none; None if there is none.

    One way alone is not tried beforehand: whoever uses it learns the same.
    """
    if len(ways) > 1:
        for way in ways:
            if isinstance(tried(way, ways), Accepted):
                return way
    return ways[0] if ways else None
