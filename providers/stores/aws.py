"""AWS Secrets Manager. A location is the name or the ARN of a secret.

    answer                                                     error
    ResourceNotFound, marked for deletion, no such stage       StoreAbsent
    AccessDenied, bad or expired credentials, no decryption    StoreRefused
    throttled, 5xx, no answer                                  StoreUnreachable
    a binary secret, or one over the limit                     StoreMalformed
    AWSCURRENT is not on `expected`                            Conflict

Writing moves a label, so that a reader sees the old object or the new one, and never neither:

    PutSecretValue → AWSPENDING → read back → UpdateSecretVersionStage moves AWSCURRENT from the version read

The last step names the version that the label must come from, and AWS refuses it if the label is
elsewhere by then (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html).
A process that dies before it leaves a version under AWSPENDING, which the next write takes the label from.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from providers.aws_session import AwsAbsent, AwsRefused, AwsSession, AwsTrouble, AwsUnreachable
from providers.stored_object import checked, holds, parsed, replaced, where, written
from service.core.errors import Conflict, StoreAbsent, StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reading, Reference
from service.core.secret import Secret

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"


class AwsSecretsStore:
    """Reads and writes secrets. `session` is for the service `secretsmanager`.

    Needs secretsmanager:GetSecretValue; to write also PutSecretValue, UpdateSecretVersionStage and DescribeSecret.
    """

    def __init__(
        self, session: AwsSession, *, stage: str = CURRENT, new_token: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self._session = session
        self._stage = stage
        self._new_token = new_token

    def read(self, reference: Reference) -> Reading:
        """The text at the store's stage; `version` is the version id."""
        with _faults(reference):
            text, version = self._get(reference, VersionStage=self._stage)
        return Reading(text, version)

    def write(self, reference: Reference, changes: dict[str, Secret], expected: str | None) -> str:
        """See WritableStore. An object that has the changes already is left alone, so that a retry succeeds."""
        with _faults(reference):
            text, current = self._get(reference, VersionStage=CURRENT)
            if holds(text, changes, reference):
                return current
            if expected is not None and current != expected:
                raise _conflict(reference)
            wanted = checked(written(replaced(parsed(text, reference), changes, reference)), reference)
            new = self._put(reference, wanted)
            self._move(reference, current, new)
            return new

    def turned_elsewhere(self, reference: Reference) -> bool:
        """Is AWS told to rotate this secret by itself?"""
        with _faults(reference):
            described = self._session.call("describe_secret", SecretId=reference.location)
        return bool(described.get("RotationEnabled"))

    def _get(self, reference: Reference, **which: str) -> tuple[Secret, str]:
        answer = self._session.call("get_secret_value", SecretId=reference.location, **which)
        text: Any = answer.get("SecretString")
        if not isinstance(text, str):
            raise StoreMalformed("is binary: store it as text (SecretString)", **where(reference))
        return checked(text, reference), str(answer["VersionId"])

    def _put(self, reference: Reference, wanted: Secret) -> str:
        answer = self._session.call(
            "put_secret_value",
            SecretId=reference.location,
            ClientRequestToken=self._new_token(),
            SecretString=wanted.reveal(),
            VersionStages=[PENDING],
        )
        new = str(answer["VersionId"])
        if self._get(reference, VersionId=new)[0] != wanted:
            self._forget(reference, new)
            raise StoreMalformed(
                "gave back something else than was written; it was not made current", **where(reference)
            )
        return new

    def _move(self, reference: Reference, current: str, new: str) -> None:
        try:
            self._session.call(
                "update_secret_version_stage",
                SecretId=reference.location,
                VersionStage=CURRENT,
                MoveToVersionId=new,
                RemoveFromVersionId=current,
            )
        except AwsRefused:
            # Either the label is elsewhere by now (perhaps where an earlier try with a lost reply put it), or
            # this may not be done at all: where the label is tells.
            label = self._get(reference, VersionStage=CURRENT)[1]
            if label == new:
                return
            self._forget(reference, new)
            if label != current:
                raise _conflict(reference) from None
            raise

    def _forget(self, reference: Reference, version: str) -> None:
        with suppress(AwsTrouble):  # it was never current: the next write takes the label away
            self._session.call(
                "update_secret_version_stage",
                SecretId=reference.location,
                VersionStage=PENDING,
                RemoveFromVersionId=version,
            )


@contextmanager
def _faults(reference: Reference) -> Iterator[None]:
    told = where(reference)
    try:
        yield
    except AwsAbsent as fault:
        raise StoreAbsent(f"{fault}: check the name, the region, and that it is not being deleted", **told) from None
    except AwsRefused as fault:
        raise StoreRefused(f"{fault}: check the credentials, the IAM policy and the KMS key's policy", **told) from None
    except AwsUnreachable as fault:
        raise StoreUnreachable(str(fault), **told) from None


def _conflict(reference: Reference) -> Conflict:
    return Conflict(f"{reference} was changed by somebody else since it was read: read it again, then decide")
