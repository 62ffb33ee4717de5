"""Statements: what is proven by a JWT, an issuer's or a cluster's, looked at for one proof after the other.

Whatever is asked outside is asked only after what can be read without it fits: the account's name, for a cluster. Why
nothing could be had there is for the log: it tells of issuers and settings, and whoever asks is not known yet.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from service.core.errors import Unavailable
from service.core.machine import HeldProof, Metadata
from service.core.proof import (
    LONGEST_JWT,
    Jwt,
    Kubernetes,
    Reviewer,
    Unproven,
    Verifier,
    account_in,
)
from service.core.secret import Secret
from service.keeper.decoy import DECOY

log = structlog.get_logger("statements")

_LONGEST = 200
_UNKNOWN = "the proof cannot be looked at now: try again in a while"


class Statements:
    """Looks at them."""

    def __init__(self, verifier: Verifier, reviewer: Reviewer) -> None:
        self._verifier = verifier
        self._reviewer = reviewer

    def first(self, jwt: Secret, proofs: Sequence[HeldProof], now: datetime) -> tuple[HeldProof, Metadata]:
        """The first of the proofs that it fits, and what it proves.

        Raises Unproven, and Unavailable if one of them could not be looked at and none of the others fits. Where
        there is no proof, as for an unknown machine, a signature is verified all the same: that takes as long.
        """
        if len(jwt.reveal()) > LONGEST_JWT:
            raise Unproven("too long")
        wrong, unknown = Unproven("machine, or it has no such proof"), None
        if not proofs:
            self._in_vain(jwt, now)
        for held in proofs:
            try:
                return held, self._proven(jwt, held, now)
            except Unproven as error:
                wrong = error
            except Unavailable as error:
                log.warning("a proof cannot be looked at", proof=held.proof.kind, id=held.id, reason=error.message)
                unknown = Unavailable(_UNKNOWN)
        raise unknown or wrong

    def _proven(self, jwt: Secret, held: HeldProof, now: datetime) -> Metadata:
        proof = held.proof
        if isinstance(proof, Jwt):
            stated = self._verifier.verified(jwt, proof.signer, proof.audiences, now)
            proof.check(stated)
            return {"proof": proof.kind, "issuer": proof.signer.issuer, "subject": _told(stated.get("sub"))}
        if isinstance(proof, Kubernetes):
            proof.check(account_in(jwt))
            if proof.signer is None:
                account = self._reviewer.reviewed(jwt, proof.audiences)
            else:
                self._verifier.verified(jwt, proof.signer, proof.audiences, now)
                account = account_in(jwt)
            proof.check(account)
            named = {"namespace": account.namespace, "service_account": account.name, "uid": account.uid}
            return {"proof": proof.kind, **{name: _told(each) for name, each in named.items()}}
        raise Unproven("no statement proves that")

    def _in_vain(self, jwt: Secret, now: datetime) -> None:
        try:
            self._verifier.verified(jwt, DECOY, ("nobody",), now)
        except Unproven:
            return
        raise Unproven("decoy")


def _told(stated: Any) -> str:
    return stated[:_LONGEST] if isinstance(stated, str) else ""
