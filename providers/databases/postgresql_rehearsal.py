"""Rehearsals on PostgreSQL: the whole change in a transaction that is rolled back, and a look around inside of it.

Inside, the new login exists and is a member of the shared role, so that the server itself can be asked what would
hold for it: which rules of pg_hba.conf name one of the two logins and not the other (manual, 53.2 and 21.1), which
settings and limits would not follow (`pg_db_role_setting`, `pg_roles`).
"""

from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from providers.databases import postgresql_roles as roles
from providers.databases.postgresql_failures import failure
from providers.databases.postgresql_login import Bounded
from service.core.connection import Access
from service.core.database import Findings, Trial
from service.core.errors import ChangeUnreachable

_MAY_READ_RULES = """
SELECT has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
   AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE')
"""
# What a name in the list of users means: manual, 21.1. Regular expressions came with version 16.
_NAMES = """
EXISTS (SELECT FROM unnest(h.user_name) n WHERE n IN ('all', {login}) OR n LIKE '/%' AND {login} ~ substr(n, 2)
  OR n LIKE '+%' AND EXISTS (SELECT FROM pg_roles g WHERE g.rolname = substr(n, 2)
                               AND pg_has_role({login}, g.oid, 'MEMBER')))
"""
_RULES = """
SELECT h.line_number, concat_ws(' ', h.type, array_to_string(h.database, ','), array_to_string(h.user_name, ','),
  h.address, h.netmask, h.auth_method), {live}
FROM pg_hba_file_rules h
WHERE h.error IS NULL AND {live} <> {new}
  AND EXISTS (SELECT FROM unnest(h.database) d WHERE d IN ('all', 'sameuser', 'samerole', {database}) OR d ~ '^[/+@]')
ORDER BY h.line_number
"""
_PRIVILEGES = """
SELECT current_user::text, pg_has_role(current_user, 'pg_monitor', 'MEMBER'),
  pg_has_role(current_user, 'pg_signal_backend', 'MEMBER'),
  coalesce((SELECT rolreplication FROM pg_roles WHERE rolname = {live}), false)
"""


def rehearsed(
    connection: Bounded, look: roles.Look, trial: Trial, statements: list[Composed], administration: Access
) -> Findings:
    """Send the statements of the change, and look around. Raises ChangeUnreachable, and psycopg's errors.

    `look` is from before; the caller rolls all of it back.
    """
    problems, warnings = _limits(look, trial)
    for statement in statements:
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            found = failure(error, administration)
            if isinstance(found, ChangeUnreachable):
                raise found from None
            return Findings((found.message, *problems), tuple(warnings))
    me, monitors, signals, replicates = _row(connection, SQL(_PRIVILEGES).format(live=Literal(trial.live)))
    if not monitors:
        grant = _grant("pg_monitor", me)
        warnings.append(f"{me} does not see where sessions come from, nor since when; run: {grant}")
    if trial.ends_sessions and not signals:
        grant = _grant("pg_signal_backend", me)
        problems.append(f"{me} may not end sessions when the drain limit is over; run: {grant}")
    if trial.role and trial.live in look.roles:
        if replicates and trial.live != trial.username:
            warnings.append(f"{trial.live} may replicate, and {trial.username} will not: roles do not hand that on.")
        warnings += _rules(connection, me, trial)
    return Findings(tuple(problems), tuple(warnings))


def protocol(connection: Bounded) -> str:
    """The protocol and cipher of this session; empty if it is plain (manual, 27.2.8)."""
    row = connection.execute(
        "SELECT concat_ws(' ', version, cipher) FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
    ).fetchone()
    return str(row[0]) if row else ""


def _limits(look: roles.Look, trial: Trial) -> tuple[list[str], list[str]]:
    """Settings, connection limit and expiry."""
    problems: list[str] = []
    warnings: list[str] = []
    shared = look.roles.get(trial.role or trial.username)
    live = look.roles.get(trial.live)
    if shared and shared.until not in (None, "infinity"):
        warnings.append(f"{shared.name} expires at {shared.until}; passwords stop working then, new ones too.")
    if not (trial.role and shared):
        return problems, warnings
    if shared.limit >= 0:
        warnings.append(
            f"{shared.name} may have {shared.limit} connections, and so may each of its logins: while one drains, "
            "twice as many can be open."
        )
    if live and live.name != shared.name:
        own = {key for key in live.settings if key not in shared.settings} - {(None, "role")}
        names = sorted(setting for database, setting in own if database in (None, trial.database))
        elsewhere = sorted(f"{setting} in {where}" for where, setting in own if where not in (None, trial.database))
        here = {key: value for key, value in shared.settings.items() if key[0] in (None, trial.database)}
        other = sorted(setting for (at, setting), value in here.items() if live.settings.get((at, setting)) != value)
        advice = f"set them for the role {shared.name} instead (ALTER ROLE … SET)"
        if names:
            problems.append(
                f"{live.name} has settings of its own, which {trial.username} would not have ({', '.join(names)}): the "
                f"two are compared, and the rotation would be undone; {advice}."
            )
        if other:
            warnings.append(
                f"{trial.username} will have {', '.join(other)} as the role {shared.name} has it now, and {live.name} "
                f"has it otherwise. If it was changed for {live.name} itself, the rotation would be undone; {advice}."
            )
        if elsewhere:
            listed = ", ".join(elsewhere)
            warnings.append(f"{live.name} has settings of its own that will not follow ({listed}); {advice}.")
    return problems, warnings


def _rules(connection: Bounded, me: str, trial: Trial) -> list[str]:
    """The rules that would treat the two logins differently, or that this is not known."""
    (may_read,) = _row(connection, SQL(_MAY_READ_RULES))
    if not may_read:
        unknown = f"Whether pg_hba.conf treats {trial.username} as it treats {trial.live} is unknown"
        return [f"{unknown}: {me} may not read pg_hba_file_rules. Look there for rules that name a user."]
    live, new = (SQL(_NAMES).format(login=Literal(login)) for login in (trial.live, trial.username))
    rows = connection.execute(SQL(_RULES).format(live=live, new=new, database=Literal(trial.database))).fetchall()
    return [
        f"pg_hba.conf, line {line}, is for {trial.live if for_live else trial.username} and not for "
        f"{trial.username if for_live else trial.live}: {rule}"
        for line, rule, for_live in rows
    ]


def _row(connection: Bounded, query: SQL | Composed) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101  # a query without a table has a row
    return tuple(row)


def _grant(role: str, administrator: str) -> str:
    return SQL("GRANT {} TO {};").format(Identifier(role), Identifier(administrator)).as_string()
