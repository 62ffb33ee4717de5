"""A master key in the transit engine of Vault or OpenBao, which never leaves it.

Stored format: the ciphertext of the engine, `vault:v1:…`, as ASCII. The context is its associated data,
so the key must be of a type that authenticates it (`aes256-gcm96`, the default, or another of `TYPES`).

    answer                                                           error
    404, 403, a login that is not accepted: no key for Keywright     KeyMissing
    400 (another key, another context), a key of an unfit type       KeyWrong
    no answer, sealed, standby, 5xx                                  KeyUnreachable

Calls: https://openbao.org/api-docs/secret/transit/. `encrypt` would make a key that is not there if policy
lets it, so the key is looked at before each wrap: policy needs `read` on `keys/NAME`, and `update` on
`encrypt/NAME` and `decrypt/NAME`.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hvac.api.secrets_engines import Transit

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
from service.core.errors import KeyMissing, KeyUnreachable, KeyWrong
from service.core.sealed import KEY_BYTES, Context

TYPES = ("aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305")


class TransitKey:
    """Wraps under the key `key` of the engine at `mount`."""

    def __init__(self, session: VaultSession, key: str, mount: str = "transit") -> None:
        self._session = session
        self._key = key
        self._mount = mount

    @property
    def name(self) -> str:
        """`transit:`, the mount and the key's name."""
        return f"transit:{self._mount}/{self._key}"

    def wrap(self, data_key: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        with self._faults():
            self._look()
            answer = self._session.call(
                lambda adapter: document(
                    Transit(adapter).encrypt_data(
                        self._key, _text(data_key), mount_point=self._mount, associated_data=_text(context)
                    )
                )
            )
        return str(answer["data"]["ciphertext"]).encode("ascii")

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        ciphertext = wrapped.decode("ascii", errors="replace")
        with self._faults():
            try:
                answer = self._session.call(
                    lambda adapter: document(
                        Transit(adapter).decrypt_data(
                            self._key, ciphertext, mount_point=self._mount, associated_data=_text(context)
                        )
                    )
                )
            except VaultRejected:
                self._look()  # 400 also stands for a key that is not there
                raise
        try:
            data_key = base64.b64decode(answer["data"]["plaintext"], validate=True)
        except binascii.Error:
            data_key = b""
        if len(data_key) != KEY_BYTES:
            raise KeyWrong(f"{self.name} opened something that is no data key: the ledger was damaged or altered")
        return data_key

    def _look(self) -> None:
        """Raises VaultAbsent if there is no such key, KeyWrong if it cannot bind a context."""
        answer = self._session.call(
            lambda adapter: document(Transit(adapter).read_key(self._key, mount_point=self._mount))
        )
        key: dict[str, Any] = answer["data"]
        if key.get("soft_deleted"):
            raise VaultAbsent("the key is deleted", deleted=True)
        if key.get("type") not in TYPES or key.get("derived"):
            raise KeyWrong(f"{self.name} is of an unfit type: make one of {', '.join(TYPES)}, without derivation")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except VaultAbsent:
            raise KeyMissing(f"{self.name} does not exist at {self._session.address}: check mount and name") from None
        except VaultLoginRefused as fault:
            raise KeyMissing(f"{self.name} is not for Keywright to use: {fault}") from None
        except VaultRefused as fault:
            raise KeyMissing(
                f"{self.name} is not for Keywright to use: {fault}. Give its role a policy with read on "
                f"keys/{self._key} and update on encrypt/{self._key} and decrypt/{self._key}"
            ) from None
        except VaultUnreachable as fault:
            raise KeyUnreachable(f"{self.name}: {fault}") from None
        except VaultTrouble as fault:
            raise KeyWrong(
                f"{self.name} does not open this ledger's data keys ({fault}): name the key that wrapped them"
            ) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
