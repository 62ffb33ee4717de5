"""Machines, their proofs, and their logins on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.core.machine import MOST_PROOFS, MOST_USES
from service.core.proof import ALGORITHMS, LONGEST_JWT, MOST
from service.http.shapes.tokens import Grant, PutGrant
from service.http.shapes.words import Answer, Cidr, Duration, NamePath, Request, Whole

Statement = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Pattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Exactly this; `*` stands for any run of characters.",
        examples=["repo:shop/*"],
    ),
]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=MOST)]
Audiences = Annotated[list[Statement], Field(min_length=1, max_length=MOST, description="One of them must be named.")]
Address = Annotated[str, Field(max_length=500, pattern=r"^https?://[^\x00-\x20\x7f]+$", examples=["https://id.test"])]
Pem = Annotated[str, Field(max_length=20_000, pattern=r"^-----BEGIN ")]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
Allowlist = Annotated[list[Cidr], Field(max_length=200)]
RoleId = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]


class PutSigner(Request):
    """Who signs, and where its public keys are: given here, or got from its JWKS, which is found by discovery."""

    issuer: Statement
    keys: list[Pem] = Field(default_factory=list, max_length=10, description="Public keys, PEM.")
    jwks_url: Address | None = Field(None, description="Where the issuer has no discovery document.")
    ca: Pem | None = Field(None, description="Authority of the issuer's server; left out: the system's.")
    algorithms: list[Algorithm] = Field(["RS256", "ES256"], min_length=1, max_length=len(ALGORITHMS))
    skew: Duration = Field("30s", description="How far its clock may be from ours.")


class PutAppRole(Request):
    """A role id, and secret ids that are made one by one."""

    kind: Literal["approle"]
    role_id: RoleId | None = Field(None, description="Left out: one is made.")


class PutJwt(Request):
    """Statements of an issuer: workflows of GitHub and GitLab, clouds, identity providers."""

    kind: Literal["jwt"]
    signer: PutSigner
    audiences: Audiences
    subject: Pattern | None = None
    claims: dict[Annotated[str, Field(min_length=1, max_length=100)], Patterns] = Field(
        default_factory=dict, max_length=MOST, description="Each must be there, and fit one of its patterns."
    )


class PutKubernetes(Request):
    """Tokens of service accounts, looked at by the API server of the settings or, with a `signer`, by keys alone."""

    kind: Literal["kubernetes"]
    namespaces: Patterns
    service_accounts: Patterns
    audiences: Audiences
    signer: PutSigner | None = None


class PutCertificate(Request):
    """Client certificates, which stand for the machine without a login."""

    kind: Literal["certificate"]
    certificates: list[
        Annotated[str, Field(max_length=95, pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$", examples=["ab" * 32])]
    ] = Field(min_length=1, max_length=2, description="SHA-256 fingerprints: the present one, and the next.")


PutProof = Annotated[PutAppRole | PutJwt | PutKubernetes | PutCertificate, Field(discriminator="kind")]


class NewMachine(Request):
    """A machine."""

    name: NamePath
    grants: list[PutGrant] = Field(default_factory=list, max_length=100)
    proofs: list[PutProof] = Field(default_factory=list, max_length=MOST_PROOFS)
    allowlist: Allowlist = Field(default_factory=list, description="Where its logins and tokens may come from.")
    token_ttl: Duration = Field("1h", description="How long a token lives unless it is renewed.")
    token_max_life: Duration = Field("24h", description="How long it can be made to live.")


class ChangedMachine(Request):
    """What is to be changed of a machine; what is left out stays."""

    enabled: bool | None = None
    allowlist: Allowlist | None = None
    token_ttl: Duration | None = None
    token_max_life: Duration | None = None


class NewProof(Request):
    """One more way to prove itself."""

    machine: NamePath
    proof: PutProof


class NewSecretId(Request):
    """A secret id."""

    machine: NamePath
    role_id: RoleId | None = Field(None, description="Which approle, where the machine has several.")
    uses: Annotated[int, Field(ge=0, le=MOST_USES), Whole] = Field(1, description="0: any number of times.")
    expires_in: Duration | None = Field("24h", description="null: it does not expire.")
    allowlist: Allowlist = Field(default_factory=list, description="Where it may be used from.")


class NewMachineToken(Request):
    """A token for what cannot prove itself in any other way."""

    machine: NamePath
    expires_in: Duration = "90d"
    replaces: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{1,64}$")] | None = Field(
        None, description="Id of the token that it takes the place of."
    )
    overlap: Duration | None = Field(None, description="How long that one lasts still; left out: it ends now.")


class LoginByAppRole(Request):
    """A role id and a secret id."""

    role_id: Annotated[str, Field(min_length=1, max_length=200)]
    secret_id: Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "password"})]


class LoginByJwt(Request):
    """A machine's name, and what is signed about it."""

    machine: Annotated[str, Field(min_length=1, max_length=200)]
    jwt: Annotated[str, Field(min_length=1, max_length=LONGEST_JWT, json_schema_extra={"format": "password"})]


class Renewal(Request):
    """For how long."""

    increment: Duration | None = Field(None, description="From now on; left out: the machine's `token_ttl`.")


class MachineProof(Answer):
    """A way to prove itself, as it was given; never anything secret."""

    id: str
    kind: str
    created_at: datetime
    created_by: str
    role_id: str | None = None
    signer: PutSigner | None = None
    audiences: list[str] | None = None
    subject: str | None = None
    claims: dict[str, list[str]] | None = None
    namespaces: list[str] | None = None
    service_accounts: list[str] | None = None
    certificates: list[str] | None = None


class Machine(Answer):
    """A machine."""

    name: str
    enabled: bool
    grants: list[Grant]
    proofs: list[MachineProof]
    allowlist: list[str]
    token_ttl: str
    token_max_life: str
    revision: int
    created_at: datetime
    created_by: str


class SecretId(Answer):
    """A secret id; its text is in the answer that made it, and nowhere else."""

    id: str
    uses_left: int | None = Field(description="null: any number.")
    allowlist: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class MadeSecretId(SecretId):
    """A secret id that was made just now."""

    role_id: str
    secret_id: str = Field(description="Shown only now.")


class MachineToken(Answer):
    """A token of a machine; its text is in the answer that made it, and nowhere else."""

    id: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = Field(description="null: it stands for a certificate.")
    renewable_until: datetime | None
    metadata: dict[str, str] = Field(description="How it came to be.")


class MadeMachineToken(MachineToken):
    """A token that was made just now."""

    token: str = Field(description="Shown only now.")


class Renewed(Answer):
    """A token of a login."""

    token_id: str
    machine: str
    expires_at: datetime
    renewable_until: datetime


class LoggedIn(Renewed):
    """A token that was given out just now."""

    token: str = Field(description="Shown only now.")


class OwnToken(Answer):
    """The caller's own token."""

    token_id: str
    name: str
    machine: str | None
    grants: list[Grant]
    created_at: datetime
    expires_at: datetime | None
    renewable_until: datetime | None
    metadata: dict[str, str] = Field(description="What its login proved.")
