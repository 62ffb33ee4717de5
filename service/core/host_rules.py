"""Host rules: what whoever owns a database writes there, so that a connection's logins come in from where they should.

Keywright logs in as applications do, to prove passwords, and as the administration login, to turn them: so the first
come from the networks of both, the other one from Keywright's alone. Nothing told here is a secret.

    PostgreSQL   lines of pg_hba.conf (manual, 21.1): the first that matches decides, the last one refuses
    MariaDB      statements that bind accounts to hosts (Knowledge Base, CREATE USER, "Host Name Component")
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from service.core.connection import Engine, Target, TlsMode
from service.core.errors import Conflict

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANYWHERE = "%"
"""The host of an account that may come from wherever it likes, by IPv6 as well."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = {"all", "sameuser", "samerole", "samegroup", "replication"}
"""Mean something else in pg_hba.conf, unless they are quoted."""
_DEFINERS = "SELECT definer, '{kind}' AS kind, {schema} AS db, {name} AS name FROM information_schema.{table}"
_DEFINED = (
    ("view", "table_schema", "table_name", "views"),
    ("routine", "routine_schema", "routine_name", "routines"),
    ("trigger", "trigger_schema", "trigger_name", "triggers"),
    ("event", "event_schema", "event_name", "events"),
)


@dataclass(frozen=True)
class Party:
    """The logins of a connection, and the networks that they come from."""

    connection: str
    logins: tuple[str, ...]
    target: Target
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Parties:
    """Who is to be let in. `administration` is None where there is none, or where it is not told."""

    applications: Party
    administration: Party | None
    untold: str = ""
    """The administration connection, if whoever asks may not see it."""
    assumed: bool = False
    """Nobody said where Keywright comes from: it is taken to come from where applications do."""

    @property
    def all(self) -> tuple[Party, ...]:
        """Without one that is told already."""
        return tuple(party for party in (self.applications, self.administration) if party)


def rules(parties: Parties) -> tuple[str, ...]:
    """The lines to paste, comments among them. Raises Conflict for a name that cannot be written."""
    engine = parties.applications.target.engine
    match engine:
        case Engine.POSTGRESQL:
            return tuple(_postgresql(parties))
        case Engine.MARIADB:
            return tuple(_mariadb(parties))
        case _:
            assert_never(engine)


def distinct(networks: Iterable[str]) -> tuple[str, ...]:
    """Without those that lie in another one, in their order."""
    wanted = list(dict.fromkeys(map(ipaddress.ip_network, networks)))
    return tuple(str(it) for it in wanted if not any(it != other and _within(it, other) for other in wanted))


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _who(parties: Parties) -> Iterator[str]:
    """What holds for both engines, as sentences."""
    own = parties.applications
    yield f"Connection {own.connection}, on {', '.join(map(str, own.target.endpoints))}."
    if parties.assumed:
        yield (
            "Nobody said where Keywright comes from (keywright_from): it is taken to come from the networks below. If "
            "it does not, say so, or it is locked out and turns no password."
        )
    if parties.untold:
        yield (
            f"The administration login is missing: you may not see the connection {parties.untold}. Whoever may use it "
            "is told the rules for it; without them a stricter server lets nobody turn the password."
        )
    for network in dict.fromkeys(network for party in parties.all for network in party.networks):
        if not ipaddress.ip_network(network).prefixlen:
            yield f"CAREFUL: {network} is every address there is. It lets in whoever has the password, from anywhere."


def _postgresql(parties: Parties) -> Iterator[str]:
    yield from (f"# {sentence}" for sentence in _who(parties))
    yield "# Put these lines into pg_hba.conf of each server, above every other line that these logins could match: the"
    yield "# first line that matches decides. Then have it read, and see that no line is wrong:"
    yield "#     SELECT pg_reload_conf();"
    yield "#     SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL;"
    yield "# Whoever has a password that was stored as md5 does not pass scram-sha-256 until it is set anew."
    for party in parties.all:
        if party is parties.applications:
            yield "# Applications, and Keywright, which logs in like them to prove passwords:"
        else:
            yield f"# The administration login ({party.connection}), from where Keywright comes:"
        kind = "host" if party.target.tls.mode is TlsMode.DISABLE else "hostssl"
        names = ",".join(map(_hba, party.logins))
        for network in party.networks:
            yield f"{kind} {_hba(party.target.database)} {names} {network} scram-sha-256"
    yield "# Whatever else these logins try over the network is refused: other addresses, other databases, no TLS."
    everybody = dict.fromkeys(login for party in parties.all for login in party.logins)
    yield f"host all,replication {','.join(map(_hba, everybody))} all reject"


def _hba(name: str) -> str:
    """A name for pg_hba.conf, quoted where it would be read as something else. Raises Conflict."""
    if name.startswith("/"):
        # From 16 on it is a regular expression even in quotes, and before it is not: nothing means it in both.
        raise Conflict(
            f"{name} begins with '/', which pg_hba.conf takes for a regular expression: give it another name"
        )
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _mariadb(parties: Parties) -> Iterator[str]:
    yield from (f"-- {sentence}" for sentence in _who(parties))
    yield "-- Run these as somebody who may change every account, on the primary, while no rotation of it is open."
    yield "-- Leave the accounts named keywright_fence_… and keywright_rehearsal as they are: nobody logs in by them."
    everybody = ", ".join(_text(login) for party in parties.all for login in party.logins)
    yield "-- What there is now. Each row lets in from its host: put the one in use below in place of '%', and drop"
    yield "-- rows that nobody needs. Every row of a login is given the new password; Keywright can prove the one"
    yield "-- that it reaches itself."
    yield f"SELECT user, host FROM mysql.global_priv WHERE user IN ({everybody}) ORDER BY user, host;"
    yield "-- Views, routines, triggers and events keep the former account as their definer, and fail without it. Where"
    yield "-- this shows any, define them anew afterwards:"
    definers = ", ".join(_text(f"{login}@%") for party in parties.all for login in party.logins)
    told = " UNION ALL ".join(
        _DEFINERS.format(kind=kind, schema=schema, name=name, table=table) for kind, schema, name, table in _DEFINED
    )
    yield f"SELECT * FROM ({told}) AS defined WHERE definer IN ({definers});"
    for party in parties.all:
        if party is parties.applications:
            yield "-- Applications, and Keywright, which logs in like them to prove passwords:"
        else:
            yield f"-- The administration login ({party.connection}), from where Keywright comes:"
        yield from _accounts(party)


def _accounts(party: Party) -> Iterator[str]:
    """What binds them to their hosts. An account that is renamed keeps its password, grants and limits."""
    hosts = []
    for network in party.networks:
        if (host := _host(ipaddress.ip_network(network))) is None:
            yield f"-- {network} is left out: MariaDB knows netmasks of IPv4 only. Name single addresses (/128) or"
            yield "-- leave that network to a firewall."
        else:
            hosts.append(host)
    required = "" if party.target.tls.mode is TlsMode.DISABLE else " REQUIRE SSL"
    if hosts and not required:
        yield "-- (TLS is switched off in the connection, so none is asked for.)"
    for login in party.logins if hosts else ():
        first, *others = (_account(login, host) for host in hosts)
        if hosts[0] != ANYWHERE:
            yield f"RENAME USER {_account(login, ANYWHERE)} TO {first};"
        if required:
            yield f"ALTER USER {first}{required};"
        if others:
            yield "-- Each further network takes an account of its own, which is given the same password in the server:"
            yield (
                "SET @proof = (SELECT JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv WHERE "
                f"user = {_text(login)} AND host = {_text(hosts[0])});"
            )
        for other in others:
            made = f"CREATE USER {other} IDENTIFIED VIA mysql_native_password USING '"
            yield f"EXECUTE IMMEDIATE CONCAT({_text(made)}, @proof, {_text(chr(39) + required)});"
        if others:
            yield "SET @proof = NULL;"
            yield f"-- At once, grant to {', '.join(others)} what this shows for the first: until then nobody gets into"
            yield "-- the database by it, and if Keywright comes from there, no password turns."
        yield f"SHOW GRANTS FOR {first};"


def _host(network: Network) -> str | None:
    """As an account has it; None for what cannot be said. A netmask of 0.0.0.0 would match nobody."""
    if isinstance(network, ipaddress.IPv4Network) and not network.prefixlen:
        return ANYWHERE
    if network.num_addresses == 1:
        return str(network.network_address)
    return str(network.with_netmask) if isinstance(network, ipaddress.IPv4Network) else None


def _account(username: str, host: str) -> str:
    """For a statement: in backticks, where a quote or a backslash would depend on the session's mode."""
    if "'" in username or "\\" in username:
        return f"`{username.replace('`', '``')}`@'{host}'"
    return f"'{username}'@'{host}'"


def _text(value: str) -> str:
    """A string for a statement, whatever the session's mode is."""
    if "\\" in value:
        return f"_utf8mb4 x'{value.encode().hex()}'"
    return "'{}'".format(value.replace("'", "''"))
