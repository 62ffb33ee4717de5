"""Who owns everything, and could sign in to mend what others broke."""

from sqlalchemy import and_, false, or_, select

from service.core.access import Kind, Level
from service.ledger import settings
from service.ledger.identities import grants
from service.ledger.ledger import Transaction
from service.ledger.persons import factors, identity_providers, members, users


def owners(tx: Transaction) -> set[str]:
    """The ids of the users who own everything, whatever the hour and the address, by a grant of their own or a group's.

    Enabled or not, and however they sign in.
    """
    everything = (grants.c.kind == Kind.EVERYTHING.value, grants.c.level == Level.OWN.word, grants.c.rule == "")
    held = tx.sql.execute(select(grants.c.user_id, grants.c.group_id).where(*everything)).all()
    found = {row.user_id for row in held if row.user_id}
    ahead = {row.group_id for row in held if row.group_id}
    seen = set(ahead)
    while ahead:
        rows = tx.sql.execute(select(members.c.user_id, members.c.child_id).where(members.c.group_id.in_(ahead))).all()
        found |= {row.user_id for row in rows if row.user_id}
        ahead = {row.child_id for row in rows if row.child_id} - seen
        seen |= ahead
    return found


def can_sign_in(tx: Transaction, ids: set[str]) -> bool:
    """Is one of these users enabled, and has it a way to sign in that the settings leave open?"""
    local = or_(users.c.emergency, users.c.enabled if settings.read(tx).local_sign_in else false())
    passkeys = select(factors.c.user_id).where(factors.c.kind == "passkey")
    outside = select(identity_providers.c.id).where(identity_providers.c.enabled)
    way = or_(
        users.c.provider_id.in_(outside),
        and_(local, or_(users.c.password_hash.is_not(None), users.c.id.in_(passkeys))),
    )
    query = select(users.c.id).where(users.c.id.in_(ids), users.c.enabled, way).limit(1)
    return tx.sql.execute(query).first() is not None
