"""Everything that a call to Keywright can end in, by name.

    KeywrightError
    ├── Invalid            malformed; `field` says where                       422
    │   └── TooLarge       a value or body over its limit                      413
    ├── Unauthenticated    not signed in: no token, or one that is not valid   401
    ├── Forbidden          you may see it, but not do this                     403
    │   └── FactorNeeded   you may, soon after a second factor was shown       403
    ├── Absent             not there, or not for you: nobody can tell which    404
    ├── Conflict           it exists already, or its state forbids this        409
    ├── Outdated           it was changed since you read it                    412
    ├── StoreFailed        an outside store gave no value; `slug` says why     424, 504
    ├── Unavailable        the server answered that it cannot answer now       429, 5xx
    ├── Unreachable        no answer came: whether it was done is unknown
    └── Unexpected         something answered that does not speak as Keywright

The server's side of this table is `urn:keywright:problem:<slug>` (RFC 9457, problem details).
Messages say what, where and what to do. They never hold a value, a password or a token.
"""


class KeywrightError(Exception):
    """A call failed. `status`, `slug`, `request_id` and `retry_after` (seconds) are the server's, where it answered."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        slug: str | None = None,
        field: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.slug = slug
        self.field = field
        self.request_id = request_id
        self.retry_after = retry_after


class Invalid(KeywrightError):
    """The request is malformed; `field` names the part at fault. Nothing was changed."""


class TooLarge(Invalid):
    """A value or a body is larger than its limit. Nothing was changed."""


class Unauthenticated(KeywrightError):
    """There is no token, or it is unknown, expired or revoked."""


class Forbidden(KeywrightError):
    """You may see this, but not do what was asked."""


class FactorNeeded(Forbidden):
    """You may do it, but only soon after you showed your second factor."""


class Absent(KeywrightError):
    """It does not exist, or you may not see it: the answer is the same."""


class Conflict(KeywrightError):
    """It exists already, or its present state does not allow what was asked."""


class Outdated(KeywrightError):
    """It was changed by somebody else since it was read."""


class StoreFailed(KeywrightError):
    """An outside store gave no value. `slug`: store-absent, store-refused, store-malformed or store-unreachable."""


class Unavailable(KeywrightError):
    """The server cannot answer now; the same request may succeed later."""


class Unreachable(KeywrightError):
    """No answer came in time, so for a change it is unknown whether it was made."""


class Unexpected(KeywrightError):
    """What answered does not speak as Keywright: a wrong address, or a proxy between."""
