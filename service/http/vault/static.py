"""A connection's credential as a static role's: what `static-creds` answers.

ttl              seconds until it should be asked for again: the next rotation, or the end of what is promised of this
                 password (`good_until`), whichever comes first. Clients sleep a second longer, so that is taken off;
                 and since 0 would have them ask at once, it is 1 at the least.
rotation_period  seconds between two rotations; 0 where that is not regular
"""

from datetime import timedelta

from service.core.schedule import Schedule
from service.http.vault.answer import Answer, enveloped, moment, text_of
from service.keeper.credentials import Credential

_SECOND = timedelta(seconds=1)


def answered(it: Credential, *, leases: bool) -> Answer:
    """The best entry of the set. With `leases` its ttl is told as `lease_duration` as well."""
    data, ttl = _told(it)
    return Answer(data, lease_duration=ttl if leases else 0)


def text(it: Credential, request_id: str, *, leases: bool) -> str:
    """The same as it is sent."""
    data, ttl = _told(it)
    return enveloped(request_id, data, ttl if leases else 0)


def period(schedule: Schedule | None) -> dict[str, object]:
    """When it turns."""
    every = schedule.every if schedule else None
    told: dict[str, object] = {"rotation_period": int(every.total_seconds()) if every else 0}
    if schedule and schedule.cron:
        told["rotation_schedule"] = schedule.cron
    return told


def _told(it: Credential) -> tuple[str, int]:
    best = it.entries[0]
    ends = min(best.good_until, it.rotates_at or best.good_until)
    ttl = max((ends - it.at) // _SECOND - 1, 1)
    data = {
        "last_vault_rotation": moment(best.valid_from),
        "password": best.account.password.reveal(),
        **period(it.schedule),
        "ttl": ttl,
        "username": best.account.username,
    }
    return text_of(data), ttl
