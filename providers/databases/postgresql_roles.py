"""Roles of PostgreSQL as the catalog shows them, and the statements that change them; each is built here once.

Statements are made by `psycopg.sql`: identifiers and literals are quoted by the driver, and the same objects
are sent by `join` and printed by `explain`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

Verifier = Literal | SQL
"""A literal to send, or a placeholder for a person to read."""
SettingKey = tuple[str | None, str]
"""A database, or None for all of them, and the name of the setting."""

LISTS = {
    "local_preload_libraries",
    "oauth_validator_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}
"""Settings whose stored value is a list of quoted names (`variable_is_guc_list_quote` in PostgreSQL's dumputils.c)."""
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(?:,|$)')


@dataclass(frozen=True)
class Administrator:
    """Who the administration login is on the server."""

    name: str
    superuser: bool
    creates_roles: bool
    version: int
    """As `server_version_num`: 150004, 180001."""

    @property
    def may_create(self) -> bool:
        """May it create roles?"""
        return self.creates_roles or self.superuser

    @property
    def needs_admin_option(self) -> bool:
        """From version 16 on, CREATEROLE reaches only roles that one has ADMIN OPTION on."""
        return self.version >= 160000 and not self.superuser


@dataclass(frozen=True)
class Role:
    """A role, and what the administration login has to do with it."""

    name: str
    login: bool = False
    superuser: bool = False
    limit: int = -1
    until: str | None = None
    expired: bool = False
    administered: bool = True
    """Has the administration login ADMIN OPTION on it?"""
    comment: str | None = None
    acts_as: frozenset[str] = frozenset()
    """Roles that it is a direct member of, in a way that lets it act as them."""
    settings: Mapping[SettingKey, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What one look at the catalog showed: who is connected, and the roles asked for, as far as they exist."""

    who: Administrator
    roles: Mapping[str, Role]


# Before version 16 memberships have no options: every one of them inherits and may SET ROLE.
_LOOK = SQL("""
SELECT r.rolname = current_user, r.rolname::text, r.rolcreaterole, r.rolsuper, r.rolcanlogin, r.rolconnlimit,
  r.rolvaliduntil::text, coalesce(r.rolvaliduntil <= now(), false), pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'),
  shobj_description(r.oid, 'pg_authid'),
  ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
         WHERE m.member = r.oid AND coalesce((to_jsonb(m)->>'inherit_option')::boolean, true)
           AND coalesce((to_jsonb(m)->>'set_option')::boolean, true)),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(d.datname, c.entry) ORDER BY d.datname NULLS FIRST, c.entry), '[]')
     FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN unnest(s.setconfig) c(entry)
    WHERE s.setrole = r.oid)
FROM pg_roles r WHERE r.rolname = current_user OR r.rolname IN ({})
""")


def looking(names: Iterable[str]) -> Composed:
    """The query for a Look at these roles. It relies on a search_path of pg_catalog alone."""
    return _LOOK.format(SQL(", ").join(map(Literal, ["", *names])))


def seen(rows: Iterable[tuple[Any, ...]], version: int) -> Look:
    """What the rows of `looking` tell."""
    who, roles = None, {}
    for is_me, name, creates_roles, superuser, login, limit, until, expired, administered, *more in rows:
        comment, acts_as, entries = more
        if is_me:
            who = Administrator(name, superuser, creates_roles, version)
        settings: dict[SettingKey, str] = {}
        for database, entry in entries:
            setting, _, value = entry.partition("=")
            settings[database, setting] = value
        roles[name] = Role(
            name, login, superuser, limit, until, expired, administered, comment, frozenset(acts_as), settings
        )
    assert who is not None  # noqa: S101  # the catalog holds whoever is asking
    return Look(who, roles)


def missing(who: Administrator, found: Role | None, name: str) -> tuple[str, ...]:
    """What keeps the administration login from changing `name`, each with what a DBA can do about it."""
    if found is None:
        return (f"The role {name} does not exist.",)
    if found.superuser and not who.superuser:
        return (f"{name} is a superuser, and only a superuser may change it; {who.name} is none.",)
    sentences = [] if who.may_create else [needs_createrole(who)]
    if who.needs_admin_option and name == who.name:
        sentences.append(
            f"From PostgreSQL 16 on no login has ADMIN OPTION on itself, and {name} is no superuser: it cannot make "
            "logins that act as itself. Use the strategy single for the connection that it administers itself with."
        )
    elif who.needs_admin_option and not found.administered:
        grant = SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        statement = grant.format(Identifier(name), Identifier(who.name)).as_string()
        sentences.append(f"{who.name} lacks ADMIN OPTION on {name}; run: {statement};")
    return tuple(sentences)


def needs_createrole(who: Administrator) -> str:
    """The sentence for an administration login that may not change roles at all."""
    return (
        f"{who.name} lacks CREATEROLE; run: {SQL('ALTER ROLE {} CREATEROLE').format(Identifier(who.name)).as_string()};"
    )


def lock(what: str) -> Composed:
    """The statement that lets only one transaction at a time, in one database, change `what`: a username, or a fence.

    Other databases of the server have advisory locks of their own (PostgreSQL manual, 13.3.5).
    """
    digest = hashlib.sha256(f"keywright:{what}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    return SQL("SELECT pg_catalog.pg_advisory_xact_lock({})").format(Literal(number))


ACT_AS_ITSELF = SQL("SET LOCAL ROLE NONE").format()
"""Whatever `role` setting it has: a login is itself until the end of the transaction."""


def change_password(username: str, verifier: Verifier) -> Composed:
    """Sets the password."""
    return SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(username), verifier)


def join(who: Administrator, shared: Role | str, login: Role | str, verifier: Verifier) -> list[Composed]:
    """What makes `login` act as `shared`; a string instead of a Role names one that has yet to be created."""
    statements: list[Composed] = []
    if isinstance(shared, str):
        statements.append(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(shared)))
        shared = Role(shared)
    name = login if isinstance(login, str) else login.name
    until: SQL | Composed = SQL("")
    if shared.until or (isinstance(login, Role) and login.until):
        until = SQL("VALID UNTIL {} ").format(Literal(shared.until or "infinity"))
    shape = SQL("CONNECTION LIMIT {} {}PASSWORD {}").format(SQL(str(shared.limit)), until, verifier)
    names = {"role": Identifier(shared.name), "login": Identifier(name), "shape": shape}
    if isinstance(login, str):
        statements.append(SQL("CREATE ROLE {login} LOGIN INHERIT IN ROLE {role} {shape}").format(**names))
        present: Mapping[SettingKey, str] = {}
    else:
        statements.append(SQL("ALTER ROLE {login} LOGIN INHERIT {shape}").format(**names))
        if shared.name not in login.acts_as:
            options = SQL(" WITH INHERIT TRUE, SET TRUE") if who.version >= 160000 else SQL("")
            statements.append(SQL("GRANT {role} TO {login}{options}").format(**names, options=options))
        present = login.settings
    # A shared role that itself acts as another one hands that on.
    wanted = {(None, "role"): shared.name} | dict(shared.settings)
    # That the administration login may not itself SET ROLE earns a notice, not an error (check_role in variable.c).
    statements += [_set(name, key, value) for key, value in wanted.items() if present.get(key) != value]
    statements += [_reset(name, key) for key in present if key not in wanted]
    return statements


def inherited(look: Look, shared: str, username: str, database: str) -> frozenset[str]:
    """Names of settings that `shared` has in `database`, and that `username` has in the same way."""
    role, login = look.roles.get(shared), look.roles.get(username)
    if role is None or login is None:
        return frozenset()
    same = {key for key, value in role.settings.items() if login.settings.get(key) == value}
    return frozenset(setting for where, setting in same if where in (None, database))


def retire(shared: str) -> Composed:
    """Ends direct logins as the shared role; for a person to run once nobody uses it any more."""
    return SQL("ALTER ROLE {} NOLOGIN").format(Identifier(shared))


def _scope(username: str, key: SettingKey) -> Composed:
    database = key[0]
    inside = SQL("") if database is None else SQL(" IN DATABASE {}").format(Identifier(database))
    return SQL("ALTER ROLE {}{}").format(Identifier(username), inside)


def _set(username: str, key: SettingKey, value: str) -> Composed:
    setting = key[1]
    values = SQL(", ").join(Literal(v) for v in (_split(value) if setting in LISTS else [value]))
    # A custom setting has a dot in its name, `app.tenant`, which is part of the name and not to be quoted away.
    return SQL("{} SET {} TO {}").format(_scope(username, key), Identifier(*setting.split(".")), values)


def _reset(username: str, key: SettingKey) -> Composed:
    return SQL("{} RESET {}").format(_scope(username, key), Identifier(*key[1].split(".")))


def _split(value: str) -> list[str]:
    """The names in a stored list: `"$user", public` is `$user` and `public`."""
    if not value:
        return [""]
    names, at = [], 0
    while at < len(value) and (found := _NAME.match(value, at)):
        names.append(found[1].replace('""', '"') if found[1] is not None else found[2].strip())
        at = found.end()
    return names
