"""pydantic-settings: fields are variables of a folder, and connections."""

from typing import Any

from keywright import Credential
from keywright.settings import KeywrightSource
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """What the application is configured by."""

    mail_host: str
    database: Credential

    @classmethod
    def settings_customise_sources(cls, settings_cls: type[BaseSettings], **sources: Any) -> tuple[Any, ...]:
        """Keywright after the others: what the process environment says comes first."""
        return (*sources.values(), KeywrightSource(settings_cls, folder="shop", connections={"database": "shop/db"}))


settings = Settings()
print(settings.mail_host, settings.database.primary.port, settings.database.best.state)
