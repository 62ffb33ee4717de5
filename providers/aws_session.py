"""A way to AWS: settings, a client made when it is first needed, and what its errors mean.

    answer                                                              raised
    ResourceNotFoundException, NotFoundException, or an
    InvalidRequestException (marked for deletion)                       AwsAbsent
    AccessDenied*, UnrecognizedClient*, InvalidSignature*,
    Expired*, DecryptionFailure, any other 4xx; no credentials          AwsRefused   (`code` says which)
    Throttling*, TooManyRequests*, 5xx, no answer, no connection        AwsUnreachable

boto3 takes about a second to import and some 30 MB, so that happens at first use.
Codes: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and each call's own.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.core.secret import Secret

_ABSENT = {"ResourceNotFoundException", "NotFoundException", "InvalidRequestException"}
_BUSY = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "LimitExceededException",
}


class AwsTrouble(Exception):
    """AWS did not do what was asked. `code` is the error's code where AWS answered."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class AwsAbsent(AwsTrouble):
    """There is no such thing."""


class AwsRefused(AwsTrouble):
    """It was asked and did not do it."""


class AwsUnreachable(AwsTrouble):
    """It did not answer in time, or asked to be left alone."""


@dataclass(frozen=True)
class AwsKeys:
    """Credentials given outright."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


class AwsSession:
    """Makes calls to one service. Without `keys` boto3's own chain finds credentials (role, profile, environment).

    `timeout` (seconds) bounds connecting and each wait for an answer; a call is tried `attempts` times at most.
    """

    def __init__(
        self,
        service: str,
        region: str,
        *,
        endpoint_url: str | None = None,
        keys: AwsKeys | None = None,
        timeout: float = 3.0,
        attempts: int = 2,
    ) -> None:
        self._service = service
        self._region = region
        self._endpoint_url = endpoint_url
        self._keys = keys
        self._timeout = timeout
        self._attempts = attempts
        self._lock = threading.Lock()
        self._made: Any = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call `operation` of the service, named as boto3 names it. Raises an AwsTrouble."""
        with self._faults():
            answer: dict[str, Any] = getattr(self._client(), operation)(**arguments)
            return answer

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                import boto3
                from botocore.config import Config

                keys = self._keys
                self._made = boto3.session.Session().client(
                    self._service,
                    region_name=self._region,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id=keys.access_key_id if keys else None,
                    aws_secret_access_key=keys.secret_access_key.reveal() if keys else None,
                    aws_session_token=keys.session_token.reveal() if keys and keys.session_token else None,
                    config=Config(
                        connect_timeout=self._timeout,
                        read_timeout=self._timeout,
                        retries={"mode": "standard", "total_max_attempts": self._attempts},
                    ),
                )
            return self._made

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from botocore import exceptions

        # `from None`: the library's errors carry requests, with what is secret in them.
        try:
            yield
        except exceptions.ClientError as fault:
            raise _answered(fault.response) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as fault:
            name = type(fault).__name__
            raise AwsRefused("no AWS credentials: give the service a role, or set keys", name) from None
        except (exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError, exceptions.SSOError) as fault:
            name = type(fault).__name__
            raise AwsRefused(f"AWS credentials cannot be had ({name}): look at the role or profile", name) from None
        except exceptions.ParamValidationError as fault:
            raise AwsRefused("AWS would not take this name", type(fault).__name__) from None
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as fault:
            where = self._endpoint_url or f"{self._service} in {self._region}"
            name = type(fault).__name__
            raise AwsUnreachable(f"{where} did not answer ({name}): look at the region and the endpoint") from None


def _answered(response: dict[str, Any]) -> AwsTrouble:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _ABSENT:
        return AwsAbsent(f"AWS answered {code}", code)
    if code in _BUSY or status == 429 or status >= 500:
        return AwsUnreachable(f"AWS answered {code or status}: it is busy or out of order", code)
    return AwsRefused(f"AWS answered {code or status}", code)
