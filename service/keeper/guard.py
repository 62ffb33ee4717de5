"""The guard: what a person does in an environment that asks for a second one is undone until somebody agreed.

a change    is done in its transaction, and then judged: by what it did, in which environments, and by what those
            asked for before it. So all that may be refused is refused first, and whatever door it came through
a reveal    is judged by `reveal`, where a fetch knows which secrets it would tell

asked of nobody but people            machines and the scheduler are judged by their grants
not needed                            the environment does not ask for it
break-glass                           its holder goes without, but for what would outlast it (grants, tokens,
                                      machines, the environment's own rules); every event says so
an approval that is applied           its state moves in the same transaction, once; what stands before and after
                                      must be what was agreed to
else                                  ApprovalNeeded, and nothing was done
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.core.access import Caller, Grant, Kind, Level, Thing
from service.core.approval import GUARDED, About, Approval, Area, Guarded, Need, State, broken
from service.core.environment import Environment
from service.core.errors import ApprovalNeeded, Conflict
from service.core.event import Detail
from service.core.keyring import SYSTEM
from service.core.person import Group
from service.core.sealed import approval_context
from service.core.secret import Secret
from service.keeper.door import Deed
from service.keeper.keys import Keyrings
from service.keeper.likeness import Likeness, Likenesses
from service.keeper.snapshot import person
from service.keeper.standing import ruled_inside
from service.keeper.walls import of_connection, of_environment, of_variable
from service.ledger import approvals, environments, groups, machines, tokens, users
from service.ledger.ledger import Transaction

HOW = (
    "repeat the same request with the headers `Keywright-Approval: ask` and `Keywright-Reason`; where that cannot "
    "wait, take break-glass"
)
NOT_NEEDED = "nobody has to agree to this: do it without asking"
_LETS_IN = {"enabled", "emergency", "email", "attributes"}
"""What an event of `user.change` tells of, if it could let in somebody else, or bring a rule into force."""
_DRIFTED = "what was agreed to is not what would be done now, since something changed meanwhile: ask again"


@dataclass(frozen=True)
class Before:
    """How things are before a change: what environments ask for, and of an approval what it was agreed on."""

    walls: Mapping[str, Environment] = field(default_factory=dict)
    approval: Approval | None = None
    likeness: Likeness = field(default_factory=dict)


class Guard:
    """Judges changes. Also for whoever keeps approvals."""

    def __init__(self, keyrings: Keyrings, likenesses: Likenesses) -> None:
        self._keyrings = keyrings
        self.likenesses = likenesses

    def before(self, tx: Transaction, caller: Caller) -> Before:
        """See `door.Guard`. Raises Conflict for an approval that cannot be applied."""
        if caller.user is None:
            return Before()
        walls = {wall.id: wall for wall in environments.read(tx)}
        if caller.carries is None:
            return Before(walls)
        approval = approvals.find(tx, caller.carries.id)
        if approval is None or approval.asked_by != caller.user.id or approval.action not in GUARDED:
            raise Conflict("there is no such approval of yours")
        approval.require_move(State.APPLIED)
        self.still_owned(tx, approval)
        about = GUARDED[approval.action].about
        return Before(walls, approval, self.likenesses.of(tx, about, approval.environment_id, approval.resource))

    def foresee(self, tx: Transaction, caller: Caller, deed: Deed, changes: Mapping[str, object]) -> None:
        """See `door.Guard`. Secrets in `changes` are told as such."""
        if caller.user is None:
            return
        before, rule = self.before(tx, caller), GUARDED[deed.action]
        walls = _held_up(tx, deed, rule, before.walls)
        if not walls or all(broken(wall.glasses, caller.user.id, tx.now) for wall in walls):
            return
        told = {what: self._told(value) for what, value in changes.items()}
        need = self._need(tx, deed, rule, walls)
        need = replace(need, after={**need.after, **told})
        if before.approval is None:
            raise ApprovalNeeded(_said(need), need)
        self._agreed(tx, before.approval, before.likeness, need)

    def _told(self, value: object) -> object:
        return self.likenesses.digest(value.reveal()) if isinstance(value, Secret) else value

    def judge(self, tx: Transaction, caller: Caller, deeds: Sequence[Deed], before: Before) -> None:
        """See `door.Guard`."""
        if caller.user is None:
            return
        applied = False
        for deed in deeds:
            rule = GUARDED.get(deed.action)
            walls = _held_up(tx, deed, rule, before.walls) if rule else []
            glasses = [broken(wall.glasses, caller.user.id, tx.now) for wall in walls]
            if rule is None or not walls:
                continue
            if all(glasses) and not rule.lasting:
                deed.detail["break_glass"] = " ".join(glass.id for glass in glasses if glass)
                continue
            need = self._need(tx, deed, rule, walls)
            if before.approval is None or applied:
                raise ApprovalNeeded(_said(need), need)
            self._agreed(tx, before.approval, before.likeness, need)
            approvals.move(tx, before.approval, State.APPLIED, applied_at=tx.now)
            deed.detail |= {"approval": before.approval.id, "approved_by": before.approval.decided_by}
            applied = True
        if caller.asks:
            raise Conflict(NOT_NEEDED)
        if before.approval and not applied:  # needed no more since it was asked for; it is used up all the same
            approvals.move(tx, before.approval, State.APPLIED, applied_at=tx.now)

    def _need(self, tx: Transaction, deed: Deed, rule: Guarded, walls: Sequence[Environment]) -> Need:
        wall = walls[0]
        after = self.likenesses.of(tx, rule.about, wall.id, deed.resource)
        after |= self.likenesses.whom(tx, rule.about, deed.resource)
        things = tuple(_thing(each, rule.about, deed.resource) for each in walls)
        lasts = min(each.approvals.lasts for each in walls)
        return Need(deed.action, wall.id, wall.name, deed.resource, things, lasts, after)

    def _agreed(self, tx: Transaction, approval: Approval, before: Likeness, need: Need) -> None:
        """Raises Conflict for what is not what was agreed to."""
        agreed = self.opened(tx, approval)
        same = (approval.action, approval.environment_id, approval.resource, frozenset(approval.things))
        if same != (need.action, need.environment_id, need.resource, frozenset(need.things)):
            raise Conflict(_DRIFTED)
        same_end = GUARDED[need.action].foreseen or agreed["after"] == _plain(need.after)
        if agreed["before"] != _plain(before) or not same_end:
            raise Conflict(_DRIFTED)

    @staticmethod
    def still_owned(tx: Transaction, approval: Approval) -> None:
        """Whoever agreed must still be somebody who may. Raises Conflict."""
        approver = users.get(tx, approval.decided_by)
        held = person(approver, _groups(tx)).grants if approver and approver.enabled else None
        # Rules are not looked at: they held when it was decided, for a request that is over.
        if held is None or any(held.level(thing, lambda _: True) is not Level.OWN for thing in approval.things):
            raise Conflict("who agreed to this does not own what it is about any more: ask again")

    def opened(self, tx: Transaction, approval: Approval) -> dict[str, object]:
        """What was sealed of it: the request, and how it is before and after. Raises Conflict: it is gone."""
        if approval.sealed is None:
            raise Conflict(f"approval {approval.id} is {approval.state.value}")
        ring = self._keyrings.opener(tx, SYSTEM, approval.sealed)
        text = ring.unseal(approval.sealed, approval_context(SYSTEM, approval.id))
        found: dict[str, object] = json.loads(text.reveal())
        return found


def reveal(
    wall: Environment, caller: Caller, now: datetime, action: str, resource: str, things: Iterable[Thing]
) -> dict[str, Detail]:
    """May this person be told these secrets now? What its event is to say of by what right.

    Raises ApprovalNeeded; Conflict for who asks where nobody has to agree.
    """
    if caller.user is None:
        return {}
    told = tuple(things)
    glass = broken(wall.glasses, caller.user.id, now)
    if not told or Area.REVEALS not in wall.approvals.areas or glass:
        if caller.asks:
            raise Conflict(NOT_NEEDED)
        return {"break_glass": glass.id} if glass and told else {}
    carried = caller.carries
    mine = carried and (carried.action, carried.environment_id, carried.resource) == (action, wall.id, resource)
    if carried and mine and carried.things.issuperset(told):
        return {"approval": carried.id, "approved_by": carried.approved_by}
    need = Need(action, wall.id, wall.name, resource, told, wall.approvals.lasts)
    raise ApprovalNeeded(f"to be told secrets of {wall.name}, somebody else has to agree: {HOW}", need)


def _said(need: Need) -> str:
    return f"{need.action} in {need.environment} needs somebody else to agree: {HOW}"


def _plain(told: Mapping[str, object]) -> object:
    """As it comes back from JSON."""
    return json.loads(json.dumps(told))


def _areas(deed: Deed, rule: Guarded) -> frozenset[Area]:
    if deed.action == "variable.put" and deed.detail.get("plain"):
        return rule.areas | {Area.REVEALS}  # what was secret, or is read of a store, would be told to everybody
    if deed.action == "user.change" and not (_LETS_IN & {what for what, told in deed.detail.items() if told}):
        return frozenset()
    if deed.action == "group.change" and not deed.detail.get("new_name"):
        return frozenset()
    changed = str(deed.detail.get("changed", "")).split()
    if deed.action == "connection.put" and changed and changed != ["new"]:
        of_policy = [part.startswith("rotation.") for part in changed]
        policies = {Area.POLICIES} if any(of_policy) else set()
        return frozenset(policies | (set() if all(of_policy) else {Area.CONNECTIONS}))
    return rule.areas


def _held_up(tx: Transaction, deed: Deed, rule: Guarded, walls: Mapping[str, Environment]) -> list[Environment]:
    """The environments that ask for a second person in what was done, as they were before it."""
    areas = _areas(deed, rule)
    asking = [wall for wall in walls.values() if wall.approvals.areas & areas]
    if not asking:
        return []
    if rule.about in (About.TOKEN, About.MACHINE, About.USER, About.GROUP):
        reached = {grant.environment_id for grant in _held(tx, rule.about, deed.resource)}
        if rule.about is About.GROUP:
            reached |= {grant.environment_id for grant in _by_rules(tx, deed)}
    elif rule.about is About.EVERYTHING or (rule.about is About.GRANT and not deed.environment):
        reached = {""}
    else:
        return [wall for wall in asking if wall.name == deed.environment]
    return [wall for wall in asking if "" in reached or wall.id in reached]


def _held(tx: Transaction, about: About, name: str) -> Iterable[Grant]:
    """What somebody holds. A grant that lies in no environment reaches all of them: who may add to machines, people
    or settings can become somebody who reaches further."""
    match about:
        case About.TOKEN:
            token = tokens.named(tx, name) or tokens.find(tx, name)
            return token.grants if token else ()
        case About.MACHINE:
            machine = machines.find(tx, name)
            return machine.grants if machine else ()
        case About.USER:
            user = users.get(tx, name)
            return person(user, _groups(tx)).grants if user else ()
        case _:
            known = _groups(tx)
            group = known.get(name)
            ahead = [member.group_id for member in group.parents] if group else []
            seen = {name}
            held = list(group.grants) if group else []
            while ahead:
                each = ahead.pop()
                if each not in seen and (above := known.get(each)):
                    seen.add(each)
                    held += above.grants
                    ahead += [member.group_id for member in above.parents]
            return held


def _by_rules(tx: Transaction, deed: Deed) -> Iterable[Grant]:
    """What somebody in the group, or who joined it, holds by rules: they may ask in which groups one is."""
    member = str(deed.detail.get("member_id", ""))
    if user := users.get(tx, member):
        return (grant for grant in person(user, _groups(tx)).grants if grant.rule)
    return ruled_inside(tx, member or deed.resource)


def _groups(tx: Transaction) -> dict[str, Group]:
    return {group.id: group for group in groups.read(tx)}


def _thing(wall: Environment, about: About, resource: str) -> Thing:
    """What somebody must own to agree."""
    match about:
        case About.VARIABLE:
            return of_variable(wall, resource)
        case About.CONNECTION:
            return of_connection(wall, resource)
        case About.FOLDER if resource:
            return Thing(Kind.FOLDER, wall.id, resource)
        case _:
            return of_environment(wall)
