"""What the answers of Vault and OpenBao mean.

Statuses are those of https://developer.hashicorp.com/vault/api-docs#http-status-codes:

    answer                                          raised
    400                                             VaultRejected     the request itself was not accepted
    401, 403                                        VaultRefused      not for Keywright's identity
    a login answered by 400, 403 or 404             VaultLoginRefused, which is a VaultRefused
    404                                             VaultAbsent
    any other status (429, 5xx: sealed, standby…),
    a redirect, no answer, a certificate that does
    not verify                                      VaultUnreachable
    200 without a JSON object                       VaultUnreadable

A redirect is what a standby node answers that does not forward. It is not followed, because the token
would go with it to whatever address is named.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from hvac import exceptions


class VaultTrouble(Exception):
    """Vault did not do what was asked. The message is a sentence without any secret."""


class VaultRejected(VaultTrouble):
    """The request was not acceptable in itself (400)."""


class VaultRefused(VaultTrouble):
    """Keywright's identity may not do this."""


class VaultLoginRefused(VaultRefused):
    """It is nobody to Vault: the login was not accepted."""


class VaultAbsent(VaultTrouble):
    """There is nothing at this path; `deleted` if there was."""

    def __init__(self, message: str, *, deleted: bool = False) -> None:
        super().__init__(message)
        self.deleted = deleted


class VaultUnreachable(VaultTrouble):
    """Vault did not answer in time, or not as a node in service."""


class VaultUnreadable(VaultTrouble):
    """What answered does not speak as Vault does."""


def document(answer: Any) -> dict[str, Any]:
    """The JSON object of an answer; empty for "204 No Content". Raises VaultUnreachable or VaultUnreadable."""
    if isinstance(answer, Mapping):
        return dict(answer)
    status = getattr(answer, "status_code", None)
    if status == 204:
        return {}
    if status is not None and 300 <= status < 400:
        raise VaultUnreachable("a standby node pointed elsewhere: set the address to the active node, or to a balancer")
    raise VaultUnreadable("the answer is no JSON object: is this the address of Vault?")


@contextmanager
def faults(address: str) -> Iterator[None]:
    """What is called inside raises a VaultTrouble instead of the libraries' errors."""
    # `from None`: the libraries' errors carry requests and answers, with what is secret in them.
    try:
        yield
    except exceptions.InvalidRequest:
        raise VaultRejected(f"{address} did not accept the request (400)") from None
    except (exceptions.Forbidden, exceptions.Unauthorized):
        raise VaultRefused(f"{address} answered 403") from None
    except exceptions.InvalidPath as fault:
        raise VaultAbsent(f"{address} answered 404", deleted=_deleted(fault.json)) from None
    except exceptions.VaultError as fault:
        name = type(fault).__name__
        raise VaultUnreachable(f"{address} is sealed, on standby or out of order ({name}): ask its operators") from None
    except requests.exceptions.SSLError:
        raise VaultUnreachable(f"the certificate of {address} does not verify: look at the CA file setting") from None
    except requests.Timeout:
        raise VaultUnreachable(f"{address} did not answer in time: is it up, and can Keywright reach it?") from None
    except (requests.RequestException, OSError) as fault:
        name = type(fault).__name__
        raise VaultUnreachable(f"{address} cannot be reached ({name}): look at the address setting") from None


def _deleted(answer: Any) -> bool:
    """Is a 404 about a version that was deleted or destroyed? (KV version 2 says so in its metadata.)"""
    data = answer.get("data") if isinstance(answer, dict) else None
    metadata = data.get("metadata") if isinstance(data, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("deletion_time") or metadata.get("destroyed"))
