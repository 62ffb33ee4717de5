"""What Django's backends have in common: the client, and when a persistent connection has had its time."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from keywright import retirement
from keywright.client import Client
from keywright.forks import OfProcess
from keywright.retirement import Mark

OPTION = "keywright"


_clients = OfProcess(Client)


def client() -> Client:
    """This process's client, discovered when the first connection is opened."""
    return _clients.get()


class Keyed:
    """Mixed into a DatabaseWrapper, before Django's own."""

    settings_dict: dict[str, Any]
    keywright_mark: Mark | None = None

    @property
    def keywright_connection(self) -> str:
        """The name of the connection. Raises ImproperlyConfigured."""
        named = self.settings_dict["OPTIONS"].get(OPTION)
        if not isinstance(named, str) or not named:
            raise ImproperlyConfigured(f"OPTIONS needs '{OPTION}': the name of a connection, such as 'shop/db'")
        if self.settings_dict["OPTIONS"].get("pool"):
            raise ImproperlyConfigured("OPTIONS has a 'pool', which keeps one password for ever: leave it out")
        return named

    def get_connection_params(self) -> dict[str, Any]:
        """Django's own, without what Keywright will say."""
        named, settings = self.keywright_connection, self.settings_dict
        options = {key: value for key, value in settings["OPTIONS"].items() if key != OPTION}
        # NAME may be left to Keywright, and Django insists on one.
        self.settings_dict = settings | {
            "OPTIONS": options,
            "NAME": settings["NAME"] or named,
            "USER": "",
            "PASSWORD": "",
        }
        try:
            found: dict[str, Any] = super().get_connection_params()  # type: ignore[misc]
        finally:
            self.settings_dict = settings
        if not settings["NAME"]:
            for key in ("dbname", "database"):
                found.pop(key, None)
        return found

    def close_if_unusable_or_obsolete(self) -> None:
        """As Django's, and if the login was replaced. Called before and after a request, never in a transaction."""
        connected, atomic = getattr(self, "connection", None), getattr(self, "in_atomic_block", False)
        if connected is not None and not atomic:
            named = self.keywright_connection
            if retirement.retired(self.keywright_mark, lambda: client().credential(named)):
                self.close()  # type: ignore[attr-defined]
                return
        super().close_if_unusable_or_obsolete()  # type: ignore[misc]
