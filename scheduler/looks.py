"""Looks: what a worker can learn of a target without changing it, and who is who in a pair."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from service.core.connection import Access, Account, Endpoint, Engine, Probe
from service.core.database import Database
from service.core.errors import KeywrightError
from service.core.rotation import Strategy, resting_login
from service.keeper.briefs import Brief
from service.keeper.budget import Budget


class Looks:
    """Logs in and compares. `databases` has one implementation per engine."""

    def __init__(self, databases: Mapping[Engine, Database], budget: Budget) -> None:
        self._databases = databases
        self._budget = budget

    def database(self, brief: Brief) -> Database:
        """The implementation for the connection's engine."""
        return self._databases[brief.target.engine]

    def probe(
        self,
        brief: Brief,
        account: Account,
        endpoint: Endpoint | None = None,
        *,
        lasting: bool = False,
        likely: bool = False,
    ) -> Probe:
        """Log in at an endpoint, within the budget; at the primary when none is said.

        `likely`: the password was just set, so it should work. `lasting`: as `Budget.probe` has it.
        """
        at = endpoint or brief.target.primary
        works = account if likely else _other(brief, account)
        return self._budget.probe(Access(brief.target, account), at, works, lasting=lasting)

    def administration(self, way: Access, ways: Sequence[Access]) -> Probe:
        """Log in as the administration login does, by one of its ways in."""
        return self._budget.way(way, ways)

    def changing(self, way: Access) -> AbstractContextManager[None]:
        """A change logs in as this administration login."""
        return self._budget.changing(way)

    def password_set(self, brief: Brief, account: Account) -> None:
        """A change was made: the login that follows it is known to be right."""
        self._budget.password_set(brief.target, account.username)


def _other(brief: Brief, account: Account) -> Account | None:
    """The same login with another password that is believed to be in force, if one is known."""
    known_ones = (brief.former, brief.parking, brief.candidate, brief.resting)
    same = [a for a in known_ones if a and a.username == account.username and a.password != account.password]
    return next(iter(same), None)


def role(brief: Brief) -> str:
    """The role that both logins of a pair act as."""
    return brief.policy.pair(brief.adopted or "")[0]


def adopted(brief: Brief) -> bool:
    """Is the former login the one that was imported and became the shared role?"""
    if brief.rotation.strategy is not Strategy.ALTERNATING or brief.former is None:
        return False
    return brief.former.username not in brief.policy.pair(brief.adopted or "")[1]


def next_username(brief: Brief, former: Account | None) -> str | None:
    """Which login gets the candidate; None if nobody ever said one."""
    if brief.rotation.strategy is Strategy.ALTERNATING:
        shared, pair = brief.policy.pair(brief.adopted or "")
        return resting_login(pair, former.username if former else None) if shared else None
    return former.username if former else brief.adopted


def known(account: Account | None) -> Account:
    """An account that must be there. Raises KeywrightError: the ledger lost a sealed copy."""
    if account is None:
        raise KeywrightError("the candidate's sealed copy is gone")
    return account
