"""`sys/health`, `sys/seal-status` and their like: for machines that watch. They need no caller and tell nothing else.

An instance whose ledger does not record is told as sealed: it answers nothing until that is mended, and who balances
load looks for just that.
"""

from datetime import UTC, datetime

from anyio import to_thread

from service.core.errors import KeywrightError
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask
from service.http.vault.errors import Refused

_NAME = "keywright"


async def health(ask: Ask) -> Answer:
    """The state, with the status that the query names for it: `activecode`, `sealedcode`. Raises Refused.

    There are no standbys here, so `standbyok`, `standbycode` and the others decide nothing.
    """
    codes = {name: _code(ask, name) for name in _CODES}
    sealed = not await _records(ask)
    status = codes["sealedcode"] if sealed else codes["activecode"]
    return told(
        {
            "initialized": True,
            "sealed": sealed,
            "standby": False,
            "performance_standby": False,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": int(datetime.now(UTC).timestamp()),
            "version": ask.request.app.version,
            "cluster_name": _NAME,
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
    return told(
        {
            "type": "shamir",
            "initialized": True,
            "sealed": not await _records(ask),
            "t": 1,
            "n": 1,
            "progress": 0,
            "nonce": "",
            "recovery_seal": False,
            "version": ask.request.app.version,
            "build_date": "",
            "migration": False,
            "cluster_name": _NAME,
            "storage_type": "keywright",
        },
        bare=True,
    )


async def _records(ask: Ask) -> bool:
    state = ask.request.app.state
    try:
        await to_thread.run_sync(state.keeper.restorations.held_now, limiter=state.probes)
        return bool(state.keeper.recorder.records)
    except KeywrightError:
        return False


def _code(ask: Ask, name: str) -> int:
    said = ask.query(name)
    if not said:
        return _CODES[name]
    if not (said.isascii() and said.isdecimal() and 200 <= int(said[:4]) <= 599):
        raise Refused(400, f"bad value for {name}")
    return int(said)
