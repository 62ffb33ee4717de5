"""A source for pydantic-settings: variables of a folder by field, and connections."""

from typing import Any

import pytest
from keywright import Client, Credential, Invalid
from keywright.settings import KeywrightSource
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings

from tests.client.server import PASSWORD, TOKEN, Server, credential


class Limits(BaseModel):
    """Nested."""

    rows: int


class Settings(BaseSettings):
    """Every kind of field."""

    mail_host: str
    port: int = Field(alias="MAIL_PORT")
    limits: Limits
    hosts: list[str]
    database: Credential
    url: SecretStr
    missing: str = "default"

    @classmethod
    def settings_customise_sources(cls, settings_cls: type[BaseSettings], **sources: Any) -> tuple[Any, ...]:
        """Keywright last."""
        connections = {"database": "shop/db", "url": "shop/db"}
        return (*sources.values(), KeywrightSource(settings_cls, folder="shop/", connections=connections))


@pytest.fixture
def surroundings(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that the process environment names."""
    for name, value in (("ADDR", server.address), ("TOKEN", TOKEN), ("ENVIRONMENT", "development")):
        monkeypatch.setenv(f"KEYWRIGHT_{name}", value)
    server.credentials["shop/db"] = ('"7"', credential())
    server.values = {
        "shop/mail/HOST": "mx",
        "shop/mail-port": "25",
        "shop/limits": {"rows": 5},
        "shop/hosts": '["a", "b"]',
        "other/mail/HOST": "never",
    }
    return server


def test_fields_are_variables_and_connections(surroundings: Server) -> None:
    read = Settings()  # type: ignore[call-arg]
    assert (read.mail_host, read.port, read.limits.rows, read.hosts) == ("mx", 25, 5, ["a", "b"])
    assert (read.database.best.password, read.missing) == (PASSWORD, "default")
    assert read.url.get_secret_value() == read.database.best.url
    assert PASSWORD not in repr(read)


def test_what_comes_before_stands(surroundings: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_HOST", "nearer")
    assert Settings().mail_host == "nearer"  # type: ignore[call-arg]


def test_two_variables_for_one_field_are_refused(surroundings: Server) -> None:
    surroundings.values["shop/mail/host"] = "mx2"
    with pytest.raises(Invalid, match="mail_host"):
        Settings()  # type: ignore[call-arg]


def test_a_client_may_be_given(surroundings: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYWRIGHT_TOKEN")
    with Client(surroundings.address, TOKEN, "development") as client:

        class Given(BaseSettings):
            mail_host: str

            @classmethod
            def settings_customise_sources(cls, settings_cls: type[BaseSettings], **sources: Any) -> tuple[Any, ...]:
                return (KeywrightSource(settings_cls, client, folder="shop"),)

        assert Given().mail_host == "mx"  # type: ignore[call-arg]
        assert client.value("shop/mail/HOST") == "mx"  # it was not closed
