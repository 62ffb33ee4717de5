"""Approvals: asked for, decided on by somebody else, applied by who asked. What is guarded, and how: `guard.py`.

    who asks      a person who may do it, but for the approval: its request was done, judged and undone before
    who decides   another person, who owns what it is about, and showed a second factor lately
    who applies   the one who asked, with the grants of that moment; the request that was kept, and no other

Whoever is neither sees nothing of it.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from service.core.access import Caller, CurrentUser, Level, Thing
from service.core.approval import (
    GUARDED,
    LONGEST_NOTE,
    REVEALED_WITHIN,
    Approval,
    Carried,
    Changed,
    Kept,
    Need,
    State,
    reason,
    summary,
)
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Often
from service.core.event import Detail, fit
from service.core.keyring import SYSTEM
from service.core.sealed import approval_context
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.guard import Guard
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls
from service.ledger import approvals, environments, users
from service.ledger.ledger import Transaction

MOST = 100
"""Of one person's, open at once."""


class Approvals:
    """Operations on approvals."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, guard: Guard) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._guard = guard

    def ask(self, caller: Caller, need: Need, kept: Kept, why: str) -> Approval:
        """Ask for what a request needs, as the guard told it. Raises Invalid, Forbidden, Often."""
        user, said = _person(caller), reason(why)
        approval_id = self._door.new_id()

        def act(tx: Transaction) -> Approval:
            approvals.sweep(tx, 50)
            if approvals.waiting(tx, user.id) >= MOST:
                raise Often(f"{MOST} approvals of yours are open, which is the most: withdraw some")
            before, after = self._likenesses(tx, need)
            told_once = tuple(Changed(_named(thing), secret=True) for thing in need.things)
            lines = summary(before, after) if need.action in GUARDED else told_once
            told = {"request": vars(kept), "before": before, "after": after}
            sealed = self._keyrings.sealer(tx, SYSTEM).seal(
                Secret(json.dumps(told)), approval_context(SYSTEM, approval_id), self._door.randomness
            )
            new = Approval(
                approval_id,
                need.environment_id,
                need.environment,
                need.action,
                need.resource,
                need.things,
                lines,
                said,
                user.id,
                user.email,
                State.ASKED,
                "",
                tx.now + need.lasts,
                tx.now,
                sealed=sealed,
            )
            approvals.add(tx, new)
            return new

        detail: dict[str, Detail] = {"approval": approval_id, "of": need.action, "reason": said}
        deed = Deed("approval.asked", need.environment, need.resource, detail)
        return self._door.change(replace(caller, asks=False), deed, act)

    def _likenesses(self, tx: Transaction, need: Need) -> tuple[dict[str, object], dict[str, object]]:
        if need.action not in GUARDED:
            return {}, {}
        about = GUARDED[need.action].about
        return self._guard.likenesses.of(tx, about, need.environment_id, need.resource), dict(need.after)

    def listed(
        self, caller: Caller, environment: str | None, states: Iterable[State], after: str, limit: int
    ) -> list[Approval]:
        """One's own, and those that one could decide on, the youngest first. Raises Absent, Forbidden."""
        wanted = tuple(states)

        def evaluate(tx: Transaction) -> list[Approval]:
            wall = self._walls.enter(tx, caller, environment) if environment else None
            seen: list[Approval] = []
            position = after
            while len(seen) < limit:
                page = approvals.listed(tx, wall.id if wall else None, wanted, position, limit)
                seen += [it for it in page if self._sees(caller, it)]
                if len(page) < limit:
                    break
                position = page[-1].id
            return seen[:limit]

        return self._door.fetch(caller, Deed("approval.list", environment or ""), evaluate)

    def get(self, caller: Caller, approval_id: str) -> Approval:
        """One. Raises Absent."""
        deed = Deed("approval.get", resource=approval_id)
        return self._door.fetch(caller, deed, lambda tx: self._found(tx, caller, approval_id, deed))

    def peek(self, caller: Caller, approval_id: str) -> Approval:
        """As `get`, for whoever waits for it: evaluated, not recorded again."""
        deed = Deed("approval.get", resource=approval_id)
        return self._door.poll(caller, deed, lambda tx: self._found(tx, caller, approval_id, deed))

    def decide(self, caller: Caller, approval_id: str, *, agrees: bool, note: str = "") -> Approval:
        """Agree, or refuse. Raises Invalid, Absent, Forbidden (one's own, a factor is needed), Conflict."""
        if len(note) > LONGEST_NOTE or fit(note) != note:
            raise Invalid(f"note: {LONGEST_NOTE} characters on one line are the most", field="note")
        state = State.APPROVED if agrees else State.REFUSED

        def act(tx: Transaction) -> Approval:
            it = self._found(tx, caller, approval_id, deed)
            user = _person(caller)
            if it.asked_by == user.id:
                raise Forbidden("nobody decides on what they asked for themselves: somebody else has to")
            if not _owns(caller, it.things):
                raise Forbidden(f"approval {it.id}: this needs the grant 'own' on all that it is about")
            require_fresh(tx, caller, "deciding on an approval")
            asker = users.get(tx, it.asked_by)
            if agrees and (asker is None or not asker.enabled):
                raise Conflict(f"{it.asked_by_name}, who asked for it, is disabled")
            values: dict[str, object] = {"decided_by": user.id, "decided_at": tx.now, "note": note}
            if agrees and it.reveals:
                values["expires_at"] = min(it.expires_at, tx.now + REVEALED_WITHIN)
            approvals.move(tx, it, state, **values)
            return self._again(tx, it)

        deed = Deed("approval.decided", resource=approval_id, detail={"decision": state.value})
        return self._door.change(caller, deed, act)

    def withdraw(self, caller: Caller, approval_id: str) -> Approval:
        """Who asked wants it no more. Raises Absent, Forbidden, Conflict."""

        def act(tx: Transaction) -> Approval:
            it = self._own(tx, caller, approval_id, deed)
            approvals.move(tx, it, State.WITHDRAWN)
            return self._again(tx, it)

        deed = Deed("approval.withdrawn", resource=approval_id)
        return self._door.change(caller, deed, act)

    def applied(self, caller: Caller, approval_id: str) -> tuple[Approval, Kept, Carried]:
        """Begin to apply one: the request to repeat, and what lets its caller do it.

        A change moves it on when it is done. A reveal is used up here, so that it is told once, whatever becomes of
        it. Raises Absent, Forbidden, Conflict.
        """
        deed = Deed("approval.applied", resource=approval_id)

        def act(tx: Transaction) -> tuple[Approval, Kept, Carried]:
            it = self._own(tx, caller, approval_id, deed)
            it.require_move(State.APPLIED)
            kept = _kept(self._guard.opened(tx, it))
            carried = Carried(it.id, it.action, it.environment_id, it.resource, it.decided_by, frozenset(it.things))
            if it.reveals:
                self._guard.still_owned(tx, it)
                approvals.move(tx, it, State.APPLIED, applied_at=tx.now)
            return it, kept, carried

        found = self._door.poll(caller, deed, lambda tx: self._own(tx, caller, approval_id, deed))
        if found.reveals:
            return self._door.change(caller, deed, act)
        return self._door.poll(caller, deed, act)

    def failed(self, caller: Caller, approval_id: str, why: str) -> None:
        """It cannot be done, or not any more: it must be asked for again. Nothing, where it was applied after all."""

        def act(tx: Transaction) -> None:
            it = self._own(tx, caller, approval_id, deed)
            approvals.move(tx, it, State.FAILED, note=why[:LONGEST_NOTE])

        deed = Deed("approval.failed", resource=approval_id)
        if self._door.look(lambda tx: self._own(tx, caller, approval_id, deed)).state is State.APPROVED:
            self._door.change(caller, deed, act)

    # -- who may

    def _found(self, tx: Transaction, caller: Caller, approval_id: str, deed: Deed) -> Approval:
        it = approvals.find(tx, approval_id)
        if it is None or not self._sees(caller, it):
            raise Absent(f"approval {approval_id[:64]} does not exist")
        self._walls.judge(environments.get(tx, it.environment_id), caller, it.environment)
        deed.environment, deed.resource = it.environment, it.resource
        deed.detail |= {"approval": it.id, "of": it.action}
        return it

    def _own(self, tx: Transaction, caller: Caller, approval_id: str, deed: Deed) -> Approval:
        it = self._found(tx, caller, approval_id, deed)
        if caller.user is None or it.asked_by != caller.user.id:
            raise Forbidden(f"approval {it.id} was asked for by somebody else")
        return it

    def _sees(self, caller: Caller, it: Approval) -> bool:
        mine = caller.user is not None and it.asked_by == caller.user.id
        return self._walls.serves(it.environment) and (mine or _owns(caller, it.things))

    @staticmethod
    def _again(tx: Transaction, it: Approval) -> Approval:
        return approvals.find(tx, it.id) or it


def _person(caller: Caller) -> CurrentUser:
    if caller.user is None:
        raise Forbidden("only people ask for approvals and decide on them; machines are judged by their grants")
    return caller.user


def _owns(caller: Caller, things: Iterable[Thing]) -> bool:
    return all(caller.level(thing) is Level.OWN for thing in things)


def _named(thing: Thing) -> str:
    return f"{thing.kind.value} {thing.path}".strip()


def _kept(told: dict[str, object]) -> Kept:
    request = told["request"]
    assert isinstance(request, dict)  # sealed so by `ask`  # noqa: S101
    headers = tuple((str(name), str(value)) for name, value in request["headers"])
    return Kept(request["method"], request["path"], request["query"], headers, request["body"])
