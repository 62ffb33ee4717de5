"""Signing in by a SAML provider: the browser goes there with a request, and a form brings the response back.

    begin ──► the request's id waits for ten minutes, with the digest of this browser's cookie ──► the provider
    finish ◄── SAMLResponse (a POST from the provider's page)
       │
       ├─ it names no request: nobody asked            nobody, unless the definition lets the provider send people
       ├─ nothing waits for the one that it names      nobody
       ├─ another browser brings it (login CSRF)       nobody
       ├─ it was begun with another provider           nobody
       │  from here on the request waits no more, whatever comes of it
       ├─ its assertion is not proven to be for us     nobody          `providers/identity/saml.py`
       ├─ the assertion was seen before                nobody
       └─ ──► `arrivals.py`

    told ◄── LogoutRequest, signed: the sessions that it means end, and the browser takes our answer back
    leaving ──► the provider, with a LogoutRequest of ours, where the definition says where to

Each answer costs its sender a request: nobody tries a thousand of them to learn from how they are refused what is in
an encrypted one. RelayState decides nothing: where somebody goes on after signing in waits here with the request.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta

from service.core.access import Caller
from service.core.errors import Absent, Unavailable
from service.core.event import Detail, Event, Outcome
from service.core.identity import IdentityProvider, NotLetIn
from service.core.saml import Left, Place, Saml, SamlMetadata, SamlSignIns, SamlSignOuts, Visit
from service.core.secret import Secret
from service.keeper.door import Door
from service.keeper.identity_providers import IdentityProviders
from service.keeper.pendings import Pendings
from service.ledger import identity_providers, pendings
from service.ledger.ledger import Transaction
from service.people.arrivals import Arrivals
from service.people.entering import Entered, Visitor

KIND = "saml"
SEEN = "saml-assertion"
TOLD = "saml-logout"
LASTS = timedelta(minutes=10)
"""From leaving for the provider until coming back."""
_AGAIN = "this sign-in is unknown here, is over, or was gone on with already: begin once more"


@dataclass(frozen=True)
class Going:
    """Where the browser goes, and the text of its cookie."""

    address: str
    browser: str = field(repr=False)


class SamlFlow:
    """Sign-ins by SAML providers, and their ends. `here` is our own address, as browsers know it."""

    def __init__(
        self,
        door: Door,
        waiting: Pendings,
        providers: IdentityProviders,
        arrivals: Arrivals,
        sign_ins: SamlSignIns,
        sign_outs: SamlSignOuts,
        metadata: SamlMetadata,
        here: str,
    ) -> None:
        self._door = door
        self._waiting = waiting
        self._providers = providers
        self._arrivals = arrivals
        self._sign_ins = sign_ins
        self._sign_outs = sign_outs
        self._metadata = metadata
        self._here = here

    def begin(self, name: str, onward: str, address: str, browser: str = "") -> Going:
        """Somebody at this address wants to sign in by this provider, and to go on to the path `onward` then.

        `browser` is the text of the cookie of former ones: those that are under way in other windows go on.
        Raises Absent, Often, Unavailable.
        """
        provider, definition, key, place = self._usable(name)
        browser = browser or self._door.randomness(32).hex()
        begun = self._sign_ins.begun(definition, key, place, self._door.ledger.now())
        data = {"provider": provider.id, "browser": _digest(browser), "onward": onward}
        with self._door.ledger.holding() as tx:
            self._waiting.put(tx, KIND, data, LASTS, text=begun.request_id, address=address)
        return Going(begun.address, browser)

    def finish(self, name: str, message: str, browser: str, visitor: Visitor) -> tuple[Entered, str]:
        """Who came back, and where to go on. Raises Absent, NotLetIn, Unavailable."""
        try:
            return self._finish(name, message, browser, visitor)
        except NotLetIn as wrong:
            raise self._arrivals.turned_away(f"{KIND}:{name[:100]}", wrong, visitor) from None

    def _finish(self, name: str, message: str, browser: str, visitor: Visitor) -> tuple[Entered, str]:
        provider, definition, key, place = self._usable(name)
        answers = self._sign_ins.answers(message)
        with self._door.ledger.holding() as tx:
            onward = self._asked(tx, provider, definition, answers, browser)
        asserted = self._sign_ins.asserted(definition, key, place, message, self._door.ledger.now())
        if asserted.answers != answers:
            raise NotLetIn(_AGAIN, "request of another response")
        with self._door.ledger.holding() as tx:
            if not pendings.mark(tx, SEEN, f"{provider.id} {asserted.assertion_id}", asserted.until):
                raise NotLetIn(_AGAIN, "assertion shown before")
        # Whose addresses are believed is for the definition to say: SAML itself has no word for it.
        claimed = asserted.claimed(provider.id, email_verified=definition.vouches)
        return self._arrivals.arrive(provider, claimed, visitor), onward

    def _asked(self, tx: Transaction, provider: IdentityProvider, it: Saml, answers: str, browser: str) -> str:
        """Where to go on, as it was said when it was asked for; it waits no more. Raises NotLetIn."""
        if not answers:
            if it.unsolicited:
                return "/"
            raise NotLetIn("sign in from here, not from the identity provider's own page", "nobody asked")
        waited = self._waiting.peek(tx, KIND, answers)
        if waited is None:
            raise NotLetIn(_AGAIN, "request")
        if not hmac.compare_digest(str(waited["browser"]), _digest(browser)):
            raise NotLetIn("this sign-in was begun in another browser: begin once more in this one", "browser")
        if waited["provider"] != provider.id:
            raise NotLetIn(_AGAIN, "request of another provider")
        self._waiting.take(tx, KIND, answers)
        return str(waited["onward"])

    def metadata(self, name: str) -> bytes:
        """What the provider of this name has to know of us. Raises Absent, Unavailable."""
        _, definition, _, place = self._usable(name)
        return self._metadata.ours(definition, place)

    def told(self, name: str, query: str, relay: str, visitor: Visitor) -> str:
        """A provider says that somebody left: the sessions end now. Where the browser takes our answer; empty: nowhere.

        Raises Absent, NotLetIn, Unavailable.
        """
        provider, definition, key, place = self._usable(name)
        now = self._door.ledger.now()
        caller = Caller(provider.id, provider.method, "provider", (), visitor.address, visitor.request_id)
        try:
            left = self._sign_outs.left(definition, place, query, now)
            with self._door.ledger.change() as tx:
                if not pendings.mark(tx, TOLD, f"{provider.id} {left.request_id}", left.until):
                    raise NotLetIn("this sign-out was told before", "LogoutRequest shown before")
                count = identity_providers.end_sessions(tx, provider.id, told=lambda kept: _is(left, kept))
                detail: dict[str, Detail] = {"by": "provider", "sessions": count}
                tx.events.append(Event(tx.now, caller, "session.end", Outcome.ALLOWED, "", provider.name, detail))
        except NotLetIn as wrong:
            raise self._arrivals.turned_away(provider.method, wrong, visitor) from None
        self._door.changed()
        if not definition.slo_url:
            return ""
        return self._sign_outs.gone(definition, key, place, left.request_id, relay, now)

    def leaving(self, token_id: str) -> str:
        """Where the browser whose session is about to end goes to be signed out at its provider, too; empty: nowhere.

        Asked before the session ends.
        """
        with self._door.ledger.read() as tx:
            it, hint = self._arrivals.hint(tx, token_id) or (None, "")
            visit = Visit.of(hint)
            if it is None or visit is None or not isinstance(it.definition, Saml) or not it.definition.slo_url:
                return ""
            key = self._key(tx, it)
        place = Place(f"{self._here}/sign-in/saml/{it.name}")
        return self._sign_outs.leaving(it.definition, key, place, visit, self._door.ledger.now()).address

    def _usable(self, name: str) -> tuple[IdentityProvider, Saml, Secret | None, Place]:
        if not self._here:
            raise Unavailable("nobody told this server its own address: set KEYWRIGHT_URL")
        with self._door.ledger.read() as tx:
            it = self._providers.usable(tx, name)
            if not isinstance(it.definition, Saml):
                raise Absent("there is no such identity provider: go back to the sign-in page")
            return it, it.definition, self._key(tx, it), Place(f"{self._here}/sign-in/saml/{it.name}")

    def _key(self, tx: Transaction, it: IdentityProvider) -> Secret | None:
        return self._providers.secret(tx, it.id) if it.has_secret else None


def _is(left: Left, kept: str) -> bool:
    visit = Visit.of(kept)
    return visit is not None and left.means(visit)


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode("utf-8", "replace")).hexdigest()
