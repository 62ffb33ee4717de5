"""Likenesses: what is so of a thing, flat and in words, so that two of them can be laid side by side.

An approval shows what is another afterwards, and is applied only where it still comes to that. So a likeness tells
what people decide about and nothing that moves by itself: no times, no ids, no random texts. A secret stands in it as
a keyed digest of its plaintext.
"""

import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from service.core.access import Grant
from service.core.approval import About, hidden
from service.core.environment import Environment
from service.core.errors import Conflict
from service.core.keyring import SYSTEM
from service.core.person import BY_HAND
from service.core.proof import AppRole
from service.core.rotation import CredentialState
from service.core.schedule import duration_text
from service.core.sealed import credential_context, provider_context
from service.core.variable import ValueKind, Variable
from service.keeper.keys import Keyrings
from service.keeper.variables import Variables
from service.ledger import (
    connections,
    environments,
    grants,
    groups,
    identity_providers,
    incidents,
    machines,
    rotations,
    settings,
    tokens,
    users,
    variables,
)
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

Likeness = dict[str, object]
_ALL = 1_000_000


class Likenesses:
    """Tells what is so."""

    def __init__(self, keyrings: Keyrings, definitions: Variables) -> None:
        self._keyrings = keyrings
        self._definitions = definitions

    def of(self, tx: Transaction, about: About, environment_id: str, resource: str) -> Likeness:
        """Of what an action is about. Empty: it is not there."""
        wall = environments.get(tx, environment_id)
        match about:
            case About.GRANT:
                every = grants.every(tx, "", _ALL)
                return {"grants": _grants(tx, [it.grant for it in every if resource in (it.holder.name, it.holder.id)])}
            case About.USER:
                return _user(tx, resource)
            case About.GROUP:
                return _group(tx, resource)
            case About.EVERYTHING:
                return self._everything(tx)
            case About.TOKEN:
                return _token(tx, resource)
            case About.MACHINE:
                return _machine(tx, resource)
            case _ if wall is None:
                return {}
            case About.VARIABLE:
                return self._variable(tx, wall, resource)
            case About.CONNECTION:
                return self._connection(tx, wall, resource)
            case About.FOLDER:
                return _folder(tx, wall, resource)
            case About.ENVIRONMENT:
                return _environment(wall)

    @staticmethod
    def whom(tx: Transaction, about: About, resource: str) -> Likeness:
        """What a person or a group is called, of which the log has the id: who agrees sees whom it is about."""
        if about in (About.USER, About.GRANT) and (user := users.get(tx, resource)):
            return {"user": user.email}
        group = groups.get(tx, resource) if about is About.GROUP else None
        return {"group": group.name} if group else {}

    def _everything(self, tx: Transaction) -> Likeness:
        """The settings, and the identity providers. Our certificate is left out: it is made anew with its key."""
        told: Likeness = {name: value for name, value in vars(settings.read(tx)).items() if name != "revision"}
        for it in identity_providers.every(tx, "", _ALL):
            parts = it.definition.kept() | {"enabled": it.enabled, "kind": it.definition.kind}
            told |= {f"{it.name}.{part}": value for part, value in parts.items() if part != "certificate"}
            if sealed := identity_providers.sealed(tx, it.id):
                ring = self._keyrings.opener(tx, SYSTEM, sealed)
                told[f"{it.name}.secret"] = self.digest(ring.unseal(sealed, provider_context(SYSTEM, it.id)).reveal())
        return told

    def _variable(self, tx: Transaction, wall: Environment, name: str) -> Likeness:
        found = variables.find(tx, wall.id, name)
        if found is None:
            return {}
        told: Likeness = {"secret": found.secret, "live": found.live, "notes": found.notes}
        for version in variables.history(tx, found.id):
            told[f"version {version.number}"] = f"{version.kind.value}, {version.state.value}"
        told["value"] = self._value(tx, wall, found, found.live)
        if found.newest and found.newest != found.live:
            told["newest value"] = self._value(tx, wall, found, found.newest)
        return told

    def _value(self, tx: Transaction, wall: Environment, found: Variable, number: int | None) -> object:
        version = variables.version(tx, found.id, number) if number else None
        if version is None:
            return None
        try:
            content = self._definitions.opened(tx, wall, version)
        except Conflict:
            return "destroyed"
        if version.kind is ValueKind.REFERENCE or not found.secret:
            return content
        return self.digest(json.dumps(content, sort_keys=True))

    def _connection(self, tx: Transaction, wall: Environment, name: str) -> Likeness:
        stored = connections.find(tx, wall.id, name)
        if stored is None:
            return {}
        told: Likeness = {part: value for part, value in stored.definition.items() if part != "login"}
        told |= {f"rotation.{part}": value for part, value in (stored.policy or {}).items()}
        administration = connections.get(tx, stored.administered_by) if stored.administered_by else None
        told["administered_by"] = administration.name if administration else None
        told["generation"] = stored.generation
        told |= self._login(tx, stored)
        if rotation := rotations.open_one(tx, stored.id):
            told |= {"rotation": rotation.stage.value, "emergency": rotation.emergency, "undo": rotation.undo}
        return told

    def _login(self, tx: Transaction, stored: StoredConnection) -> Likeness:
        live = next((it for it in connections.standing(tx, stored.id) if it.state is CredentialState.LIVE), None)
        if live is None or live.sealed is None:
            return {"username": live.username if live else stored.definition.get("login")}
        ring = self._keyrings.opener(tx, stored.environment_id, live.sealed)
        context = credential_context(stored.environment_id, live.login_id, live.id)
        return {"username": live.username, "password": self.digest(ring.unseal(live.sealed, context).reveal())}

    def digest(self, text: str) -> dict[str, str]:
        """What stands for a secret."""
        said = text.encode(errors="surrogatepass")
        return hidden(hmac.digest(self._keyrings.tag_key(), b"likeness\0" + said, "sha256").hex())


def _user(tx: Transaction, user_id: str) -> Likeness:
    found = users.get(tx, user_id)
    if found is None:
        return {}
    told: Likeness = {"address": found.email, "enabled": found.enabled, "emergency": found.emergency}
    return told | {f"attribute {name}": value for name, value in found.attributes.items()}


def _group(tx: Transaction, group_id: str) -> Likeness:
    """Of its members those whom a hand put there: the others come and go by themselves."""
    found = groups.get(tx, group_id)
    if found is None:
        return {}
    members = groups.members_of(tx, group_id, "", _ALL)
    told: Likeness = {"name": found.name, "second_factor": found.second_factor}
    return told | {f"{it.kind} {it.name}": "is in it" for it in members if it.source == BY_HAND}


def _folder(tx: Transaction, wall: Environment, folder: str) -> Likeness:
    found = connections.listed(tx, wall.id, folder, "", _ALL)
    told: Likeness = {"connections": [it.name for it in found if it.policy is not None]}
    for number, incident in enumerate(it for it in incidents.listed(tx, wall.id, "", _ALL) if it.folder == folder):
        told[f"incident {number + 1}"] = f"{incident.state.value}: {incident.reason}"
    return told


def _environment(wall: Environment) -> Likeness:
    terms = wall.approvals
    return {
        "stores": wall.stores,
        "allowlist": list(wall.allowlist),
        "stale_if_error": wall.stale_if_error,
        "approvals": sorted(area.value for area in terms.areas),
        "approvals.lasts": duration_text(terms.lasts),
    }


def _token(tx: Transaction, name: str) -> Likeness:
    found = tokens.named(tx, name) or tokens.find(tx, name)
    if found is None:
        return {}
    lasts = duration_text(found.expires_at - found.created_at) if found.expires_at else "for ever"
    return {
        "grants": _grants(tx, found.grants),
        "allowlist": list(found.allowlist),
        "certificates": list(found.certificates),
        "lasts": lasts,
    }


def _machine(tx: Transaction, name: str) -> Likeness:
    found = machines.find(tx, name)
    if found is None:
        return {}
    return {
        "enabled": found.enabled,
        "allowlist": list(found.allowlist),
        "token_ttl": duration_text(found.lives.ttl),
        "token_max_life": duration_text(found.lives.most),
        "grants": _grants(tx, found.grants),
        "proofs": sorted(_proof(held.proof) for held in found.proofs),
    }


def _proof(proof: Any) -> str:
    if isinstance(proof, AppRole):
        return str(proof.kind)  # its role id is drawn when it is added
    return f"{proof.kind}: {json.dumps(asdict(proof), default=str, sort_keys=True)}"


def _grants(tx: Transaction, held: Iterable[Grant]) -> list[str]:
    walls = {wall.id: wall.name for wall in environments.read(tx)}
    told = []
    for grant in held:
        where = " ".join(filter(None, (walls.get(grant.environment_id, ""), grant.path)))
        rule = f" if {grant.rule}" if grant.rule else ""
        told.append(f"{grant.level.word} on {grant.kind.value} {where}".strip() + rule)
    return sorted(told)
