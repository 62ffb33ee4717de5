"""What is answered at the Vault door, and the envelope around it.

    {"request_id": …, "lease_id": "", "renewable": false, "lease_duration": 0,
     "data": …, "wrap_info": null, "warnings": null, "auth": null}

Documented at developer.hashicorp.com/vault/api-docs; the order of the fields is the one that OpenBao 2.7.2 has.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.core.access import Caller


@dataclass(frozen=True)
class Answer:
    """One answer. `data` and `auth` are JSON; an answer without either, and without warnings, is 204."""

    data: str | None = field(default=None, repr=False)
    auth: str | None = field(default=None, repr=False)
    status: int = 200
    lease_duration: int = 0
    """Seconds."""
    warnings: tuple[str, ...] = ()
    flat: bool = False
    """Are the data's fields answered beside the envelope's as well, as `sys/` does?"""
    bare: bool = False
    """Without the envelope, as some of `sys/` answers."""
    caller: Caller | None = None
    """Whom a login let in: nobody asked before."""

    @property
    def empty(self) -> bool:
        """Is there nothing to say?"""
        return self.data is None and self.auth is None and not self.warnings

    @property
    def wraps(self) -> bool:
        """Is it one that can be wrapped?"""
        return self.status == 200 and not self.bare and (self.data is not None or self.auth is not None)

    def text(self, request_id: str) -> str:
        """As it is sent."""
        if self.bare:
            return self.data or "{}"
        warnings = text_of(list(self.warnings)) if self.warnings else "null"
        said = enveloped(
            request_id, self.data or "null", self.lease_duration, auth=self.auth or "null", warnings=warnings
        )
        if self.flat and self.data and self.data != "{}":
            return f"{self.data[:-1]},{said[1:]}"
        return said


NOTHING = Answer()
"""Done."""


def told(data: Any, **more: Any) -> Answer:
    """An answer of these data, which hold no secret that would need a look."""
    return Answer(text_of(data), **more)


def enveloped(
    request_id: str,
    data: str,
    lease_duration: int = 0,
    *,
    wrap_info: str = "null",
    auth: str = "null",
    warnings: str = "null",
) -> str:
    """The envelope; all but the first and the third are JSON already."""
    return (
        f'{{"request_id":"{request_id}","lease_id":"","renewable":false,"lease_duration":{lease_duration},'
        f'"data":{data},"wrap_info":{wrap_info},"warnings":{warnings},"auth":{auth}}}'
    )


def text_of(data: Any) -> str:
    """As JSON."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def moment(at: datetime | None) -> str:
    """As RFC 3339 writes it; empty for none."""
    return at.isoformat().replace("+00:00", "Z") if at else ""
