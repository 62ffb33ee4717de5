"""Settings: read once from the environment, typed, and never a module's global.

Every setting is an environment variable `KEYWRIGHT_…`; the README's table is held against this class by a test.
Secrets among the settings may also come from a file named by `…_FILE` (Docker and Kubernetes mounts).
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from service.core.errors import Invalid
from service.core.schedule import duration

PREFIX = "KEYWRIGHT_"
Words = Annotated[tuple[str, ...], NoDecode]
"""Comma-separated."""


class Settings(BaseSettings):
    """What an operator may decide."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data: Path = Field(Path("keywright-data"), description="Folder of the embedded ledger and the master key file.")
    ledger: SecretStr = Field(
        SecretStr(""), description="`postgresql://…` for a ledger in PostgreSQL. Empty: SQLite in the data folder."
    )
    key: str = Field(
        "",
        description="Home of the master key: `file:PATH`, `env:NAME`, `aws-kms:KEY_ID`, `transit:MOUNT/KEY`. "
        "Empty: `file:` with `master.key` in the data folder, made on first use.",
    )
    escrow: Path | None = Field(
        None,
        description="Sealed file that keeps the passwords of connections that administer themselves, for when the "
        "ledger is lost. Keep it on another disk.",
    )
    listen: str = Field("127.0.0.1:8420", description="Address and port to serve on.")
    url: str = Field(
        "",
        description="Address under which people reach this server, such as `https://keywright.example`: where they are "
        "sent back to when they sign in elsewhere. Empty: `http://` with `KEYWRIGHT_LISTEN`, if that is this machine.",
    )
    breached_passwords: Path | None = Field(
        None,
        description="File of passwords known from breaches, which nobody may choose: SHA-1 in hex, one a line, sorted "
        "by it, as the well-known download has them. It is read here, and nothing is sent anywhere.",
    )
    tls_cert: Path | None = Field(None, description="Certificate chain (PEM) to serve TLS with.")
    tls_key: Path | None = Field(None, description="Its private key (PEM).")
    tls_client_ca: Path | None = Field(
        None, description="Authority of client certificates (PEM): who shows one of its own is known by it."
    )
    connections: int = Field(
        10_000, ge=10, le=1_000_000, description="Connections of clients at once; more are refused."
    )
    requests: int = Field(
        4000, ge=10, le=1_000_000, description="Requests worked on at once, those that wait for a change not counted."
    )
    streams: int = Field(1000, ge=0, le=100_000, description="Streams of signals that may be open at once.")
    awake: bool = Field(
        False,
        description="Whether the machine's processors are kept from sleeping while fetches come (Linux, "
        "`/dev/cpu_dma_latency`); see `docs/performance.md`.",
    )
    address_rate: float = Field(
        0, ge=0, description="Requests a second from one address, and five times as many at once. 0: no limit."
    )
    caller_rate: float = Field(0, ge=0, description="The same for one token.")
    refused_rate: float = Field(
        10, ge=0, description="The same for requests from one address whose token is not known. Known tokens pass."
    )
    trusted_proxies: Words = Field(
        (),
        description="Comma-separated CIDR blocks of the proxies in front: only they are believed `X-Forwarded-For`.",
    )
    environments: Words = Field(
        (), description="Comma-separated: the only environments that this instance serves. Empty: all."
    )
    events_keep: str = Field(
        "",
        description="How long events are kept, such as `400d`; what is older is pruned, as far as a checkpoint reaches "
        "that was exported. Empty: for good.",
    )
    vault_door: bool = Field(
        True, description="Whether clients of Vault and OpenBao are served, at `/v1/`; see `docs/vault.md`."
    )
    vault_mounts: str = Field(
        "", description="The mounts there, a JSON object. Empty: `secret/` (KV 2), `kv/` (KV 1), `database/`."
    )
    vault_leases: bool = Field(
        False,
        description="Whether static credentials there tell their ttl as `lease_duration`, for clients that renew "
        "leases only.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_format: Literal["text", "json"] = Field("text", description="For people or for machines.")
    clock: bool = Field(True, description="Whether `serve` rotates too; off where `keywrightd scheduler` does it.")
    tick: float = Field(1.0, ge=0.05, le=60, description="Seconds between two looks for due rotations.")
    lease: float = Field(
        30.0, ge=1, le=600, description="Seconds after which the work of a worker that died or hangs is taken over."
    )
    workers: int = Field(4, ge=1, le=64, description="Rotations at once on one database server.")
    parallel: int = Field(
        16, ge=1, le=256, description="Rotations at once, over all servers and all processes on the ledger."
    )
    failed_logins: int = Field(
        3, ge=1, le=100, description="Rejected logins in a row that are risked with one account: fewer than lock it."
    )

    env_allow: Words = Field(
        (), description="Comma-separated environment variables that `env:` references may read; `SHOP_*` for a prefix."
    )
    file_roots: Words = Field(
        (), description="Comma-separated folders under which `file:` references may read, such as `/run/secrets`."
    )
    store_timeout: float = Field(
        10.0, ge=0.1, le=60, description="Seconds that a fetch waits for an outside store, at most."
    )
    webhook_networks: Words = Field(
        (), description="Comma-separated networks (CIDR), beside the public ones, that webhooks may be sent into."
    )
    webhook_plain: bool = Field(False, description="Whether webhooks may go to http addresses: for development.")
    webhook_ca: Path | None = Field(None, description="CA file (PEM) to verify targets of webhooks with, alone.")
    vault_addr: str = Field("", description="Address of Vault or OpenBao, for `vault:` references and `transit:` keys.")
    vault_token: SecretStr = Field(SecretStr(""), description="Log in there with a token…")
    vault_role_id: str = Field("", description="…or with AppRole…")
    vault_secret_id: SecretStr = Field(SecretStr(""), description="…and its secret id…")
    vault_kubernetes_role: str = Field("", description="…or as this Kubernetes role.")
    vault_namespace: str = Field("", description="Namespace there.")
    vault_ca: Path | None = Field(None, description="CA file to verify it with.")
    kubernetes_api: str = Field(
        "", description="Address of the API server that looks at service accounts' tokens, for machines that show them."
    )
    kubernetes_ca: Path | None = Field(None, description="CA file to verify it with.")
    kubernetes_reviewer: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="File with the token that Keywright shows it, read each time.",
    )
    aws_region: str = Field("", description="Region for `aws-sm:` references and `aws-kms:` keys.")
    aws_endpoint: str = Field("", description="Endpoint URL instead of the public one.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` passes in: otherwise validating would read the process's environment once more."""
        return (init_settings,)

    @field_validator("environments", "env_allow", "file_roots", "trusted_proxies", "webhook_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("events_keep")
    @classmethod
    def _a_duration(cls, value: str) -> str:
        if value:
            try:
                duration(value, "it")
            except Invalid as error:
                raise ValueError(error.message) from None
        return value

    @property
    def events_kept(self) -> timedelta | None:
        """How long events are kept; None for good."""
        return duration(self.events_keep, f"{PREFIX}EVENTS_KEEP") if self.events_keep else None

    @property
    def ledger_url(self) -> str:
        """Where the ledger is."""
        return self.ledger.get_secret_value() or f"sqlite:///{self.data.absolute() / 'ledger.sqlite'}"

    @property
    def embedded_file(self) -> Path | None:
        """The file of an embedded ledger; None for one in PostgreSQL."""
        return None if self.ledger.get_secret_value() else self.data.absolute() / "ledger.sqlite"

    @property
    def place(self) -> str:
        """Where the ledger is, for people: a URL may hold a password."""
        return str(self.embedded_file or "the PostgreSQL of KEYWRIGHT_LEDGER")

    @property
    def key_home(self) -> str:
        """Where the master key is."""
        return self.key or f"file:{self.data.absolute() / 'master.key'}"

    @property
    def public_url(self) -> str:
        """Where people reach it, without a slash at the end; empty if nobody said. Raises Invalid."""
        if self.url:
            found = urlsplit(self.url)
            near = found.hostname in ("127.0.0.1", "::1", "localhost")
            plain = f"{found.scheme}://{found.netloc}"
            if not found.hostname or found.scheme not in (("http", "https") if near else ("https",)):
                raise Invalid(f"{PREFIX}URL must begin with https:// (http:// is for this machine only)")
            if self.url.rstrip("/") != plain or "@" in found.netloc:
                raise Invalid(f"{PREFIX}URL must be an address without path, such as https://keywright.example")
            return plain
        host, port = self.host_and_port
        scheme = "https" if self.tls_cert else "http"
        return f"{scheme}://{self.listen}" if host in ("127.0.0.1", "localhost") and port else ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Raises Invalid."""
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise Invalid(f"{PREFIX}LISTEN must be ADDRESS:PORT, such as 127.0.0.1:8420")
        return host.strip("[]"), int(port)


def process_environment() -> Mapping[str, str]:
    """The environment of this process: the one place where it is read, besides the settings."""
    return os.environ  # noqa: TID251 - see above


def read(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings of the environment; `given` ones count more. Raises Invalid naming each variable at fault."""
    environment = process_environment() if environment is None else environment
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        if variable in environment:
            values[name] = environment[variable]
        elif f"{variable}_FILE" in environment:
            values[name] = _from_file(Path(environment[f"{variable}_FILE"]), f"{variable}_FILE")
    unknown = [
        name
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.removesuffix("_FILE") not in known | CLIENT and not _is_link(name, value)
    ]
    if unknown:
        raise Invalid(f"there is no setting {', '.join(sorted(unknown))}; see `keywrightd settings`")
    try:
        return Settings.model_validate(values | given)
    except ValidationError as error:
        # Never the value: what was meant for another variable may be a secret.
        wrong = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False))
        raise Invalid(f"a setting is wrong: {wrong}") from None


CLIENT = {f"{PREFIX}{name}" for name in ("ADDR", "TOKEN", "ENVIRONMENT", "CA", "CA_FILE", "ALLOW_PLAIN")}
CLIENT |= {f"{PREFIX}CLIENT_{name}" for name in ("CERT", "KEY")}
"""Variables of the `keywright` command, which may stand in the same environment."""

_LINK = re.compile(
    rf"{PREFIX}([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes puts into every pod beside a Service named `keywright`, `keywright-postgresql`, …"""


def _is_link(name: str, value: str) -> bool:
    # `…_PORT` alone could be a setting misspelt: there the value decides, `tcp://10.0.0.11:5432`.
    return bool(_LINK.fullmatch(name)) or (name.endswith("_PORT") and "://" in value)


def _from_file(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{variable}: {path} cannot be read ({type(error).__name__})") from None
