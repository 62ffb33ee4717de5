"""A source for pydantic-settings: `pip install keywright[settings]`.

class Settings(BaseSettings):
    mail_host: str
    database: Credential

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        return (*sources.values(), KeywrightSource(settings_cls, folder="shop", connections={"database": "shop/db"}))

A field is a variable below the folder whose path, with `/`, `.` and `-` read as `_`, is the field's name or alias in
any case: `shop/mail/HOST` is `mail_host`. A JSON object is a nested model. A field named in `connections` is the
credential, or its URL if the field is text. Settings are read once: to live through rotations, log in through one of
the integrations.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from keywright.client import Client
from keywright.credential import Credential
from keywright.errors import Invalid
from keywright.fetched import Value


class KeywrightSource(PydanticBaseSettingsSource):
    """The variables of a folder, and connections."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        client: Client | None = None,
        *,
        folder: str = "",
        connections: Mapping[str, str] | None = None,
    ) -> None:
        """Without a `client` one is discovered, and closed again. `connections` are names by field."""
        super().__init__(settings_cls)
        self._client = client
        self._folder = folder
        self._connections = dict(connections or {})
        self._found: dict[str, Value] = {}

    def __repr__(self) -> str:
        return f"KeywrightSource(folder={self._folder!r})"

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The field's value, or None. Raises Invalid when two variables have its name."""
        for name in _names(field, field_name):
            if (value := self._found.get(_key(name))) is not None:
                return value, name, isinstance(value, str) and self.field_is_complex(field)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """All that was found, by field. Raises any of `keywright.errors`."""
        if self._client is not None:
            return self._read(self._client)
        with Client() as client:
            return self._read(client)

    def _read(self, client: Client) -> dict[str, Any]:
        self._found = _by_key(client.values(folder=self._folder), self._folder)
        read: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            if name := self._connections.get(field_name):
                read[_told_as(field, field_name)] = _credential(client.credential(name), field)
                continue
            value, key, whole = self.get_field_value(field, field_name)
            if isinstance(value, str):
                value = self.prepare_field_value(field_name, field, value, whole)
            if value is not None:
                read[key] = value
        return read


def _by_key(values: Mapping[str, Value], folder: str) -> dict[str, Value]:
    prefix = folder.removesuffix("/") + "/" if folder else ""
    found: dict[str, Value] = {}
    for name, value in values.items():
        key = _key(name.removeprefix(prefix))
        if key in found:
            raise Invalid(f"{name} and another variable are the same field, {key}: rename one", field="folder")
        found[key] = value
    return found


def _key(name: str) -> str:
    return name.translate(str.maketrans("/.-", "___")).lower()


def _names(field: FieldInfo, field_name: str) -> Iterator[str]:
    """What the field may be told as, its alias first, as pydantic takes it."""
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        yield from (choice for choice in alias.choices if isinstance(choice, str))
    elif isinstance(alias, str):
        yield alias
    if alias is None:
        yield field_name


def _told_as(field: FieldInfo, field_name: str) -> str:
    return next(_names(field, field_name), field_name)


def _credential(credential: Credential, field: FieldInfo) -> Any:
    return credential.best.url if field.annotation in (str, SecretStr) else credential
