"""`sys/health`, `sys/seal-status` and their like: for machines that watch. They need no caller and tell nothing else.

The cluster is the ledger: every instance on it tells the same `cluster_id`, made of the keyed hash that the chain of
events begins with. A sealed one does not tell it, as Vault's do not.

An instance whose ledger does not record is told as sealed: it answers nothing until that is mended, and who balances
load looks for just that.
"""

import uuid
from datetime import UTC, datetime

from anyio import to_thread

from service.core.errors import KeywrightError
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask
from service.http.vault.errors import Refused
from service.http.vault.mounts import NAMESPACES
from service.keeper.keeper import Keeper

_NAME = "keywright"


async def health(ask: Ask) -> Answer:
    """The state, with the status that the query names for it: `activecode`, `sealedcode`. Raises Refused.

    There are no standbys here, so `standbyok`, `standbycode` and the others decide nothing.
    """
    codes = {name: _code(ask, name) for name in _CODES}
    cluster = await _cluster(ask)
    status = codes["sealedcode"] if cluster is None else codes["activecode"]
    return told(
        {
            "initialized": True,
            "sealed": cluster is None,
            "standby": False,
            "performance_standby": False,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": int(datetime.now(UTC).timestamp()),
            "version": ask.version,
            "cluster_name": _NAME,
            **(cluster or {}),
        },
        status=status,
        bare=True,
    )


_CODES = {
    "activecode": 200,
    "standbycode": 429,
    "drsecondarycode": 472,
    "performancestandbycode": 473,
    "sealedcode": 503,
    "uninitcode": 501,
}


async def seal_status(ask: Ask) -> Answer:
    """Whether it is sealed, in the words of a seal with one share. There is none: see `docs/vault.md`."""
    cluster = await _cluster(ask)
    return told(
        {
            "type": "shamir",
            "initialized": True,
            "sealed": cluster is None,
            "t": 1,
            "n": 1,
            "progress": 0,
            "nonce": "",
            "recovery_seal": False,
            "version": ask.version,
            "migration": False,
            "cluster_name": _NAME,
            **(cluster or {}),
            "storage_type": "keywright",
        },
        bare=True,
    )


async def _cluster(ask: Ask) -> dict[str, str] | None:
    """Which ledger this instance answers from; None, if that does not record."""
    state = ask.request.app.state
    keeper: Keeper = state.keeper

    def look() -> bytes | None:
        keeper.restorations.held_now()  # reads the ledger each time
        return keeper.past.beginning()

    try:
        beginning = await to_thread.run_sync(look, limiter=state.probes)
    except KeywrightError:
        return None
    if not keeper.recorder.records:
        return None
    return {"cluster_id": str(uuid.uuid5(NAMESPACES, beginning.hex()))} if beginning else {}


def _code(ask: Ask, name: str) -> int:
    said = ask.query(name)
    if not said:
        return _CODES[name]
    if not (said.isascii() and said.isdecimal() and 200 <= int(said[:4]) <= 599):
        raise Refused(400, f"bad value for {name}")
    return int(said)
