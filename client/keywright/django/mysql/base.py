"""Django's MySQL backend, for MySQL and MariaDB, over PyMySQL: it takes mysqlclient's place in this process."""

from typing import Any

import pymysql
from django.core.exceptions import ImproperlyConfigured

pymysql.install_as_MySQLdb()  # before Django's backend looks for it

from django.db.backends.mysql import base  # noqa: E402

from keywright import parameters, retirement  # noqa: E402
from keywright.attempts import log_in  # noqa: E402
from keywright.credential import Credential, Entry  # noqa: E402
from keywright.django.logins import Keyed, client  # noqa: E402
from keywright.refusals import by_number  # noqa: E402

if base.Database is not pymysql:
    raise ImproperlyConfigured("another database uses mysqlclient already: use PyMySQL for all of them")


class DatabaseWrapper(Keyed, base.DatabaseWrapper):  # type: ignore[misc]
    """Logs in with what Keywright offers."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Django's own, for each entry in turn."""

        def attempt(credential: Credential, entry: Entry) -> Any:
            arguments = parameters.merged(conn_params, parameters.pymysql(credential, entry))
            made = super(DatabaseWrapper, self).get_new_connection(arguments)
            self.keywright_mark = retirement.mark(credential, entry)
            return made

        return log_in(client(), self.keywright_connection, attempt, by_number)
