"""A mount of databases: connections as static roles, read, listed and rotated. They are defined at the native door."""

from service.core.errors import Absent, Unavailable
from service.core.rotation import Stage
from service.core.token import masked
from service.http.peer import peer_of
from service.http.rotations import DONE
from service.http.vault import static
from service.http.vault.answer import NOTHING, Answer, moment, told
from service.http.vault.ask import Ask, Operation, aside
from service.http.vault.errors import Refused, Unsupported, unsupported_path
from service.http.vault.listing import listed
from service.http.vault.mounts import Mount, Place
from service.http.waiting import Changes
from service.keeper.rotations import Story
from service.keeper.snapshot import key_of_rotation

WAITS = 25.0
"""Seconds that a rotation is waited for: clients give up after 30 or 60."""
PATHS = ("static-creds", "static-roles", "rotate-role")


async def answer(ask: Ask, mount: Mount, rest: str) -> Answer:
    """What is asked behind the mount. Raises KeywrightError."""
    kind, _, behind = rest.partition("/")
    if kind not in PATHS:
        raise unsupported_path()
    place = mount.place(behind, ask.namespace)
    match kind, ask.operation:
        case "static-creds", Operation.READ:
            return await _credential(ask, place, behind)
        case "static-roles", Operation.LIST:
            return await listed(ask, place, connections=True)
        case "static-roles", Operation.READ:
            return await _role(ask, place)
        case "static-roles", _:
            raise Refused(
                400, "connections are defined at Keywright's own door: PUT /api/v1/environments/…/connections/…"
            )
        case "rotate-role", Operation.WRITE:
            return await _rotated(ask, place)
    raise Unsupported


async def _credential(ask: Ask, place: Place, name: str) -> Answer:
    try:
        found = await ask.fetch(ask.keeper.credentials.asked(ask.who, place.environment, place.name))
    except Absent:
        raise Refused(400, f"unknown role: {masked(name)}") from None
    leases: bool = ask.request.app.state.leases
    return static.answered(found, leases=leases)


async def _role(ask: Ask, place: Place) -> Answer:
    if not place.name:
        raise Absent("a role is a connection in an environment")
    found = await aside(ask.keeper.connections.get, await ask.caller(), place.environment, place.name)
    login = found.logins[0] if found.logins else ""
    return told(
        {
            "credential_type": "password",
            "db_name": found.target.database,
            "last_vault_rotation": moment(found.published_at),
            **static.period(found.policy.schedule if found.policy else None),
            "rotation_statements": [],
            "username": login,
        }
    )


async def _rotated(ask: Ask, place: Place) -> Answer:
    """Rotate now, and wait until applications have their new credential. Raises Refused, Forbidden, Conflict."""
    caller, keeper, state = await ask.caller(), ask.keeper, ask.request.app.state
    try:
        story, _ = await aside(keeper.rotations.ask, caller, place.environment, place.name, "rotate-role")
    except Absent:
        raise Refused(400, "no static role found for role name") from None
    state.poke()
    rotation_id = story.rotation.id
    changes: Changes = state.changes

    async def look() -> Story:
        return await aside(keeper.rotations.peek, await ask.fetching.caller(ask.who), rotation_id)

    latest = await changes.until(
        {key_of_rotation(rotation_id)},
        look,
        lambda seen: seen.rotation.stage in DONE,
        WAITS,
        peer_of(ask.request.scope),
    )
    if latest.rotation.stage in (Stage.STUCK, Stage.ABANDONED):
        raise Unavailable(f"rotation {rotation_id} is {latest.rotation.stage.value}: {latest.rotation.reason}")
    if latest.rotation.stage not in DONE:
        return Answer(warnings=(f"rotation {rotation_id} goes on: it is {latest.rotation.stage.value}",))
    return NOTHING
