"""Machines' logins: a proof is looked at, and a token that does not last is handed out.

    what is shown ──► looked at, without a lock ──► looked at again while `head` is held: used up, token made, event
                            │                              │
                            └────────── wrong ─────────────┴──► a stranger: one sentence, a bounded number of events

A right proof and its event are one transaction: two who show one secret id that is good once meet at `head`, on
whichever replica, and one of them is a stranger. A wrong proof never takes the lock. What issuers and clusters are
asked, is asked before any transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest

from service.core.access import Caller, Stranger, admitted
from service.core.errors import Absent, Conflict, Invalid, Unauthenticated
from service.core.event import Event, Outcome
from service.core.machine import MOST_TOKENS, Machine, Metadata, split_secret_id
from service.core.proof import AppRole, Jwt, Kubernetes, Unproven
from service.core.secret import Secret
from service.core.token import Token, make
from service.keeper.asked import Asked
from service.keeper.door import Deed, Door
from service.keeper.granting import Granting, ShownGrant
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View
from service.keeper.statements import Statements
from service.keeper.tokens import Tokens, holder_of
from service.ledger import machines, tokens
from service.ledger.ledger import Transaction

SWEPT = 100
"""Tokens that have expired and go with each login, at most."""
LOGIN = "machine.login"
_WRONG = "this proves no machine: it is unknown, wrong, used up or expired, or not good from this address"
_NOTHING = bytes(32)


@dataclass(frozen=True)
class LoggedIn:
    """A token that a login gave out, or that was renewed. `token` is its text, after a login only."""

    token_id: str
    machine_id: str
    machine: str
    created_at: datetime
    expires_at: datetime
    renewable_until: datetime
    lasts: timedelta
    """From the moment when that was decided."""
    grants: tuple[ShownGrant, ...]
    metadata: Metadata
    token: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OwnToken:
    """A token as it is told to its holder. `machine` is whose it is; None for one that stands for itself."""

    token: Token
    machine: Machine | None
    grants: tuple[ShownGrant, ...]
    metadata: Metadata
    uses: int = 0
    """How often it may be used; 0: any number of times."""


@dataclass(frozen=True)
class _Proven:
    """Whose proof it is, and what it proved. `use` is done in the transaction."""

    machine: Machine
    metadata: Metadata
    use: Callable[[Transaction], None] = lambda _: None


_Prove = Callable[[Transaction], _Proven]
"""Looks at what was shown. Raises Unproven."""


@dataclass(frozen=True)
class _Login:
    """One login: how, as whom it says that it comes, and where from."""

    kind: str
    named: str
    address: str
    request_id: str

    def stranger(self, wrong: Unproven) -> Stranger:
        """What it is refused with."""
        deed = (LOGIN, self.named, {"proof": self.kind, "reason": wrong.reason})
        return Stranger(_WRONG, self.address, self.request_id, deed=deed)


class Logins:
    """The ways from a proof to a token."""

    def __init__(self, door: Door, recorder: Recorder, granting: Granting, own: Tokens, statements: Statements) -> None:
        self._door = door
        self._recorder = recorder
        self._granting = granting
        self._tokens = own
        self._statements = statements

    def approle(self, role_id: str, secret_id: Secret, address: str, request_id: str) -> LoggedIn:
        """By a role id and one of its secret ids, which is used by it. Raises Unauthenticated, Conflict."""
        shown_id, shown_hash = split_secret_id(secret_id.reveal())

        def prove(tx: Transaction) -> _Proven:
            known, held, machine = machines.presented(tx, shown_id) or (None, None, None)
            right = compare_digest(known.hash if known else _NOTHING, shown_hash)
            role = held.proof.role_id if held and isinstance(held.proof, AppRole) else ""
            right &= compare_digest(role.encode(), role_id.encode(errors="replace"))
            if known is None or machine is None or not right:
                raise Unproven("role id or secret id")
            if known.expires_at is not None and known.expires_at <= tx.now:
                raise Unproven("secret id has expired")
            if not admitted(address, known.allowlist):
                raise Unproven("address, for the secret id")
            metadata = {"proof": AppRole.kind, "role_id": role, "secret_id": known.id}
            return _Proven(machine, metadata, lambda tx: machines.use(tx, known))

        return self._let_in(prove, _Login(AppRole.kind, "", address, request_id))

    def jwt(self, machine: str, jwt: Secret, address: str, request_id: str) -> LoggedIn:
        """By a statement that an issuer signed (RFC 7519).

        Raises Unauthenticated, Conflict; Unavailable where the issuer's keys cannot be got.
        """
        return self._by_statement(machine, jwt, _Login(Jwt.kind, machine, address, request_id))

    def kubernetes(self, machine: str, jwt: Secret, address: str, request_id: str) -> LoggedIn:
        """By a service account's token. Raises as `jwt`; Unavailable where its cluster cannot be asked, too."""
        return self._by_statement(machine, jwt, _Login(Kubernetes.kind, machine, address, request_id))

    def renew(self, caller: Caller, increment: timedelta | None = None) -> LoggedIn:
        """The caller's own token lasts this long from now (its machine's `token_ttl`), but not behind its most.

        It never lasts shorter than before. Raises Invalid, Unauthenticated; Conflict for one that no login gave out.
        """
        if increment is not None and increment <= timedelta():
            raise Invalid("increment must be longer than nothing", field="increment")

        def act(tx: Transaction) -> LoggedIn:
            token = tokens.find(tx, caller.id)
            if token is None or (token.expires_at and token.expires_at <= tx.now):
                raise Unauthenticated("the token was revoked, or has expired, meanwhile")
            machine = machines.get(tx, token.machine_id)
            if machine is None or token.expires_at is None or token.renewable_until is None:
                raise Conflict("this token was not given out by a login: it cannot be renewed")
            if not machine.enabled:
                raise Unauthenticated("the machine was disabled meanwhile")
            until = min(token.renewable_until, token.created_at + machine.lives.most)
            wanted = tx.now + min(increment or machine.lives.ttl, machine.lives.most)
            renewed = replace(token, expires_at=max(token.expires_at, min(wanted, until)))
            tokens.prolong(tx, renewed)
            return logged_in(tx, self._granting, renewed)

        return self._door.change(caller, Deed("token.renew", resource=caller.id), act)

    def end(self, caller: Caller) -> None:
        """The caller's own token is of no use from now on. Raises Absent, Conflict."""
        self._tokens.revoke(caller, caller.id)

    def told(self, caller: Caller) -> OwnToken:
        """What the caller's own token is. Raises Absent."""

        def evaluate(tx: Transaction) -> OwnToken:
            token = tokens.find(tx, caller.id)
            if token is None:
                raise Absent("there is no such token")
            machine = machines.get(tx, token.machine_id)
            return OwnToken(token, machine, tuple(self._granting.own(tx, caller)), tokens.metadata(tx, token.id))

        return self._door.fetch(caller, Deed("token.get", resource=caller.id), evaluate)

    def _by_statement(self, machine: str, jwt: Secret, login: _Login) -> LoggedIn:
        found = self._door.look(lambda tx: machines.find(tx, machine))
        shown = [held for held in found.proofs if held.proof.kind == login.kind] if found and found.enabled else []
        try:
            held, metadata = self._statements.first(jwt, shown, self._door.ledger.now())
        except Unproven as wrong:
            raise self._refused(login, wrong) from None

        def prove(tx: Transaction) -> _Proven:
            owner = machines.owner(tx, held.id)
            if owner is None or held not in owner.proofs:  # taken away while others were asked
                raise Unproven("proof")
            return _Proven(owner, metadata)

        return self._let_in(prove, login)

    def _let_in(self, prove: _Prove, login: _Login) -> LoggedIn:
        token_id, text, hashed = make(self._door.randomness)

        def proven(tx: Transaction) -> _Proven:
            found = prove(tx)
            if not found.machine.enabled:
                raise Unproven("machine is disabled")
            if not admitted(login.address, found.machine.allowlist):
                raise Unproven("address, for the machine")
            return found

        def act(tx: Transaction) -> LoggedIn:
            found = proven(tx)
            machine, lives = found.machine, found.machine.lives
            tokens.sweep(tx, SWEPT)
            if tokens.of_machine(tx, machine.id) >= MOST_TOKENS:
                raise Conflict(f"machine {machine.name} has {MOST_TOKENS:,} tokens in force: renew them, or end them")
            found.use(tx)
            expires_at, until = tx.now + lives.ttl, tx.now + lives.most
            token = Token(
                token_id, machine.name, hashed, (), (), tx.now, machine.name, expires_at, (), machine.id, until
            )
            tokens.add(tx, token, found.metadata)
            caller = Caller(token_id, machine.name, "machine", machine.grants, login.address, login.request_id)
            detail = {**found.metadata, "expires_at": expires_at.isoformat()}
            tx.events.append(Event(tx.now, caller, LOGIN, Outcome.ALLOWED, resource=machine.name, detail=detail))
            return logged_in(tx, self._granting, token, text)

        try:
            machine = self._door.look(proven).machine
            return self._door.change(_somebody(login), (), act)
        except Unproven as wrong:
            raise self._refused(login, wrong) from None
        except Conflict as full:
            self._door.refuse(_somebody(login), Deed(LOGIN, resource=machine.name), full)
            raise

    def _refused(self, login: _Login, wrong: Unproven) -> Stranger:
        """As whoever shows an unknown token: told by a few events each second, and counted beyond that."""

        def evaluate(_: View, __: Asked) -> None:
            raise login.stranger(wrong)

        try:
            self._recorder.fetch(Asked(evaluate, LOGIN, "", ""))
        except Stranger as refusal:
            return refusal
        raise AssertionError("a stranger was let in")


def logged_in(tx: Transaction, granting: Granting, token: Token, text: Secret | None = None) -> LoggedIn:
    """A token of a login as it is told. It has an end."""
    assert token.expires_at is not None  # noqa: S101 - what logins give out has both
    assert token.renewable_until is not None  # noqa: S101
    grants = tuple(granting.shown(tx, holder_of(token)))
    return LoggedIn(
        token.id,
        token.machine_id,
        token.name,
        token.created_at,
        token.expires_at,
        token.renewable_until,
        token.expires_at - tx.now,
        grants,
        tokens.metadata(tx, token.id),
        text,
    )


def _somebody(login: _Login) -> Caller:
    return Caller("stranger", "", "stranger", (), login.address, login.request_id)
