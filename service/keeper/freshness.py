"""Step-up as operations ask for it, once they know that the caller may do what it asks for. See `core/freshness.py`."""

from service.core import freshness
from service.core.access import Caller
from service.keeper.snapshot import View
from service.ledger import settings
from service.ledger.ledger import Transaction


def require_fresh(tx: Transaction, caller: Caller, what: str) -> None:
    """Within a change. `what` begins the sentence. Raises FactorNeeded."""
    if caller.user is not None:
        freshness.fresh(caller, settings.read(tx), tx.now, what)


def require_first(tx: Transaction, caller: Caller, what: str) -> None:
    """The same for factors themselves, of which there has to be a first one. Raises FactorNeeded."""
    if caller.user is not None:
        freshness.first(caller, settings.read(tx), tx.now, what)


def require_fresh_in(view: View, caller: Caller, what: str) -> None:
    """On the snapshot, in memory. Raises FactorNeeded."""
    if caller.user is not None:
        freshness.fresh(caller, view.snapshot.settings, view.now, what)
