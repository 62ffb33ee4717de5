"""Vault and OpenBao: the key-value engines, versions 1 and 2.

A location is `mount/path`; the value is the JSON text of the object there.

    answer                                     error
    404                                        StoreAbsent (a deleted or destroyed version too)
    403, or a login that is not accepted       StoreRefused
    no answer, sealed, standby, 429, 5xx       StoreUnreachable
    400, no JSON, not a key-value mount        StoreMalformed
    a version that is not `expected`           Conflict

Sources: https://openbao.org/api-docs/secret/kv/kv-v1/, .../kv-v2/, and for the mounts
https://openbao.org/api-docs/system/internal-ui-mounts/.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hvac import utils
from hvac.adapters import JSONAdapter
from hvac.api.secrets_engines import KvV1, KvV2

from providers.stored_object import checked, holds, parsed, replaced, where, written
from providers.vault_answers import (
    VaultAbsent,
    VaultLoginRefused,
    VaultRefused,
    VaultRejected,
    VaultTrouble,
    VaultUnreachable,
    document,
)
from providers.vault_login import VaultSession
from service.core.errors import Conflict, StoreAbsent, StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reading, Reference
from service.core.secret import Secret

UNVERSIONED = ""
"""What `write` returns for KV version 1, which numbers nothing."""


@dataclass(frozen=True)
class _Place:
    """A location, split at its mount."""

    mount: str
    path: str
    kv: int


class VaultStore:
    """Reads and writes key-value secrets. `mounts` (mount path to 1 or 2) is believed before the server is asked."""

    def __init__(self, session: VaultSession, mounts: Mapping[str, int] | None = None) -> None:
        self._session = session
        self._stated = {mount.strip("/"): kv for mount, kv in (mounts or {}).items()}
        self._learned: dict[str, int] = {}

    def read(self, reference: Reference) -> Reading:
        """The newest version. `version` is its number under KV version 2; version 1 has none."""
        with self._faults(reference):
            place = self._place(reference)
            data, version = self._get(place)
        return Reading(checked(written(data), reference), version)

    def write(self, reference: Reference, changes: dict[str, Secret], expected: str | None) -> str:
        """See WritableStore. An object that has the changes already is left alone, so that a retry succeeds.

        KV version 2 checks and sets: nothing is lost if somebody else writes at the same moment. KV version 1
        cannot: the object is read, changed and written, what another writes in between is overwritten, and
        a stale `expected` cannot be noticed. Let nobody else write to such a secret.
        """
        with self._faults(reference):
            place = self._place(reference)
            data, version = self._get(place)
            if holds(Secret(written(data)), changes, reference):
                return version or UNVERSIONED
            if version is not None and expected is not None and version != expected:
                raise _conflict(reference)
            text = checked(written(replaced(data, changes, reference)), reference)
            return self._put(place, parsed(text, reference), version, reference)

    def turned_elsewhere(self, reference: Reference) -> bool:  # noqa: ARG002  the port asks for it
        """Never: the key-value engines rotate nothing."""
        return False

    def _get(self, place: _Place) -> tuple[dict[str, Any], str | None]:
        def operation(adapter: JSONAdapter) -> dict[str, Any]:
            if place.kv == 1:
                return document(KvV1(adapter).read_secret(place.path, mount_point=place.mount))
            return document(
                KvV2(adapter).read_secret_version(place.path, mount_point=place.mount, raise_on_deleted_version=True)
            )

        answer = self._session.call(operation).get("data")
        if place.kv == 1 and isinstance(answer, dict):
            return answer, None
        if isinstance(answer, dict):
            data, metadata = answer.get("data"), answer.get("metadata")
            if isinstance(data, dict) and isinstance(metadata, dict) and "version" in metadata:
                return data, str(metadata["version"])
        raise VaultRejected("the answer is not that of the key-value engine that this mount is taken for")

    def _put(self, place: _Place, data: dict[str, Any], version: str | None, reference: Reference) -> str:
        def operation(adapter: JSONAdapter) -> dict[str, Any]:
            if version is None:
                return document(KvV1(adapter).create_or_update_secret(place.path, data, mount_point=place.mount))
            return document(
                KvV2(adapter).create_or_update_secret(place.path, data, cas=int(version), mount_point=place.mount)
            )

        try:
            answer = self._session.call(operation)
        except VaultRejected:
            # 400 stands for a lost check-and-set and for other things: what is there now tells which.
            if version is not None and self._get(place)[1] != version:
                raise _conflict(reference) from None
            raise
        return UNVERSIONED if version is None else str(answer["data"]["version"])

    def _place(self, reference: Reference) -> _Place:
        for known in (self._stated, self._learned):
            for mount, kv in known.items():
                if reference.location.startswith(mount + "/"):
                    return _Place(mount, reference.location[len(mount) + 1 :], kv)
        return self._asked(reference)

    def _asked(self, reference: Reference) -> _Place:
        url = utils.format_url("/v1/sys/internal/ui/mounts/{path}", path=reference.location)
        data = self._session.call(lambda adapter: document(adapter.get(url))).get("data", {})
        mount, kind = str(data.get("path", "")).strip("/"), data.get("type")
        if kind not in ("kv", "generic") or not reference.location.startswith(mount + "/"):
            raise StoreMalformed(f"is at '{mount}', which is no key-value mount with a path", **where(reference))
        kv = 2 if (data.get("options") or {}).get("version") == "2" else 1
        self._learned[mount] = kv
        return _Place(mount, reference.location[len(mount) + 1 :], kv)

    @contextmanager
    def _faults(self, reference: Reference) -> Iterator[None]:
        told = where(reference)
        try:
            yield
        except VaultAbsent as fault:
            # The mount may have been replaced by one of the other version: ask again next time.
            self._learned = {m: kv for m, kv in self._learned.items() if not reference.location.startswith(m + "/")}
            if fault.deleted:
                raise StoreAbsent("its newest version was deleted: undelete it, or write a new one", **told) from None
            raise StoreAbsent("there is nothing at this path: look at the spelling of mount and path", **told) from None
        except VaultLoginRefused as fault:
            raise StoreRefused(str(fault), **told) from None
        except VaultRefused as fault:
            raise StoreRefused(
                f"{fault}. Give Keywright's role a policy for this path; if the mount is not there or cannot be "
                "looked up, check its name or state its version in the setting for mounts",
                **told,
            ) from None
        except VaultUnreachable as fault:
            raise StoreUnreachable(str(fault), **told) from None
        except VaultTrouble as fault:
            raise StoreMalformed(f"{fault}. Check that the location is 'mount/path' of a secret", **told) from None


def _conflict(reference: Reference) -> Conflict:
    return Conflict(f"{reference} was changed by somebody else since it was read: read it again, then decide")
