"""Restorations: what is done when the ledger's past may have been lost.

    something shows that events are missing, or an operator says so
        → a restoration begins: no rotation is planned, asked for or claimed, in any process
        → every connection is probed; nothing in a target is changed by it
              pending ──→ fine       the ledger's live credential logs in
                      ├─→ adopted    another one that the ledger has logs in: it is the live one now
                      └─→ stuck      a person must look; held alone when the others are free again
              stuck ────→ settled    somebody put the connection again, with a login that works
        → when nothing is pending the restoration ends

What shows it: a witness outside the ledger that saw an event which the ledger does not hold; a ledger that is
not where it was (`Home`); a target that was shown a higher fencing number than this ledger ever gave out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from service.core.rotation import UNPUBLISHED, Credential, CredentialState, Rotation, Strategy


class Finding(StrEnum):
    """What probing a connection showed."""

    PENDING = "pending"
    FINE = "fine"
    ADOPTED = "adopted"
    STUCK = "stuck"
    SETTLED = "settled"


REJECTED_AT_MOST = 3
"""Passwords of one login that a target may reject in one restoration: servers lock accounts that fail often."""
UNREACHABLE_AT_MOST = 24
"""Tries of a target that does not answer before a person must look: about ten minutes."""
COVERS = timedelta(seconds=10)
"""A restoration that began this long after a point was seen covers what was lost behind that point."""


def rest(attempts: int) -> timedelta:
    """How long to leave a target alone that did not answer so many times: growing, half a minute at most."""
    return timedelta(seconds=min(30.0, 2.0 ** min(attempts, 5)))


@dataclass(frozen=True)
class Point:
    """The end of the chain of events: the last event's number and the chain's hash there, as they were at `at`."""

    seq: int
    hash: bytes
    at: datetime


class Witness(Protocol):
    """Remembers, outside of the ledger, the last event that was seen in it.

    `ledger` is the hash of a ledger's first batch: it tells one ledger from another, and a copy has the same.
    """

    def seen(self, ledger: bytes) -> Point | None:
        """The last point noted for this ledger; None if there is none. Raises Unavailable if it cannot be read."""

    def note(self, ledger: bytes, point: Point) -> None:
        """Remember this point in place of the one before. Raises Unavailable."""


@dataclass(frozen=True)
class Home:
    """Where a ledger in PostgreSQL lives, so far as it can tell itself.

    `system` is the cluster's identifier (initdb gives it), `database` the oid, `timeline` moves with every
    promotion and every recovery to a point in time (PostgreSQL manual, 26.3.6).
    """

    system: str
    database: int
    timeline: int

    def moved_from(self, former: "Home") -> str:
        """A sentence that tells what is different; empty if nothing is.

        A new timeline counts even where replication is synchronous: which standby was promoted cannot be seen
        from inside, and probing costs little.
        """
        if self.system != former.system or self.database != former.database:
            return "the ledger is in another PostgreSQL database than before: it was brought back from a copy, or moved"
        if self.timeline != former.timeline:
            return (
                f"the ledger's PostgreSQL is on timeline {self.timeline} and was on {former.timeline}: it failed over, "
                "or was recovered to an earlier moment"
            )
        return ""


class Replication(StrEnum):
    """How the ledger's PostgreSQL replicates."""

    NONE = "none"  # nobody is attached, or the ledger is embedded
    SYNCHRONOUS = "synchronous"
    ASYNCHRONOUS = "asynchronous"
    UNKNOWN = "unknown"  # the ledger's login may not see


def replication(names: str, standbys: Sequence[tuple[str | None, str | None]]) -> Replication:
    """From `synchronous_standby_names`, and (state, sync_state) of each row of `pg_stat_replication`.

    Without `pg_monitor` the rows are there and their columns are null (PostgreSQL manual, 27.2.4).
    """
    attached = [sync for state, sync in standbys if state not in ("backup", "startup")]
    if not attached:
        return Replication.NONE
    if not names.strip():
        return Replication.ASYNCHRONOUS
    if any(sync in ("sync", "quorum") for sync in attached):
        return Replication.SYNCHRONOUS
    return Replication.UNKNOWN if None in attached else Replication.ASYNCHRONOUS


REPLICATES = {
    Replication.NONE: "",
    Replication.SYNCHRONOUS: "",
    Replication.ASYNCHRONOUS: (
        "the ledger's PostgreSQL has standbys and none of them is synchronous: a fail-over may lose the newest events "
        "and passwords; set synchronous_standby_names"
    ),
    Replication.UNKNOWN: (
        "whether the ledger's PostgreSQL replicates synchronously cannot be seen: GRANT pg_monitor to its login"
    ),
}
"""What is to be said about each, as a sentence; empty if it is well."""


def expected(credentials: Iterable[Credential], rotation: Rotation | None) -> list[Credential]:
    """What the target should accept if the ledger is up to date: the live one, and beside it the candidate that a
    rotation under `single` may have brought into force already. Its own look settles which."""
    held = list(credentials)
    found = [c for c in held if c.state is CredentialState.LIVE]
    if rotation and rotation.strategy is Strategy.SINGLE and rotation.reached in UNPUBLISHED:
        found += [c for c in held if c.id == rotation.candidate_id]
    return found


def beside(credentials: Iterable[Credential], live: Credential, rotation: Rotation | None) -> list[Credential]:
    """Passwords of other logins that the target should accept too, if the ledger is up to date.

    The other login of a pair rests, or drains, with a password that the ledger knows. If that is rejected,
    somebody turned it of whom this ledger knows nothing. What the open rotation may have changed proves nothing.
    """
    held = list(credentials)
    draining = {rotation.former_id} if rotation and not rotation.retiring else set()
    unsure = {rotation.candidate_id, rotation.parking_id} if rotation else set()
    unsure |= {rotation.former_id} if rotation and rotation.retiring else set()
    touched = {c.login_id for c in held if c.id in unsure} | {live.login_id}
    standing = [c for c in held if c.state is CredentialState.RESTING or c.id in draining]
    return [c for c in standing if c.sealed is not None and c.login_id not in touched]


def to_try(credentials: Iterable[Credential], expecting: Sequence[Credential], rejected: set[str]) -> list[Credential]:
    """Which others may be in force, when what was expected is not: the newest first, few of each login.

    `rejected` are the ids of those that the target has rejected already.
    """
    held = [c for c in credentials if c.sealed is not None]
    first = {c.id for c in expecting}
    tried = [c.login_id for c in held if c.id in rejected | first]
    left = {login_id: REJECTED_AT_MOST - tried.count(login_id) for login_id in {c.login_id for c in held}}
    chosen = []
    for credential in sorted(held, key=lambda c: c.created_at, reverse=True):
        if credential.id not in rejected | first and left[credential.login_id] > 0:
            left[credential.login_id] -= 1
            chosen.append(credential)
    return chosen
