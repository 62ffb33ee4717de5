"""Following the chain of a bare ledger, whose chain key is 32 zero bytes."""

from service.core.checkpoint import signing_key
from service.ledger.chain import Chain, Proof
from service.ledger.ledger import Ledger

KEY = bytes(32)
SIGNER = signing_key(KEY)
CHAIN = Chain(KEY, SIGNER)


def prove(ledger: Ledger, noted: str | None = None) -> Proof:
    """Follow it to its end."""
    with ledger.read() as tx:
        following = CHAIN.begun(tx, bytes.fromhex(noted) if noted else None)
    if isinstance(following, Proof):
        return following
    while True:
        with ledger.read() as tx:
            found = CHAIN.went_on(tx, following)
        if found is not None:
            return found
