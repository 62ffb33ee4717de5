"""Everything that Keywright refuses or fails at, by name.

    KeywrightError
    ├── Invalid             the request is malformed; `field` says where          422
    ├── Unauthenticated     no caller: token missing, unknown, expired, revoked   401
    ├── Forbidden           the caller may see it, but not do this                403
    │   └── Claimed             its user is not the one that it claims to have
    ├── Absent              not there, or not for this caller: the same answer    404
    ├── Conflict            it exists already, or its state does not allow this   409
    ├── Outdated            If-Match named another revision                       412
    ├── TooLarge            a body or a value over its limit                      413
    ├── Often               this caller has as many of these as one may           429
    ├── Unavailable         Keywright itself cannot answer now                    503
    │   ├── Unrecorded      the ledger could not record, so nothing was answered
    │   └── EscrowError     the escrow file cannot be read or written
    ├── StoreError          an outside store did not give a value
    │   ├── StoreAbsent         it answered: there is no such thing               424
    │   ├── StoreRefused        it answered: not for Keywright's identity         424
    │   ├── StoreUnreachable    it did not answer in time                         504
    │   │   └── StoreBusy       it was not asked: too much waits for it already   503
    │   └── StoreMalformed      it answered something that cannot be used         424
    ├── WrapError           a key wrapper did not wrap or unwrap
    │   ├── KeyMissing          there is no master key where one was named
    │   ├── KeyWrong            there is one, but it does not open this ledger
    │   └── KeyUnreachable      the service that holds it did not answer
    ├── SealBroken          a ciphertext was changed, moved or truncated
    └── ChangeError         a target database did not do what was asked
        ├── ChangeRefused       it refused the password (policy)
        ├── ChangeNotPermitted  the administration login lacks a privilege
        ├── ChangeFenced        a worker with a higher fencing number was there before
        ├── ChangeLost          no reply: done or not done, a probe must tell
        └── ChangeUnreachable   it was never asked: nothing was changed

The status is what the native door answers (`service/http/problems.py` holds the table).
Messages are written for the person who reads them: what, where, what to do. They never hold a secret.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.core.approval import Need


class KeywrightError(Exception):
    """Something was refused or failed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(KeywrightError):
    """The request is malformed. Nothing was changed."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unauthenticated(KeywrightError):
    """No caller could be made out: the token is missing, unknown, expired or revoked."""


class Forbidden(KeywrightError):
    """The caller may see this, but may not do what was asked."""


class FactorNeeded(Forbidden):
    """It may be done, but only soon after a second factor was shown."""


class ApprovalNeeded(Forbidden):
    """It may be done, but somebody else has to agree first. `need` is to what, for whoever asks for that."""

    def __init__(self, message: str, need: "Need | None" = None) -> None:
        super().__init__(message)
        self.need = need


class Forged(Forbidden):
    """It came with a cookie, and not from a page of ours: another site may have made the browser send it."""


class Claimed(Forbidden):
    """It says that it comes from another user than it does: somebody in between may believe it."""


class Absent(KeywrightError):
    """It does not exist, or the caller may not see it: nobody can tell which."""


class Conflict(KeywrightError):
    """It exists already, or its present state does not allow what was asked."""


class Outdated(KeywrightError):
    """`If-Match` named a revision that is no longer the current one."""


class TooLarge(KeywrightError):
    """A body or a value is larger than its limit."""


class Often(KeywrightError):
    """The caller has as many of something under way as one may have; `after` are seconds to wait, at the least."""

    def __init__(self, message: str, *, after: int = 1) -> None:
        super().__init__(message)
        self.after = after


class Unavailable(KeywrightError):
    """Keywright cannot answer this now; the same request may succeed later.

    `place` is what it needs and does not have, where that is known: for the log and for who works on the server;
    callers do not learn it.
    """

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class Unrecorded(Unavailable):
    """The ledger could not record it, so it was not answered; done only if the reply to a commit was lost."""


class EscrowError(Unavailable):
    """The escrow file cannot be read or written: what needs it is not done now. `place` is its path."""


class StoreError(KeywrightError):
    """An outside store did not give a value. Names the store and the reference, never a value."""

    def __init__(self, message: str, *, store: str, reference: str) -> None:
        super().__init__(f"{store}: {reference}: {message}")
        self.store = store
        self.reference = reference


class StoreAbsent(StoreError):
    """The store answered that there is nothing under this reference."""


class StoreRefused(StoreError):
    """The store answered that Keywright's identity may not read (or write) this reference."""


class StoreUnreachable(StoreError):
    """The store did not answer in time; whether the value exists is unknown."""


class StoreBusy(StoreUnreachable):
    """The store was not asked: as much waits for it already as may. The same request may succeed later."""


class StoreMalformed(StoreError):
    """The store answered, but not with something that can be used as a value."""


class WrapError(KeywrightError):
    """A key wrapper did not wrap or unwrap a data key."""


class KeyMissing(WrapError):
    """There is no master key where the settings say it is."""


class KeyWrong(WrapError):
    """There is a master key, but it does not open this ledger's data keys."""


class KeyUnreachable(WrapError):
    """The service that holds the master key did not answer."""


class SealBroken(KeywrightError):
    """A ciphertext does not open: it was changed, truncated, or moved from where it was sealed."""


class ChangeError(KeywrightError):
    """A target database did not make a change that was asked of it."""


class ChangeRefused(ChangeError):
    """The target refused the password itself (a password policy). Nothing was changed."""


class ChangeNotPermitted(ChangeError):
    """The administration login lacks a privilege for the change. Nothing was changed."""


class ChangeFenced(ChangeError):
    """A worker with a higher fencing number raised the fence: this one is late. Nothing was changed."""


class ChangeLost(ChangeError):
    """The change was sent and no reply came: it may be in force. Only a probe can tell."""


class ChangeUnreachable(ChangeError):
    """The target was not reached, so the change was never asked for. Nothing was changed."""
