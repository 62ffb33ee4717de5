"""A master key in an environment variable: base64 text of 32 bytes. Wrapped format: `aes.py`.

case                                           error
not set, or empty                              KeyMissing
not a key, or not the right one                KeyWrong
"""

from collections.abc import Mapping

from providers.keys.aes import decoded, unwrapped, wrapped
from service.core.errors import KeyMissing
from service.core.sealed import Context, Randomness
from service.core.secret import Secret


class EnvKey:
    """Wraps under the key in `environment[variable]`."""

    def __init__(self, environment: Mapping[str, str], variable: str, randomness: Randomness) -> None:
        self._environment = environment
        self._variable = variable
        self._randomness = randomness

    @property
    def name(self) -> str:
        """`env:` and the variable's name."""
        return f"env:{self._variable}"

    def wrap(self, data_key: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        return wrapped(data_key, master=self._master(), context=context, randomness=self._randomness)

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        return unwrapped(wrapped, master=self._master(), context=context, name=self.name)

    def _master(self) -> bytes:
        text = self._environment.get(self._variable, "")
        if not text.strip():
            raise KeyMissing(f"the environment variable {self._variable} is not set: it must hold the master key")
        return decoded(Secret(text), self.name)
