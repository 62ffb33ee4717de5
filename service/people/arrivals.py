"""Arrivals: what happens once an identity provider has proven who somebody is, whatever its protocol.

    proven ──► still the same provider? ──► admitted ──► `entering.py`: a second factor first, or a session

All of it is one transaction: an account, its groups, the session and their events are there together or not at all.
Whoever is turned away is a stranger to the log, like one with a wrong token: a bounded number of events.

With the session something is kept for its end: what the provider wants to see again when the person signs out. It is
kept for person, provider and what that calls the session: a session gets another id where it comes to mean more.
"""

from collections.abc import Mapping

from service.core.access import Caller
from service.core.errors import Often
from service.core.identity import Claimed, IdentityProvider, NotLetIn
from service.core.person import Session
from service.keeper.door import Door
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import OPEN, Way
from service.ledger import identity_providers, settings, tokens
from service.ledger.ledger import Transaction
from service.people.admission import Admission
from service.people.entering import Entered, Entering, Visitor
from service.people.strangers import refused

HINT = "sign-out"


class Arrivals:
    """Lets people in."""

    def __init__(self, door: Door, recorder: Recorder, pendings: Pendings, entering: Entering) -> None:
        self._door = door
        self._recorder = recorder
        self._pendings = pendings
        self._entering = entering
        self._admission = Admission(door)

    def arrive(self, provider: IdentityProvider, claimed: Claimed, visitor: Visitor) -> Entered:
        """Let in whom `provider` proved. Raises NotLetIn."""
        about = Caller(provider.id, provider.method, "provider", (), visitor.address, visitor.request_id)

        def act(tx: Transaction) -> Entered:
            if identity_providers.get(tx, provider.id) != provider:
                raise NotLetIn("the identity provider was configured anew meanwhile: sign in once more", "changed")
            user = self._admission.admit(tx, provider, claimed, about)
            way = Way(provider.method, visitor.address, visitor.agent, provider.id, claimed.session, claimed.factor_at)
            self._keep(tx, _place(provider.id, user.id, claimed.session), claimed.hint, user.id)
            return self._entering.enter(tx, user, way, visitor)

        return self._door.change(about, (), act)

    def turned_away(self, provider: str, wrong: NotLetIn, visitor: Visitor) -> NotLetIn:
        """Tell the log of somebody who was not let in; what to answer. Raises Unrecorded."""
        refused(self._recorder, visitor, OPEN, wrong.message, wrong.reason, method=provider)
        return wrong

    def hint(self, tx: Transaction, token_id: str) -> tuple[IdentityProvider, str] | None:
        """The provider that opened this session, and what was kept for its end. None: no provider did."""
        token = tokens.find(tx, token_id)
        session = token.session if token else None
        it = identity_providers.get(tx, session.provider_id) if session and session.provider_id else None
        if session is None or it is None or not it.enabled:
            return None
        return it, str(self._kept(tx, session).get("hint", ""))

    def _kept(self, tx: Transaction, session: Session) -> Mapping[str, object]:
        place = _place(session.provider_id, session.user_id, session.provider_session)
        return self._pendings.peek(tx, HINT, place) or {}

    def _keep(self, tx: Transaction, place: str, hint: str, user_id: str) -> None:
        self._pendings.take(tx, HINT, place)
        if not hint:
            return
        try:
            self._pendings.put(tx, HINT, {"hint": hint}, settings.read(tx).life, user_id=user_id, text=place)
        except Often:
            return  # so many are signed in: this one will be asked at its provider whether it wants to leave


def _place(provider_id: str, user_id: str, session: str) -> str:
    return f"{provider_id} {user_id} {session}"
