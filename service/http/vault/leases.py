"""`sys/leases/…`: there are none, and whoever asks for one is told so as Vault tells it of one that is gone."""

from service.core.errors import Absent
from service.http.vault.answer import NOTHING, Answer
from service.http.vault.ask import Ask, Operation
from service.http.vault.errors import Refused, Unsupported, unsupported_path

KINDS = ("lookup", "renew", "revoke", "revoke-prefix", "revoke-force")


async def answer(ask: Ask, rest: str) -> Answer:
    """What is asked behind `sys/leases/`. Raises KeywrightError."""
    kind, _, named = rest.partition("/")
    if kind not in KINDS:
        raise unsupported_path()
    if kind == "lookup" and ask.operation is Operation.LIST:
        raise Absent("there are no leases")
    if ask.operation is not Operation.WRITE:
        raise Unsupported
    if not named and not (await ask.body()).get("lease_id"):
        raise Refused(400, "lease_id must be specified")
    if kind == "lookup":
        raise Refused(400, "invalid lease")
    if kind == "renew":
        raise Refused(400, "lease not found")
    return NOTHING  # it is of no use any more
