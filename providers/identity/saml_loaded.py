"""SAML, loaded when somebody first comes by it: the libraries for XML and its signatures take 11 MB.

It stands for the three ports at once; each method is that of the part behind it.
"""

from datetime import datetime
from functools import cached_property

from service.core.saml import (
    Asserted,
    Begun,
    Left,
    Place,
    Saml,
    SamlMetadata,
    SamlSignIns,
    SamlSignOuts,
    Visit,
)
from service.core.sealed import Randomness
from service.core.secret import Secret


class SamlLoaded:
    """The ports `SamlSignIns`, `SamlSignOuts` and `SamlMetadata`. `randomness` makes ids of requests."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    @cached_property
    def _browser(self) -> SamlSignIns:
        from providers.identity.saml import SamlBrowser

        return SamlBrowser(self._randomness)

    @cached_property
    def _logout(self) -> SamlSignOuts:
        from providers.identity.saml_logout import SamlLogout

        return SamlLogout(self._randomness)

    @cached_property
    def _descriptions(self) -> SamlMetadata:
        from providers.identity.saml_metadata import SamlDescriptions

        return SamlDescriptions()

    def begun(self, it: Saml, key: Secret | None, place: Place, now: datetime) -> Begun:
        """See `SamlSignIns`."""
        return self._browser.begun(it, key, place, now)

    def answers(self, message: str) -> str:
        """See `SamlSignIns`."""
        return self._browser.answers(message)

    def asserted(self, it: Saml, key: Secret | None, place: Place, message: str, now: datetime) -> Asserted:
        """See `SamlSignIns`."""
        return self._browser.asserted(it, key, place, message, now)

    def leaving(self, it: Saml, key: Secret | None, place: Place, visit: Visit, now: datetime) -> Begun:
        """See `SamlSignOuts`."""
        return self._logout.leaving(it, key, place, visit, now)

    def left(self, it: Saml, place: Place, query: str, now: datetime) -> Left:
        """See `SamlSignOuts`."""
        return self._logout.left(it, place, query, now)

    def gone(self, it: Saml, key: Secret | None, place: Place, request_id: str, relay: str, now: datetime) -> str:
        """See `SamlSignOuts`."""
        return self._logout.gone(it, key, place, request_id, relay, now)

    def told(self, xml: str) -> dict[str, object]:
        """See `SamlMetadata`."""
        return self._descriptions.told(xml)

    def ours(self, it: Saml, place: Place) -> bytes:
        """See `SamlMetadata`."""
        return self._descriptions.ours(it, place)
