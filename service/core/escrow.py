"""Escrow: the second way in to an administration login that is turned by itself, kept outside of the ledger.

Whoever holds the escrow and the master key gets in when the ledger is lost. An entry is written before the
target hears of a candidate. It forgets a former password only when another one was seen to log in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from service.core.connection import Account

FORMER = "former"
"""The standing of an account that the ledger does not name any more, and that nobody showed to be dead."""


@dataclass(frozen=True)
class Escrowed:
    """One account in an entry, and what the ledger called it when it was written."""

    standing: str
    """A CredentialState's word, or `former`."""
    account: Account


@dataclass(frozen=True)
class Entry:
    """What is kept of one connection. The accounts are in the order to try them in."""

    connection_id: str
    environment: str
    connection: str
    server: str
    """Engine and primary endpoint: `postgresql://db.example:5432`."""
    database: str
    accounts: tuple[Escrowed, ...]
    written_at: datetime

    def with_former(self, before: "Entry | None") -> "Entry":
        """Also the accounts of an earlier entry: nothing is thrown away on doubt."""
        mine = {(held.account.username, held.account.password.reveal()) for held in self.accounts}
        older = before.accounts if before else ()
        former = [h for h in older if (h.account.username, h.account.password.reveal()) not in mine]
        return replace(self, accounts=(*self.accounts, *(replace(held, standing=FORMER) for held in former)))

    def tells_the_same(self, other: "Entry | None") -> bool:
        """Is nothing different but the time?"""
        return other is not None and replace(other, written_at=self.written_at) == self


class Escrow(Protocol):
    """Keeps entries. `entries` and `keep` raise EscrowError, KeyMissing, KeyWrong, KeyUnreachable."""

    def entries(self) -> Sequence[Entry]:
        """Everything that is kept, in the order of names."""

    def exposed(self) -> str:
        """What is wrong with who may open it, as a sentence; empty if nothing is."""

    def keep(self, entry: Entry, *, proven: bool) -> None:
        """Put an entry in place of the connection's earlier one; on disk when this returns.

        Only if `proven`, when an account of the entry was just seen to log in, are earlier accounts forgotten.
        """
