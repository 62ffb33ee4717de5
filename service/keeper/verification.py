"""Verifying logins on the target, before a connection is recorded. The target is only logged in to and left.

What is looked for: the right password is accepted on every required endpoint, a wrong one is refused, and
whether the live credential still works. All of it happens outside of any transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.connection import (
    Accepted,
    Access,
    Account,
    Endpoint,
    NotPermitted,
    Rejected,
    Target,
    TlsMode,
    Unprotected,
    Unreachable,
)
from service.core.errors import ChangeUnreachable, Invalid
from service.core.password import profile
from service.core.reference import Reference, select
from service.core.sealed import Randomness
from service.keeper import drift
from service.keeper.budget import Budget, Withheld
from service.keeper.definitions import KeptIn
from service.keeper.references import References
from service.keeper.registration import Login, Registration


@dataclass(frozen=True)
class Verified:
    """What the target showed. `given` is the login of the request, or what its store holds."""

    given: Account | None
    live_works: bool
    findings: tuple[str, ...]
    identity: Mapping[str, drift.Parts]
    """What the login showed at each required endpoint: what drift is judged by from now on."""


class Verification:
    """Looks at targets. `key` keys the digests of settings that may be secrets."""

    def __init__(self, budget: Budget, references: References, randomness: Randomness, key: bytes) -> None:
        self._budget = budget
        self._references = references
        self._randomness = randomness
        self._key = key

    def verify(self, wanted: Registration, live: Account | None) -> Verified:
        """Log in as the given login, or as the live one when none is given.

        Raises Invalid, ChangeUnreachable, the store errors.
        """
        findings = []
        identity: dict[str, drift.Parts] = {}
        if wanted.target.tls.mode is TlsMode.DISABLE:
            findings.append("TLS is off: whoever can listen on the way to the database sees what is sent")
        elif wanted.target.tls.mode is TlsMode.REQUIRE:
            findings.append("TLS does not verify the server: somebody on the way could pose as the database")
        given = self._given(wanted)
        account, field = (given, _field(wanted)) if given else (live, "endpoints")
        for endpoint in wanted.target.endpoints if account else ():
            finding = self._probed(wanted.target, endpoint, account, field, identity) if account else None
            if finding:
                findings.append(finding)
        return Verified(given, self._works(wanted.target, live), tuple(findings), identity)

    def _works(self, target: Target, live: Account | None) -> bool:
        if live is None:
            return False
        probe = self._budget.probe(Access(target, live), target.primary, lasting=True)
        # Only a rejection shows that it does not: whoever was promised it must not lose it on doubt.
        return not isinstance(probe, Rejected)

    def _probed(
        self, target: Target, endpoint: Endpoint, account: Account, field: str, identity: dict[str, drift.Parts]
    ) -> str | None:
        who = account.username
        match self._budget.probe(Access(target, account), endpoint, account):
            case Accepted(seen):
                if endpoint.required:
                    identity[str(endpoint)] = drift.parts(seen, self._key)
            case Rejected(reason) if endpoint.required:
                raise Invalid(f"{field}: {endpoint} rejected the password of {who}: {reason}", field=field)
            case NotPermitted(reason) if endpoint.required:
                raise Invalid(f"{field}: {endpoint} does not let {who} in: {reason}", field=field)
            case Withheld(reason) if endpoint.required:
                raise ChangeUnreachable(
                    f"{who} was not verified at {endpoint}: {reason}. Where a rotation waits for this login, "
                    "`keywright rotation ID --retry` says that its password is right now"
                )
            case Unprotected(reason) if endpoint.required:
                raise Invalid(f"tls: {reason}", field="tls")
            case Unreachable(reason) if endpoint.required:
                raise ChangeUnreachable(f"{endpoint} cannot be reached, so {who} could not be verified: {reason}")
            case Rejected(reason) | NotPermitted(reason) | Unreachable(reason):
                return f"{endpoint} (optional): {reason}"
        wrong = Account(who, profile().generate(self._randomness))
        if isinstance(self._budget.probe(Access(target, wrong), endpoint, account, on_purpose=True), Accepted):
            return f"{endpoint} lets {who} in with any password: the server trusts everybody"
        # The one on purpose must not stay the first of a run on the server.
        self._budget.probe(Access(target, account), endpoint, account)
        return None

    def _given(self, wanted: Registration) -> Account | None:
        if wanted.kept_in:
            return self._kept(wanted.kept_in, wanted.login)
        if wanted.login and wanted.login.password:
            return Account(wanted.login.username, wanted.login.password)
        return None

    def _kept(self, home: KeptIn, login: Login | None) -> Account:
        user = home.username()
        wanted: set[Reference] = {home.password()} | ({user} if user else set())
        readings = self._references.read(wanted)
        if user:
            username = select(readings[user].reading, user).reveal()
        elif login:
            username = login.username
        else:
            raise Invalid("login.username is needed: kept_in has no username_key", field="login.username")
        return Account(username, select(readings[home.password()].reading, home.password()))


def _field(wanted: Registration) -> str:
    return "kept_in" if wanted.kept_in else "login.password"
