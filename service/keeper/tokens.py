"""Tokens that stand for themselves: handing out, binding to certificates, taking away."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from service.core import names
from service.core.access import EVERYTHING, PEOPLE, Caller, Grant, Kind, Level, Thing, networks, require
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.core.secret import Secret
from service.core.token import NO_SECRET, Shown, Token, fingerprints, make
from service.keeper.asked import Asked, Who
from service.keeper.callers import who
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.granting import Granting, ShownGrant, WantedGrant, require_directory, require_few_rules
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View
from service.ledger import grants, tokens
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction

SYSTEM = Caller("scheduler", "scheduler", "system", (Grant(Level.OWN, Kind.EVERYTHING),))
"""Keywright itself, when it does what nobody asked for just now."""
OPERATOR = Caller("keywrightd", "keywrightd", "system", (Grant(Level.OWN, Kind.EVERYTHING),))
"""Whoever runs `keywrightd` on the machine that holds the ledger and the master key."""
LONGEST_LIFE = timedelta(days=3650)


class Tokens:
    """Operations on tokens, and the way from a token to its caller."""

    def __init__(self, door: Door, granting: Granting, recorder: Recorder) -> None:
        self._door = door
        self._granting = granting
        self._recorder = recorder

    def authenticate(self, presented: str, address: str, request_id: str, shown: Shown | None = None) -> Caller:
        """The caller that a presented token stands for.

        Raises Unauthenticated, in the same words and after the same work for unknown, wrong, expired and
        revoked ones; Forbidden for an address that is not on the token's allowlist.
        """
        caller: Caller = self._recorder.fetch(self.asked(who(presented, address, request_id, shown)))
        return caller

    @staticmethod
    def asked(asker: Who) -> Asked:
        """The same, to be looked up together with others; comes to the caller. Only a refusal is recorded."""

        def evaluate(view: View, asked: Asked) -> Caller:
            asked.told = False
            return asker(view)

        return Asked(evaluate, "token.use", "", "")

    def first(self) -> Secret | None:
        """The first owner's token, for a ledger that has none; None if it has. Shown once."""
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> bool:
            if tokens.anybody(tx):
                return False
            tokens.add(tx, Token(token_id, "owner", hashed, (), (), tx.now, "keywrightd", None))
            grants.add(tx, self._door.new_id(), Holder(token_id, "owner"), Grant(Level.OWN, Kind.EVERYTHING))
            return True

        if self._door.look(tokens.anybody):
            return None
        return text if self._door.change(OPERATOR, Deed("token.first", resource="owner"), act) else None

    def listed(self, caller: Caller, after: str, limit: int) -> list[tuple[Token, list[ShownGrant]]]:
        """All tokens, by name; never their secrets."""

        def evaluate(tx: Transaction) -> list[tuple[Token, list[ShownGrant]]]:
            require(caller, Level.OWN, EVERYTHING, "the list of tokens")
            return [(t, self._shown(tx, t)) for t in tokens.every(tx, after, limit)]

        return self._door.fetch(caller, Deed("token.list"), evaluate)

    def add(
        self,
        caller: Caller,
        name: str,
        wanted: tuple[WantedGrant, ...],
        expires_in: timedelta | None,
        allowlist: tuple[str, ...],
        certificates: Sequence[str] = (),
        *,
        bearer: bool = True,
    ) -> tuple[Token, list[ShownGrant], Secret]:
        """A new token with its text, which is shown only now. Nobody can grant more than they own.

        It is bound to the certificates, if any are named. Without `bearer` the text is of no use: each of them alone
        stands for the caller. Raises Invalid, Forbidden, Absent, Conflict.
        """
        names.segment(name)
        allowed = networks(allowlist)
        bound = fingerprints(certificates)
        if not bearer and not bound:
            raise Invalid("certificates: at least one is needed where there is no token", field="certificates")
        if expires_in is not None and expires_in > LONGEST_LIFE:
            raise Invalid("expires_in: ten years are the most", field="expires_in")
        token_id, text, hashed = make(self._door.randomness)

        def act(tx: Transaction) -> Token:
            if not bearer:
                only_one(tx, bound)
            if not wanted:
                require(caller, Level.OWN, EVERYTHING, "a token without grants")
            granted = [self._granting.granted(tx, caller, g) for g in wanted]
            require_few_rules(granted)
            require_directory(caller, granted)
            require_fresh(tx, caller, "making a token")
            if tokens.named(tx, name):
                raise Conflict(f"a token named {name} exists already")
            expires_at = tx.now + expires_in if expires_in else None
            parent = tokens.find(tx, caller.id)
            if parent and parent.machine_id:
                raise Forbidden("a machine's token makes no tokens, which would outlive it; add a machine instead")
            if parent and parent.user_id and not parent.session:
                raise Forbidden("a person's token makes no tokens, which would outlive it; sign in instead")
            if parent and parent.expires_at and not parent.session:  # nobody outlives by a child what was meant to end
                expires_at = min(expires_at or parent.expires_at, parent.expires_at)
            inherited = allowed or (parent.allowlist if parent else ())
            kept = hashed if bearer else NO_SECRET
            token = Token(token_id, name, kept, (), inherited, tx.now, caller.name, expires_at, bound)
            tokens.add(tx, token)
            for grant in granted:
                grants.add(tx, self._door.new_id(), Holder(token_id, name), grant)
            return token

        detail = _bound(bound) | {"grants": len(wanted)}
        token = self._door.change(caller, Deed("token.add", resource=name, detail=detail), act)
        return token, self._door.look(lambda tx: self._shown(tx, token)), text

    def bind(self, caller: Caller, token_id: str, certificates: Sequence[str]) -> tuple[Token, list[ShownGrant]]:
        """Bind a token to these certificates, and no others: with the next one beside the present one, it turns.

        None unbinds it, which is for owners of everything like the rest of this. Raises Invalid, Absent, Forbidden,
        Conflict.
        """
        bound = fingerprints(certificates)

        def act(tx: Transaction) -> tuple[Token, list[ShownGrant]]:
            require(caller, Level.OWN, EVERYTHING, f"token {token_id[:64]}")
            token = tokens.find(tx, token_id)
            if token is None:
                raise Absent(f"token {token_id[:64]} does not exist")
            deed.detail["name"] = token.name
            if token.machine_id:
                raise Conflict(f"token {token_id} is of machine {token.name}: change that machine's proofs instead")
            self._granting.require_within(tx, caller, f"token {token.name}", token.grants)
            require_fresh(tx, caller, "binding a token")
            if not token.bearer:
                if not bound:
                    raise Invalid("certificates: nothing else stands for this caller; revoke it", field="certificates")
                only_one(tx, bound, token_id)
            tokens.bind(tx, token_id, bound)
            return replace(token, certificates=bound), self._shown(tx, token)

        deed = Deed("token.bind", resource=token_id, detail=_bound(bound))
        return self._door.change(caller, deed, act)

    def revoke(self, caller: Caller, token_id: str) -> None:
        """The token is of no use from now on. A caller may revoke its own, a person all of its own.

        Those of machines and of people are for who owns the machine, or people, too. Raises Absent, Forbidden.
        """

        def act(tx: Transaction) -> None:
            token = tokens.find(tx, token_id)
            own = token is not None and caller.user is not None and token.user_id == caller.user.id
            if caller.id != token_id and not own:
                require(caller, Level.OWN, self._over(token), f"token {token_id[:64]}")
            if token is None:
                raise Absent(f"token {token_id[:64]} does not exist")
            deed.detail["name"] = token.name
            if token.machine_id and not token.bearer:
                raise Conflict(f"token {token_id} stands for a certificate: take machine {token.name}'s proof away")
            tokens.remove(tx, token_id)

        deed = Deed("token.revoke", resource=token_id)
        self._door.change(caller, deed, act)

    def disbelieved(self, caller: Caller, refusal: Forbidden) -> None:
        """Record that the caller claimed to be somebody else."""
        self._door.refuse(caller, Deed("caller.claim", resource=caller.actor), refusal)

    @staticmethod
    def _over(token: Token | None) -> Thing:
        """What must be owned to take a token away."""
        if token is not None and token.machine_id:
            return Thing(Kind.MACHINE, "", token.name)
        return PEOPLE if token is not None and token.user_id else EVERYTHING

    def me(self, caller: Caller) -> list[ShownGrant]:
        """The caller's own grants, environments by name."""

        return self._door.fetch(caller, Deed("caller.get"), lambda tx: self._granting.own(tx, caller))

    def _shown(self, tx: Transaction, token: Token) -> list[ShownGrant]:
        return self._granting.shown(tx, holder_of(token))


def holder_of(token: Token) -> Holder:
    """Who holds the grants of a token: itself, its machine, or its person."""
    if token.user_id:
        return Holder(token.user_id, token.name, Holding.USER)
    kind = Holding.MACHINE if token.machine_id else Holding.TOKEN
    return Holder(token.machine_id or token.id, token.name, kind)


def only_one(tx: Transaction, certificates: Sequence[str], token_id: str = "") -> None:
    """A certificate alone stands for one caller. Raises Conflict."""
    for other in tokens.alone(tx, certificates):
        if other.id != token_id:
            raise Conflict(f"one of the certificates stands for {other.name} already")


def _bound(certificates: Sequence[str]) -> dict[str, Detail]:
    return {"certificates": " ".join(certificates)} if certificates else {}
