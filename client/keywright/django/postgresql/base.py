"""Django's PostgreSQL backend, over psycopg 3."""

from typing import Any

from django.db.backends.postgresql import base

from keywright import retirement
from keywright.attempts import log_in
from keywright.credential import Credential, Entry
from keywright.django.logins import Keyed, client
from keywright.parameters import libpq, merged
from keywright.refusals import by_sqlstate
from keywright.sqlstates import TellingConnection


class _Telling:
    """The driver as Django sees it, connecting so that failed logins tell their code."""

    connect = TellingConnection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(base.Database, name)


class DatabaseWrapper(Keyed, base.DatabaseWrapper):  # type: ignore[misc]
    """Logs in with what Keywright offers."""

    Database = _Telling()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Django's own, for each entry in turn."""

        def attempt(credential: Credential, entry: Entry) -> Any:
            made = super(DatabaseWrapper, self).get_new_connection(merged(conn_params, libpq(credential, entry)))
            self.keywright_mark = retirement.mark(credential, entry)
            return made

        return log_in(client(), self.keywright_connection, attempt, by_sqlstate)
