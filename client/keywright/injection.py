"""Variables and connections as entries of a process environment.

A variable `shop/db/PASSWORD` becomes `PASSWORD`, its last segment, exactly as written.
Two that would share an entry are refused rather than one winning in silence. So are entries by which loaders, shells
and interpreters are told what to run: who may write a variable is not who may choose the program.
"""

import json
import re
from collections.abc import Collection, Iterable

from keywright.client import Value
from keywright.credential import Credential
from keywright.errors import Invalid
from keywright.names import last

# POSIX.1-2017, base definitions, 8.1, and what shells take besides capitals.
_ENTRY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_COMMANDING = re.compile(
    r"(LD_|DYLD_|PYTHON|PERL5|GIT_|KEYWRIGHT_).*|PATH|IFS|BASH_ENV|ENV|NODE_OPTIONS|RUBYOPT|JAVA_TOOL_OPTIONS"
)


class Entries:
    """Entries for a process environment, each with where it comes from."""

    def __init__(self, allow: Collection[str] = ()) -> None:
        """`allow` names entries that variables may give although a program may be commanded by them."""
        self._allow = allow
        self._values: dict[str, str] = {}
        self._sources: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Entries({', '.join(self._sources)})"

    def add(self, entry: str, value: str, source: str) -> None:
        """Raises Invalid for a collision, a name that no process environment takes, or a value that none can hold."""
        if not _ENTRY.fullmatch(entry):
            raise Invalid(
                f"{source} cannot be injected: {entry!r} is not a name for a process environment "
                "(letters, digits and '_', not starting with a digit); rename it, or pick others with --names"
            )
        if entry in self._sources:
            raise Invalid(
                f"{self._sources[entry]} and {source} would both become {entry}: "
                "rename one, or pick with --folder, --names or --prefix"
            )
        if "\0" in value:
            raise Invalid(f"{source} cannot be injected: its value holds a NUL character; fetch it from the program")
        self._values[entry] = value
        self._sources[entry] = source

    def add_variables(self, values: Iterable[tuple[str, Value]]) -> None:
        """Each variable under its last segment; an object as JSON. Raises as `add`."""
        for name, value in values:
            if _COMMANDING.fullmatch(last(name)) and last(name) not in self._allow:
                raise Invalid(
                    f"{name} cannot be injected: by {last(name)} a program is told what to run; rename it, pick others "
                    f"with --names, or give --allow {last(name)}"
                )
            self.add(last(name), value if isinstance(value, str) else json.dumps(value), name)

    def add_connection(self, credential: Credential, prefix: str = "") -> None:
        """DATABASE_URL, DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD, each after `prefix`. Raises as `add`."""
        fields = {
            "DATABASE_URL": credential.best.url,
            "DB_HOST": credential.primary.host,
            "DB_PORT": str(credential.primary.port),
            "DB_NAME": credential.database,
            "DB_USER": credential.best.username,
            "DB_PASSWORD": credential.best.password,
        }
        for entry, value in fields.items():
            self.add(prefix + entry, value, f"{entry} of connection {credential.connection}")

    def values(self) -> dict[str, str]:
        """All of them, by name."""
        return dict(self._values)
