"""A master key in AWS KMS, which never leaves it.

Stored format: the CiphertextBlob of `Encrypt`, as it came. The encryption context, which KMS binds to it
and writes into CloudTrail, is {"keywright": base64 of the context}: ids, no names and no secrets.

    answer                                                           error
    NotFound, Disabled, pending deletion, AccessDenied, no
    credentials or bad ones: no key for Keywright's identity         KeyMissing
    InvalidCiphertext (another context, damage), IncorrectKey, and
    AccessDenied for a ciphertext while the key itself can be used   KeyWrong
    throttled, 5xx, DependencyTimeout, no answer                     KeyUnreachable

Calls: https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html and API_Decrypt.html.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from providers.aws_session import AwsAbsent, AwsRefused, AwsSession, AwsUnreachable
from service.core.errors import KeyMissing, KeyUnreachable, KeyWrong
from service.core.sealed import KEY_BYTES, Context

_WRONG = {"InvalidCiphertextException", "IncorrectKeyException"}
_DENIED = "AccessDeniedException"  # also the answer to a ciphertext of a key that this account cannot see


class AwsKmsKey:
    """Wraps under `key_id`: a key's ARN (best, since it says all), id or alias. `session` is for the service `kms`.

    Needs kms:Encrypt and kms:Decrypt.
    """

    def __init__(self, session: AwsSession, key_id: str) -> None:
        self._session = session
        self._key_id = key_id

    @property
    def name(self) -> str:
        """`aws-kms:` and the key's ARN, id or alias."""
        return f"aws-kms:{self._key_id}"

    def wrap(self, data_key: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        with self._faults():
            answer = self._session.call(
                "encrypt", KeyId=self._key_id, Plaintext=data_key, EncryptionContext=_bound(context)
            )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        with self._faults():
            try:
                data_key = self._decrypted(wrapped, context)
            except AwsRefused as fault:
                if fault.code == _DENIED and self._usable(context):
                    raise self._wrong(fault) from None
                raise
        if len(data_key) != KEY_BYTES:
            raise KeyWrong(f"{self.name} opened something that is no data key: the ledger was damaged or altered")
        return data_key

    def _decrypted(self, wrapped: bytes, context: Context) -> bytes:
        answer = self._session.call(
            "decrypt", KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext=_bound(context)
        )
        return bytes(answer["Plaintext"])

    def _usable(self, context: Context) -> bool:
        """Does the key open what it has just wrapped? Then a denial was about the ciphertext: some other key's."""
        nothing = bytes(KEY_BYTES)
        try:
            return self._decrypted(self.wrap(nothing, context), context) == nothing
        except (AwsRefused, KeyMissing):
            return False

    def _wrong(self, fault: AwsRefused) -> KeyWrong:
        return KeyWrong(
            f"{self.name} does not open this ledger's data keys ({fault.code}): name the key that wrapped them"
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except AwsAbsent as fault:
            raise KeyMissing(f"{self.name}: {fault}: check the key's ARN and the region") from None
        except AwsUnreachable as fault:
            raise KeyUnreachable(f"{self.name}: {fault}") from None
        except AwsRefused as fault:
            if fault.code in _WRONG:
                raise self._wrong(fault) from None
            raise KeyMissing(
                f"{self.name} is not for Keywright to use: {fault}. Check that the key is enabled, the credentials, "
                "and that policy allows kms:Encrypt and kms:Decrypt"
            ) from None


def _bound(context: Context) -> dict[str, str]:
    return {"keywright": base64.b64encode(context).decode()}
