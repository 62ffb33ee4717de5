"""Identity providers: their rows, their sealed secrets, and the sessions that they opened."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from service.core.identity import Definition, IdentityProvider
from service.core.openid import OpenId
from service.core.saml import Saml
from service.ledger.changes import Kind as Changed
from service.ledger.identities import tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import groups, identity_providers, members, sessions, users

KINDS: Mapping[str, Callable[[Mapping[str, object]], Definition]] = {OpenId.kind: OpenId.of, Saml.kind: Saml.of}
"""How a definition is read, by its kind."""


def _made(row: Row[Any]) -> IdentityProvider:
    return IdentityProvider(
        row.id,
        row.name,
        KINDS[row.kind](row.definition),
        row.enabled,
        row.sealed is not None,
        row.revision,
        row.created_at,
        row.created_by,
        row.updated_at,
    )


def named(tx: Transaction, name: str) -> IdentityProvider | None:
    """By name."""
    row = tx.sql.execute(select(identity_providers).where(identity_providers.c.name == name)).one_or_none()
    return _made(row) if row else None


def get(tx: Transaction, provider_id: str) -> IdentityProvider | None:
    """By id."""
    row = tx.sql.execute(select(identity_providers).where(identity_providers.c.id == provider_id)).one_or_none()
    return _made(row) if row else None


def every(tx: Transaction, after: str, limit: int) -> list[IdentityProvider]:
    """By name, behind `after`."""
    found = select(identity_providers).where(identity_providers.c.name > after)
    return [_made(row) for row in tx.sql.execute(found.order_by(identity_providers.c.name).limit(limit))]


def sealed(tx: Transaction, provider_id: str) -> bytes | None:
    """Its secret, as it is kept."""
    query = select(identity_providers.c.sealed).where(identity_providers.c.id == provider_id)
    return tx.sql.execute(query).scalar_one_or_none()


def _row(it: IdentityProvider) -> dict[str, Any]:
    return {
        "name": it.name,
        "kind": it.definition.kind,
        "definition": it.definition.kept(),
        "enabled": it.enabled,
        "revision": it.revision,
        "updated_at": it.updated_at,
    }


def add(tx: Transaction, new: IdentityProvider, secret: bytes | None) -> None:
    """A new one."""
    own = {"id": new.id, "created_at": new.created_at, "created_by": new.created_by, "sealed": secret}
    tx.sql.execute(insert(identity_providers).values(_row(new) | own))


def change(tx: Transaction, it: IdentityProvider) -> None:
    """As it is from now on; its secret stays."""
    tx.sql.execute(update(identity_providers).where(identity_providers.c.id == it.id).values(_row(it)))


def set_secret(tx: Transaction, provider_id: str, secret: bytes | None) -> None:
    """Another secret from now on, or none."""
    tx.sql.execute(update(identity_providers).where(identity_providers.c.id == provider_id).values(sealed=secret))


def remove(tx: Transaction, it: IdentityProvider) -> None:
    """It is gone, and the memberships that it told. Its users stay."""
    forget(tx, it, but=())
    tx.sql.execute(delete(identity_providers).where(identity_providers.c.id == it.id))


def forget(tx: Transaction, it: IdentityProvider, *, but: Collection[str]) -> int:
    """Memberships that it told end, but for those of groups of these names. How many."""
    query = select(members.c.id, members.c.user_id).join(groups, groups.c.id == members.c.group_id)
    rows = tx.sql.execute(query.where(members.c.source == it.source, groups.c.name.not_in(but))).all()
    for page in (rows[at : at + 500] for at in range(0, len(rows), 500)):
        tx.sql.execute(delete(members).where(members.c.id.in_([row.id for row in page])))
    tx.touch(Changed.USER, *{row.user_id for row in rows if row.user_id})
    return len(rows)


def used(tx: Transaction, provider_id: str) -> bool:
    """Does anybody sign in by it?"""
    return tx.sql.execute(select(users.c.id).where(users.c.provider_id == provider_id).limit(1)).first() is not None


def end_sessions(
    tx: Transaction,
    provider_id: str,
    *,
    session: str = "",
    subject: str = "",
    told: Callable[[str], bool] = lambda _: True,
) -> int:
    """Sessions that it opened are of no use from now on: one, those of one person, or all. How many.

    `told` looks at what the provider calls them.
    """
    query = select(sessions.c.token_id, sessions.c.provider_session).where(sessions.c.provider_id == provider_id)
    if session:
        query = query.where(sessions.c.provider_session == session)
    if subject:
        who = select(users.c.id).where(users.c.provider_id == provider_id, users.c.subject == subject)
        query = query.where(sessions.c.user_id.in_(who))
    ids = [row.token_id for row in tx.sql.execute(query) if told(row.provider_session)]
    if ids:
        tx.sql.execute(delete(tokens).where(tokens.c.id.in_(ids)))
        tx.touch(Changed.TOKEN, *ids)
    return len(ids)
