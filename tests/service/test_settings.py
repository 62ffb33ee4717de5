"""Settings: what is not known is refused, secrets come from files, and an error never shows a value."""

from pathlib import Path

import pytest

from service.core.errors import Invalid
from service.settings import Settings, read


def test_defaults() -> None:
    found = read({})
    assert found.ledger_url.startswith("sqlite:///")
    assert found.ledger_url.endswith("/keywright-data/ledger.sqlite")
    assert found.key_home.endswith("/keywright-data/master.key")
    assert found.host_and_port == ("127.0.0.1", 8420)


def test_the_process_environment_is_not_mixed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYWRIGHT_LISTEN", "192.0.2.1:1")
    monkeypatch.setenv("keywright_log_level", "debug")
    assert read({}).listen == "127.0.0.1:8420"
    assert read().listen == "192.0.2.1:1"
    assert read({"KEYWRIGHT_LISTEN": "192.0.2.2:2"}, listen="192.0.2.3:3").listen == "192.0.2.3:3"


def test_lists() -> None:
    found = read({"KEYWRIGHT_ENVIRONMENTS": "staging, testing,", "KEYWRIGHT_ENV_ALLOW": "SHOP_*"})
    assert (found.environments, found.env_allow, found.file_roots) == (("staging", "testing"), ("SHOP_*",), ())


@pytest.mark.parametrize(
    "name", ["KEYWRIGHT_LISTN", "KEYWRIGHT_", "KEYWRIGHT_LEDGER_URL", "KEYWRIGHT_LISTEN_FILE_FILE"]
)
def test_a_variable_that_is_no_setting_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid, match=name) as refused:
        read({name: "hunter2"})
    assert "hunter2" not in refused.value.message


def test_what_else_stands_in_the_environment_is_left_alone() -> None:
    client = {"KEYWRIGHT_ADDR": "https://x", "KEYWRIGHT_TOKEN": "kw_x", "KEYWRIGHT_ENVIRONMENT": "production"}
    read(client | {"PATH": "/bin", "XKEYWRIGHT_Y": "1"})


LINKS = {
    # What Kubernetes puts beside a Service named `keywright` (kubernetes.io, "Service", environment variables).
    "KEYWRIGHT_SERVICE_HOST": "10.0.0.11",
    "KEYWRIGHT_SERVICE_PORT": "8420",
    "KEYWRIGHT_SERVICE_PORT_HTTPS": "8420",
    "KEYWRIGHT_PORT": "tcp://10.0.0.11:8420",
    "KEYWRIGHT_PORT_8420_TCP": "tcp://10.0.0.11:8420",
    "KEYWRIGHT_PORT_8420_TCP_PROTO": "tcp",
    "KEYWRIGHT_PORT_8420_TCP_PORT": "8420",
    "KEYWRIGHT_PORT_8420_TCP_ADDR": "10.0.0.11",
}


@pytest.mark.parametrize("other", ["", "POSTGRESQL_", "LEDGER_", "PG_HEADLESS_"])
def test_what_kubernetes_says_about_services_is_ignored(other: str) -> None:
    """Also about one named `keywright-postgresql`, which stands beside most installations."""
    links = {name.replace("KEYWRIGHT_", f"KEYWRIGHT_{other}"): value for name, value in LINKS.items()}
    assert read(links) == read({})


@pytest.mark.parametrize("name", ["KEYWRIGHT_LISTEN_PORT", "KEYWRIGHT_VAULT_PORT"])
def test_a_wrong_setting_does_not_pass_for_a_service(name: str) -> None:
    with pytest.raises(Invalid, match=name):
        read({name: "8420"})


def test_secrets_from_files(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text("postgresql://u:hunter2@h/d\n")
    found = read({"KEYWRIGHT_LEDGER_FILE": str(file)})
    assert found.ledger_url == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(found)
    assert "hunter2" not in str(found.model_dump())
    assert read({"KEYWRIGHT_LEDGER_FILE": str(file), "KEYWRIGHT_LEDGER": "postgresql://v"}).ledger_url.endswith("v")


@pytest.mark.parametrize("content", [None, b"\xff\xfehunter2"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Invalid, match="KEYWRIGHT_VAULT_TOKEN_FILE") as refused:
        read({"KEYWRIGHT_VAULT_TOKEN_FILE": str(file)})
    assert "hunter2" not in refused.value.message


WRONG = ("TICK", "WORKERS", "LOG_LEVEL", "LOG_FORMAT", "CLOCK")


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_variable_and_never_show_the_value(name: str) -> None:
    """What was meant for another variable may be a secret."""
    with pytest.raises(Invalid, match=f"KEYWRIGHT_{name}") as refused:
        read({f"KEYWRIGHT_{name}": "hunter2"})
    seen = [refused.value.message, repr(refused.value), str(refused.value.__cause__)]
    assert "hunter2" not in "".join(seen)


@pytest.mark.parametrize("listen", ["8420", ":8420", "host:", "host:x", "host:65536", "127.0.0.1:-1"])
def test_addresses_that_are_none(listen: str) -> None:
    with pytest.raises(Invalid, match="KEYWRIGHT_LISTEN"):
        _ = read({"KEYWRIGHT_LISTEN": listen}).host_and_port


def test_addresses() -> None:
    assert read({"KEYWRIGHT_LISTEN": "[::1]:80"}).host_and_port == ("::1", 80)
    assert read({"KEYWRIGHT_LISTEN": "0.0.0.0:0"}).host_and_port == ("0.0.0.0", 0)


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())
