"""Write-back: passwords that live in Vault or AWS Secrets Manager and are turned there.

    sealed candidate → change → verify → write to the store → read back → publish → retire

The store's own version is the condition (check-and-set): what was written there meanwhile is not
overwritten. Nothing is retired before the read-back showed the new password.
"""

from collections.abc import Mapping

from service.core.connection import Account
from service.core.errors import ChangeNotPermitted, Conflict, StoreAbsent, StoreMalformed
from service.core.reference import Reading, Store, WritableStore, select
from service.core.secret import Secret
from service.keeper.definitions import KeptIn
from service.keeper.references import References


class WriteBack:
    """Reads and writes the outside home of a connection's password."""

    def __init__(self, stores: Mapping[str, Store], references: References) -> None:
        self._stores = stores
        self._references = references

    def read(self, home: KeptIn, username: str | None) -> Account:
        """The account as it is kept now. Raises the store errors; ChangeNotPermitted if it must not be turned."""
        if self._writable(home).turned_elsewhere(home.location):
            raise ChangeNotPermitted(f"{home.location} has a rotation of its own; switch one of the two off")
        reading = self._references.now(home.location)
        return self._account(home, reading, username)

    def kept(self, home: KeptIn, username: str | None) -> Account:
        """The account as it is kept now, whoever turns it. Raises the store errors."""
        return self._account(home, self._references.now(home.location), username)

    def write(self, home: KeptIn, candidate: Account, former: Account | None) -> None:
        """Write the candidate and see that it is there. Repeating it is safe.

        Raises the store errors; Conflict if the store holds neither the former nor the candidate.
        """
        reading = self._references.now(home.location)
        held = self._account(home, reading, candidate.username)
        if held.password != candidate.password:
            if former is not None and held.password != former.password:
                raise Conflict(f"{home.location} was changed by somebody else; it is left as it is")
            changes = {home.password_key: candidate.password}
            if home.username_key:
                changes[home.username_key] = Secret(candidate.username)
            self._writable(home).write(home.location, changes, reading.version)
        back = self._account(home, self._references.now(home.location), candidate.username)
        if back.password != candidate.password or back.username != candidate.username:
            raise StoreMalformed(
                "what was read back is not what was written", store=home.location.store, reference=str(home.location)
            )
        self._references.forget(home.location)

    def _writable(self, home: KeptIn) -> WritableStore:
        store: object = self._stores.get(home.location.store)
        if not isinstance(store, WritableStore):
            raise StoreAbsent(
                "the store is not configured, or does not take values back",
                store=home.location.store,
                reference=str(home.location),
            )
        return store

    @staticmethod
    def _account(home: KeptIn, reading: Reading, username: str | None) -> Account:
        user = home.username()
        name = select(reading, user).reveal() if user else username
        if not name:
            raise StoreAbsent("names no user", store=home.location.store, reference=str(home.location))
        return Account(name, select(reading, home.password()))
