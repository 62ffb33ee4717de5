"""Environment variables of the service. A location is the name of one.

case                                                        error
not covered by an allowed pattern, or KEYWRIGHT_*           StoreRefused (whether it is set or not)
not set                                                     StoreAbsent
over the limit, or bytes that are not UTF-8                 StoreMalformed
"""

from collections.abc import Mapping

from providers.stored_object import checked, where
from service.core.errors import StoreAbsent, StoreRefused
from service.core.reference import Reading, Reference, covers

OWN = "KEYWRIGHT_"
"""Prefix of Keywright's own settings, the master key among them: closed whatever the patterns say."""


class EnvStore:
    """Reads the variables that `allowed` covers: exact names, or beginnings followed by `*`."""

    def __init__(self, environment: Mapping[str, str], allowed: tuple[str, ...]) -> None:
        self._environment = environment
        self._allowed = allowed

    def read(self, reference: Reference) -> Reading:
        """The variable's text. There is no version."""
        name = reference.location
        # Compared in upper case: where names do not differ by case, neither must this rule.
        if name.upper().startswith(OWN):
            raise StoreRefused("holds a setting of Keywright itself: keep the value elsewhere", **where(reference))
        if not any(covers(pattern, name) for pattern in self._allowed):
            raise StoreRefused("is not covered by the setting for allowed environment variables", **where(reference))
        text = self._environment.get(name)
        if text is None:
            raise StoreAbsent("is not set in the environment of the service: set it and restart", **where(reference))
        return Reading(checked(text, reference), None)
