"""Machines: applications and jobs that prove who they are, and are given tokens that do not last.

    machine ─┬─ grants, allowlist          what its tokens may do, and from where: always as it stands now
             ├─ proofs                     ways to prove itself: see `proof.py`
             │    └─ secret ids            of an approle: `ks_<id>_<secret>`, only the SHA-256 of the secret is stored
             └─ tokens                     given out by logins: `expires_at` moves with each renewal, never behind
                                           `renewable_until`, which is the login and the most that a token may live

A machine that is disabled has no token that is of use, and none of its proofs is right.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

from service.core.access import Grant
from service.core.errors import Invalid
from service.core.proof import AppRole, Certificate, Jwt, Kubernetes
from service.core.sealed import Randomness
from service.core.secret import Secret
from service.core.token import hashed

TTL = timedelta(hours=1)
MAX_LIFE = timedelta(hours=24)
SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(days=32)
"""Of a token that a login gives out; who needs one that lasts longer asks for one by hand."""
MOST_PROOFS = 20
MOST_SECRET_IDS = 1000
"""Of one approle."""
MOST_USES = 1_000_000
MOST_TOKENS = 10_000
"""Of one machine, in force at once."""
_SHAPE = re.compile(r"ks_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Lives:
    """How long a token lives unless it is renewed, and how long at the most."""

    ttl: timedelta = TTL
    most: timedelta = MAX_LIFE

    def __post_init__(self) -> None:
        for name, value in (("token_ttl", self.ttl), ("token_max_life", self.most)):
            if not SHORTEST <= value <= LONGEST:
                raise Invalid(f"{name} must be from 10 seconds to 32 days", field=name)
        if self.ttl > self.most:
            raise Invalid("token_ttl must not be longer than token_max_life", field="token_ttl")


@dataclass(frozen=True)
class HeldProof:
    """A proof as a machine has it."""

    id: str
    proof: AppRole | Jwt | Kubernetes | Certificate
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class Machine:
    """What the ledger knows of a machine."""

    id: str
    name: str
    enabled: bool
    allowlist: tuple[str, ...]
    lives: Lives
    revision: int
    created_at: datetime
    created_by: str
    grants: tuple[Grant, ...] = ()
    proofs: tuple[HeldProof, ...] = ()

    def wider(self, than: "Machine") -> bool:
        """Can its tokens be used where those of the other one cannot: at all, from elsewhere, or longer?"""
        enabled = self.enabled and not than.enabled
        longer = self.lives.ttl > than.lives.ttl or self.lives.most > than.lives.most
        return enabled or longer or not _narrower(self.allowlist, than.allowlist)


def _narrower(allowlist: tuple[str, ...], than: tuple[str, ...]) -> bool:
    """Does each block of it lie in one of the other's? Then it admits nothing that the other one does not.

    True for the same one. Blocks that together are all of a larger one are not put together.
    """
    if not than or not allowlist:
        return not than
    return all(any(_inside(block, other) for other in than) for block in allowlist)


def _inside(block: str, other: str) -> bool:
    inner, outer = ip_network(block), ip_network(other)
    # Of the same version, or there is nothing to compare.
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


@dataclass(frozen=True)
class SecretId:
    """The secret half of an approle; gone when it is used up."""

    id: str
    proof_id: str
    hash: bytes
    uses_left: int | None
    """None: any number."""
    allowlist: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None


def make_secret_id(randomness: Randomness) -> tuple[str, Secret, bytes]:
    """A new one: its id, the whole text that is shown once, and the hash to store."""
    secret_id = randomness(8).hex()
    secret = base64.urlsafe_b64encode(randomness(32)).rstrip(b"=").decode()
    return secret_id, Secret(f"ks_{secret_id}_{secret}"), hashed(secret)


def split_secret_id(text: str) -> tuple[str, bytes]:
    """The id of a presented one, and the hash of its secret; of what is none as well, so that it takes as long."""
    found = _SHAPE.fullmatch(text)
    return (found[1], hashed(found[2])) if found else ("", hashed("-" * 43))


Metadata = Mapping[str, str]
"""What a login proved, for people and logs: `proof`, and what belongs to it. Nothing is decided by it."""
