"""Delays: whoever was wrong waits longer and longer, and nobody makes the owner of an account wait.

    a try ──► is the account known to have signed in from this place?
                 │ yes                                        │ no
                 ▼                                            ▼
              counted for the account in this place        counted for the account, by whomever from wherever,
                                                           and for the network, whichever accounts it tries
                 └────────────► must one of these wait? ◄─────┘
                                   │ no                 │ yes
                                   ▼                    ▼
              counted as wrong at once, then looked at    told to wait; nothing is looked at, and nothing counted
                                   │ right
                                   ▼
              the place is known from now on, what was counted there begins anew

Strangers who guess make strangers wait. They do not reach those who sign in from where they did before: these have a
count of their own. (An owner who comes from a new place while strangers guess waits with them; an invitation, or
another way of signing in, does not.) Counted before it is looked at, so that many tries at once are many tries.

Accounts go by the address that was typed: those that there are not wait like those that there are. A network is an
IPv4 address, or 2^64 IPv6 addresses, of which whoever has one has all.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from math import ceil

from service.core.errors import Often
from service.core.patience import FREE, wait
from service.keeper.door import Door
from service.ledger import delays
from service.ledger.delays import Count, digest
from service.ledger.ledger import Transaction

FREE_NETWORK = 30
"""What a network may have wrong before it waits: behind it may be an office."""
_NONE = Count(0, None)


@dataclass(frozen=True)
class Try:
    """What one try is counted under."""

    account: bytes
    network: bytes
    place: bytes


def tried(account: str, address: str) -> Try:
    """Somebody at this address shows something for this account."""
    near = network(address)
    return Try(digest("account", account), digest("network", near), digest("place", account, near))


class Delays:
    """Counts in the ledger, for all replicas."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def begin(self, account: str, address: str) -> None:
        """Somebody at this address is about to show something for this account. Raises Often, with the seconds."""
        it = tried(account, address)
        with self._door.ledger.work() as tx:
            counts = delays.counted(tx, [it.account, it.network], [it.place])
            if (here := counts.get(it.place)) is not None:
                left = wait(here.failures, here.failed_at, tx.now)
                meant = {it.place: here}
            else:
                of, by = counts.get(it.account, _NONE), counts.get(it.network, _NONE)
                beyond = max(by.failures - (FREE_NETWORK - FREE), 0)
                left = max(wait(of.failures, of.failed_at, tx.now), wait(beyond, by.failed_at, tx.now))
                meant = {it.account: of, it.network: by}
            if not left:
                for hash_, count in meant.items():
                    delays.count(tx, hash_, count.failures + 1)
        if left:
            seconds = ceil(left.total_seconds())
            raise Often(f"too many wrong passwords, one after another: wait {seconds} seconds", after=seconds)

    @staticmethod
    def right(tx: Transaction, account: str, address: str) -> None:
        """What was shown was right, all of it."""
        it = tried(account, address)
        delays.right(tx, it.place, it.account, it.network)

    @staticmethod
    def forget(tx: Transaction, account: str) -> None:
        """Strangers' tries at this account count no more: somebody who may has let its owner in."""
        delays.forget(tx, [digest("account", account)])


def network(address: str) -> str:
    """Whom an address belongs to, as far as that can be seen from it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return found.exploded[:19] if found.version == 6 else str(found)
