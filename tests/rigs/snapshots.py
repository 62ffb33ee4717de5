"""What a service keeps in memory, held against what its ledger has: every test ends with this.

A change that forgets to say what it touched would leave fetches with the former state, and no epoch would tell.
"""

from dataclasses import replace
from typing import Any

from service.core.errors import KeywrightError
from service.keeper.snapshot import Snapshot
from service.ledger import state
from service.wiring import Service


def compare(service: Service) -> None:
    """Fails where the two differ. A ledger that does not answer, or was never looked at, tells nothing."""
    kept = service.keeper.recorder.snapshot
    if kept.epoch is None:
        return
    try:
        service.keeper.recorder.look()
        with service.ledger.read() as tx:
            fresh = Snapshot()
            fresh.take_over(state.read(tx, None))
    except KeywrightError:
        return
    if kept.epoch == fresh.epoch:
        assert content(kept) == content(fresh), "something was changed without a note of it"


def content(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that an answer may depend on."""
    return {
        "environments": snapshot._environments,
        "names": snapshot._names,
        "tokens": {token.id: replace(token, grants=tuple(sorted(token.grants, key=str)))
                   for token in snapshot.tokens.values()},
        "machines": snapshot._machines,
        "users": snapshot.users,
        "groups": snapshot.groups,
        "settings": snapshot.settings,
        "variables": snapshot._variables,
        "by name": {
            (wall, name): variable for wall, inside in snapshot._inside.items()
            for name, variable in inside.variables.items()
        },
        "connections": {
            (wall, name): offered(it)
            for wall, inside in snapshot._inside.items() for name, it in inside.offered.items()
        },
        "connections by id": {each: offered(it) for each, it in snapshot._offered.items()},
    }  # fmt: skip


def offered(it: state.Offering) -> dict[str, Any]:
    """Of a connection and its rotation what is answered, or decides what is answered."""
    stored, rotation = it.connection, it.rotation
    turning = rotation and (rotation.strategy, rotation.reached, rotation.candidate_id, rotation.not_before)
    return {
        "connection": (stored.id, stored.name, stored.definition, stored.policy, stored.generation, stored.revision),
        "next due": stored.next_due_at,
        "credentials": it.credentials,
        "rotation": turning,
    }
