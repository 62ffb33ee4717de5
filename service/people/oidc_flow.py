"""Signing in by an OpenID provider: the browser goes there with something to bring back, and comes back with it.

    begin ──► state, nonce, verifier wait for ten minutes, bound to this browser ──► the provider
    finish ◄── state, code, iss
       │
       ├─ nothing waits for the state: unknown, over, or shown before                    nobody
       ├─ another browser brings it: somebody's code was slipped into it (login CSRF)    nobody
       ├─ it was begun with another provider (mix-up)                                    nobody
       └─ the code is exchanged, outside of any transaction ──► `arrivals.py`

What waits is taken first, whatever comes of it: a code is shown to the provider once. A browser is known by a cookie
of its own, whose digest waits with the state: who reads the address of the answer cannot go on with it elsewhere.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta

from service.core.access import Caller
from service.core.errors import Absent, Unavailable
from service.core.event import Detail, Event, Outcome
from service.core.identity import IdentityProvider, NotLetIn
from service.core.openid import Asked, OpenId, Returned, SignIns, SignOuts, made
from service.core.secret import Secret
from service.keeper.door import Door
from service.keeper.identity_providers import IdentityProviders
from service.keeper.pendings import Pendings
from service.ledger import identity_providers, pendings
from service.people.arrivals import Arrivals
from service.people.entering import Entered, Visitor

KIND = "oidc"
TOLD = "oidc-logout"
LASTS = timedelta(minutes=10)
"""From leaving for the provider until coming back."""
_AGAIN = "this sign-in is unknown here, is over, or was gone on with already: begin once more"


@dataclass(frozen=True)
class Begun:
    """Where the browser goes, and the text of its cookie."""

    address: str
    browser: str = field(repr=False)


@dataclass(frozen=True)
class CameBack:
    """What the browser brings back. None is what it does not bring."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    issuer: str | None
    error: str | None
    browser: str = field(repr=False)


class OidcFlow:
    """Sign-ins by OpenID providers, and their ends. `here` is our own address, as browsers know it."""

    def __init__(
        self,
        door: Door,
        waiting: Pendings,
        providers: IdentityProviders,
        arrivals: Arrivals,
        sign_ins: SignIns,
        sign_outs: SignOuts,
        here: str,
    ) -> None:
        self._door = door
        self._waiting = waiting
        self._providers = providers
        self._arrivals = arrivals
        self._sign_ins = sign_ins
        self._sign_outs = sign_outs
        self._here = here

    def begin(self, name: str, onward: str, address: str, browser: str = "") -> Begun:
        """Somebody at this address wants to sign in by this provider, and to go on to the path `onward` then.

        `browser` is the text of the cookie of former ones: those that are under way in other windows go on.
        Raises Absent, Often, Unavailable.
        """
        if not self._here:
            raise Unavailable("nobody told this server its own address: set KEYWRIGHT_URL")
        provider, definition, _ = self._usable(name)
        randomness = self._door.randomness
        browser = browser or made(randomness)
        asked = Asked(self._redirect(name), made(randomness), made(randomness), made(randomness))
        there = self._sign_ins.address(definition, asked)
        data = {
            "provider": provider.id,
            "nonce": asked.nonce,
            "verifier": asked.verifier,
            "browser": _digest(browser),
            "onward": onward,
        }
        with self._door.ledger.holding() as tx:
            self._waiting.put(tx, KIND, data, LASTS, text=asked.state, address=address)
        return Begun(there, browser)

    def finish(self, name: str, back: CameBack, visitor: Visitor) -> tuple[Entered, str]:
        """Who came back, and where to go on. Raises Absent, NotLetIn, Unavailable."""
        try:
            return self._finish(name, back, visitor)
        except NotLetIn as wrong:
            raise self._arrivals.turned_away(f"{KIND}:{name[:100]}", wrong, visitor) from None

    def _finish(self, name: str, back: CameBack, visitor: Visitor) -> tuple[Entered, str]:
        provider, definition, secret = self._usable(name)
        with self._door.ledger.holding() as tx:
            waited = self._waiting.take(tx, KIND, back.state)
        if waited is None:
            raise NotLetIn(_AGAIN, "state")
        if not hmac.compare_digest(str(waited["browser"]), _digest(back.browser)):
            raise NotLetIn("this sign-in was begun in another browser: begin once more in this one", "browser")
        if waited["provider"] != provider.id:
            raise NotLetIn(_AGAIN, "state of another provider")
        if back.error is not None:
            reason = back.error if back.error.isidentifier() and back.error.isascii() else "unreadable"
            raise NotLetIn("the identity provider did not let you in, or you did not let it", f"error {reason[:50]}")
        if not back.code:
            raise NotLetIn(_AGAIN, "no code")
        asked = Asked(self._redirect(name), back.state, str(waited["nonce"]), str(waited["verifier"]))
        returned = Returned(Secret(back.code), back.issuer)
        now = self._door.ledger.now()
        claimed = self._sign_ins.proven(provider, definition, secret, asked, returned, now)
        return self._arrivals.arrive(provider, claimed, visitor), str(waited["onward"])

    def leaving(self, token_id: str) -> str:
        """Where the browser whose session is about to end goes to be signed out at its provider, too; empty: nowhere.

        Asked before the session ends.
        """
        found = self._door.look(lambda tx: self._arrivals.hint(tx, token_id))
        if found is None or not isinstance(found[0].definition, OpenId):
            return ""
        try:
            return self._sign_outs.leaving(found[0].definition, found[1], f"{self._here}/sign-in")
        except Unavailable:
            return ""  # signed out here all the same

    def told(self, name: str, token: Secret, visitor: Visitor) -> int:
        """A provider says that sessions are over (back-channel logout): they end now. How many.

        Raises Absent, NotLetIn, Unavailable.
        """
        provider, definition, _ = self._usable(name)
        try:
            ended = self._sign_outs.ended(definition, token, self._door.ledger.now())
            caller = Caller(provider.id, provider.method, "provider", (), visitor.address, visitor.request_id)
            with self._door.ledger.change() as tx:
                if not pendings.mark(tx, TOLD, f"{provider.id} {ended.mark}", ended.until):
                    raise NotLetIn("this logout token was shown before", "logout token shown before")
                session, subject = ended.session, ended.subject
                count = identity_providers.end_sessions(tx, provider.id, session=session, subject=subject)
                detail: dict[str, Detail] = {"by": "provider", "sessions": count}
                tx.events.append(Event(tx.now, caller, "session.end", Outcome.ALLOWED, "", provider.name, detail))
            self._door.changed()
            return count
        except NotLetIn as wrong:
            raise self._arrivals.turned_away(provider.method, wrong, visitor) from None

    def _usable(self, name: str) -> tuple[IdentityProvider, OpenId, Secret]:
        with self._door.ledger.read() as tx:
            it = self._providers.usable(tx, name)
            if not isinstance(it.definition, OpenId):
                raise Absent("there is no such identity provider: go back to the sign-in page")
            return it, it.definition, self._providers.secret(tx, it.id)

    def _redirect(self, name: str) -> str:
        return f"{self._here}/sign-in/oidc/{name}/callback"


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode("utf-8", "replace")).hexdigest()
