"""Tokens and their grants: handing out, binding to certificates, taking away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from service.core import names
from service.core.access import (
    EVERYTHING,
    Caller,
    Grant,
    Kind,
    Level,
    Thing,
    networks,
    require,
)
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.core.secret import Secret
from service.core.token import NO_SECRET, Shown, Token, fingerprints, make
from service.keeper.asked import Asked, Who
from service.keeper.callers import who
from service.keeper.door import Deed, Door
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View
from service.keeper.walls import Walls
from service.ledger import environments, tokens
from service.ledger.ledger import Transaction
from service.ledger.tokens import HeldGrant

SYSTEM = Caller("scheduler", "scheduler", "system", (Grant(Level.OWN, Kind.EVERYTHING),))
"""Keywright itself, when it does what nobody asked for just now."""
OPERATOR = Caller("keywrightd", "keywrightd", "system", (Grant(Level.OWN, Kind.EVERYTHING),))
"""Whoever runs `keywrightd` on the machine that holds the ledger and the master key."""
LONGEST_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class WantedGrant:
    """A grant as it is asked for: environments by name."""

    level: str
    kind: str
    environment: str | None
    path: str


@dataclass(frozen=True)
class ShownGrant:
    """A grant as it is shown."""

    id: str
    token_id: str
    token: str
    grant: Grant
    environment: str | None


class Tokens:
    """Operations on tokens and grants, and the way from a token to its caller."""

    def __init__(self, door: Door, walls: Walls, recorder: Recorder) -> None:
        self._door = door
        self._walls = walls
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
            if tokens.every(tx, "", 1):
                return False
            tokens.add(tx, Token(token_id, "owner", hashed, (), (), tx.now, "keywrightd", None))
            tokens.add_grant(tx, self._door.new_id(), token_id, Grant(Level.OWN, Kind.EVERYTHING))
            return True

        if self._door.look(lambda tx: bool(tokens.every(tx, "", 1))):
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
                _only_one(tx, bound)
            if not wanted:
                require(caller, Level.OWN, EVERYTHING, "a token without grants")
            granted = [self._granted(tx, caller, g) for g in wanted]
            if tokens.named(tx, name):
                raise Conflict(f"a token named {name} exists already")
            expires_at = tx.now + expires_in if expires_in else None
            parent = tokens.find(tx, caller.id)
            if parent and parent.expires_at:  # nobody outlives by a child what was meant to end
                expires_at = min(expires_at or parent.expires_at, parent.expires_at)
            inherited = allowed or (parent.allowlist if parent else ())
            kept = hashed if bearer else NO_SECRET
            token = Token(token_id, name, kept, (), inherited, tx.now, caller.name, expires_at, bound)
            tokens.add(tx, token)
            for grant in granted:
                tokens.add_grant(tx, self._door.new_id(), token_id, grant)
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
            self._require_within(tx, caller, token)
            if not token.bearer:
                if not bound:
                    raise Invalid("certificates: nothing else stands for this caller; revoke it", field="certificates")
                _only_one(tx, bound, token_id)
            tokens.bind(tx, token_id, bound)
            return replace(token, certificates=bound), self._shown(tx, token)

        deed = Deed("token.bind", resource=token_id, detail=_bound(bound))
        return self._door.change(caller, deed, act)

    def revoke(self, caller: Caller, token_id: str) -> None:
        """The token is of no use from now on. A caller may revoke its own. Raises Absent, Forbidden."""

        def act(tx: Transaction) -> None:
            if caller.id != token_id:
                require(caller, Level.OWN, EVERYTHING, f"token {token_id[:64]}")
            token = tokens.find(tx, token_id)
            if token is None:
                raise Absent(f"token {token_id[:64]} does not exist")
            deed.detail["name"] = token.name
            tokens.remove(tx, token_id)

        deed = Deed("token.revoke", resource=token_id)
        self._door.change(caller, deed, act)

    def grants(self, caller: Caller, after: str, limit: int) -> list[ShownGrant]:
        """All grants that the caller could take away, by id."""

        def evaluate(tx: Transaction) -> list[ShownGrant]:
            held = tokens.every_grant(tx, after, 100_000)
            mine = [h for h in held if caller.level(_thing(h.grant)) == Level.OWN]
            return [shown for h in mine if self._served(shown := self._named(tx, h))][:limit]

        return self._door.fetch(caller, Deed("grant.list"), evaluate)

    def grant(self, caller: Caller, token: str, wanted: WantedGrant) -> ShownGrant:
        """One more grant for a token, by its name. Raises Invalid, Absent, Forbidden."""
        names.segment(token, "token")
        grant_id = self._door.new_id()

        def act(tx: Transaction) -> ShownGrant:
            granted = self._granted(tx, caller, wanted)
            found = tokens.named(tx, token)
            if found is None:
                raise Absent(f"token {token} does not exist")
            tokens.add_grant(tx, grant_id, found.id, granted)
            return self._named(tx, HeldGrant(grant_id, found.id, found.name, granted))

        deed = Deed("grant.add", wanted.environment or "", token, {"level": wanted.level, "path": wanted.path})
        return self._door.change(caller, deed, act)

    def ungrant(self, caller: Caller, grant_id: str) -> None:
        """Take a grant away. Raises Absent, also where the caller does not own what it is on."""

        def act(tx: Transaction) -> None:
            held = tokens.find_grant(tx, grant_id)
            if held is not None and not self._served(self._named(tx, held)):
                held = None
            if held is None or caller.level(_thing(held.grant)) != Level.OWN:
                raise Absent(f"grant {grant_id[:64]} does not exist")
            deed.detail["token"] = held.token
            tokens.remove_grant(tx, grant_id)

        deed = Deed("grant.remove", resource=grant_id)
        self._door.change(caller, deed, act)

    def own(self, caller: Caller) -> tuple[Token, list[ShownGrant]]:
        """The caller's own token and its grants. Raises Absent, if it was revoked just now."""

        def evaluate(tx: Transaction) -> tuple[Token, list[ShownGrant]]:
            token = tokens.find(tx, caller.id)
            if token is None:
                raise Absent(f"token {caller.id[:64]} does not exist")
            return token, self._shown(tx, token)

        return self._door.fetch(caller, Deed("caller.get"), evaluate)

    def me(self, caller: Caller) -> list[ShownGrant]:
        """The caller's own grants, environments by name."""

        def evaluate(tx: Transaction) -> list[ShownGrant]:
            named = [self._named(tx, HeldGrant("", caller.id, caller.name, g)) for g in caller.grants]
            return list(filter(self._served, named))

        return self._door.fetch(caller, Deed("caller.get"), evaluate)

    def _granted(self, tx: Transaction, caller: Caller, wanted: WantedGrant) -> Grant:
        level = Level.of(wanted.level)
        try:
            kind = Kind(wanted.kind)
        except ValueError:
            raise Invalid(f"kind must be {' or '.join(Kind)}", field="kind") from None
        if kind is Kind.EVERYTHING:
            if wanted.environment or wanted.path:
                raise Invalid("a grant on everything names no environment and no path", field="kind")
            require(caller, Level.OWN, EVERYTHING, "the installation")
            if self._walls.pinned is not None and caller.kind != "system":
                raise Forbidden("a grant on everything is not given through an instance that serves some environments")
            return Grant(level, kind)
        if not wanted.environment:
            raise Invalid("environment is needed", field="environment")
        wall = self._walls.enter(tx, caller, wanted.environment)
        path = names.path(wanted.path, "path") if kind is not Kind.ENVIRONMENT else ""
        if kind is Kind.ENVIRONMENT and wanted.path:
            raise Invalid("a grant on an environment has no path", field="path")
        grant = Grant(level, kind, wall.id, path)
        require(caller, Level.OWN, _thing(grant), f"environment {wanted.environment}")
        return grant

    def _require_within(self, tx: Transaction, caller: Caller, token: Token) -> None:
        """Through a pinned instance nobody lets others in where it does not reach itself. Raises Forbidden."""
        if self._walls.pinned is None or caller.kind == "system":
            return
        held = [self._named(tx, HeldGrant("", token.id, token.name, grant)).environment for grant in token.grants]
        if not all(environment and self._walls.serves(environment) for environment in held):
            raise Forbidden(f"token {token.name} reaches further than this instance, which serves some environments")

    def _shown(self, tx: Transaction, token: Token) -> list[ShownGrant]:
        found = tokens.find(tx, token.id)
        named = [self._named(tx, HeldGrant("", token.id, token.name, g)) for g in (found.grants if found else ())]
        return list(filter(self._served, named))

    def _served(self, shown: ShownGrant) -> bool:
        """A pinned instance tells nothing of grants in the environments that it does not serve."""
        return shown.environment is None or self._walls.serves(shown.environment)

    @staticmethod
    def _named(tx: Transaction, held: HeldGrant) -> ShownGrant:
        environment = environments.get(tx, held.grant.environment_id) if held.grant.environment_id else None
        return ShownGrant(held.id, held.token_id, held.token, held.grant, environment.name if environment else None)


def _only_one(tx: Transaction, certificates: Sequence[str], token_id: str = "") -> None:
    """A certificate alone stands for one caller. Raises Conflict."""
    for other in tokens.alone(tx, certificates):
        if other.id != token_id:
            raise Conflict(f"one of the certificates stands for {other.name} already")


def _bound(certificates: Sequence[str]) -> dict[str, Detail]:
    return {"certificates": " ".join(certificates)} if certificates else {}


def _thing(grant: Grant) -> Thing:
    return Thing(grant.kind, grant.environment_id, grant.path)
