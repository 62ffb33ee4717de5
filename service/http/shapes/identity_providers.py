"""Identity providers on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.core.identity import MOST
from service.core.openid import SCOPES
from service.core.proof import ALGORITHMS
from service.http.shapes.machines import Address, Algorithm, Pem, Statement
from service.http.shapes.words import Answer, NamePath, Request, Word

Claim = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["groups"])]
Domain = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9.-]+$", examples=["example.com"])]
ClientSecret = Annotated[
    str,
    Field(
        max_length=20_000,
        description="What we prove to it who we are with; of SAML an RSA key (PEM), to sign and to be encrypted for.",
        json_schema_extra={"format": "password"},
    ),
]


class PutEntry(Request):
    """Whom a provider brings in, whatever its kind."""

    domains: list[Domain] = Field(default_factory=list, max_length=MOST, description="Of addresses; empty: any.")
    creates: bool = Field(False, description="Is somebody who is not known yet given an account?")
    links: bool = Field(
        False,
        description="May it, by an address that it vouches for, come in as a user who is here already? Whoever can "
        "make an account there with somebody's address can then come in as that one.",
    )
    groups: dict[Statement, NamePath | Literal["*"]] = Field(
        default_factory=dict,
        max_length=MOST,
        description='What it calls a group, to what the group is called here. `{"*": "*"}`: each by its own name.',
    )
    factors: list[Statement] = Field(
        default_factory=list,
        max_length=MOST,
        description="What it calls a sign-in with a second factor (`amr`, `acr`); empty: it is not believed there.",
    )
    attributes: dict[Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Claim] = Field(
        default_factory=dict, max_length=50, description="Attributes of the user, to the claims that tell them."
    )


class PutOpenId(Request):
    """An OpenID provider, found by discovery."""

    kind: Literal["oidc"]
    issuer: Address
    client_id: Statement
    entry: PutEntry = Field(default_factory=lambda: PutEntry.model_validate({}))
    scopes: list[Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")]] = Field(
        list(SCOPES), min_length=1, max_length=20
    )
    email_claim: Claim = "email"
    groups_claim: Claim | None = Field(None, description="Left out: it tells nothing of groups.")
    hosted_domains: list[Domain] = Field(
        default_factory=list, max_length=MOST, description="Google: only accounts of these organisations (`hd`)."
    )
    vouches: bool = Field(
        False, description="Are its addresses believed where it does not say `email_verified`? Of one tenant of yours."
    )
    access_audience: Statement | None = Field(
        None, description="Audience of access tokens that may be read for an address; left out: the client id."
    )
    algorithms: list[Algorithm] = Field(["RS256", "ES256"], min_length=1, max_length=len(ALGORITHMS))
    ca: Pem | None = Field(None, description="Authority of its server; left out: the system's.")
    key_id: Statement | None = Field(
        None,
        description="Where the secret is a private key (`private_key_jwt`): what the provider calls it (`kid`). Left "
        "out: `x5t#S256` of the certificate that stands beside the key, or else the key's thumbprint (RFC 7638).",
    )


Attribute = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["groups"])]
EntityId = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[!-~]+$", examples=["https://id.test/saml"])]


class PutSaml(Request):
    """A SAML 2.0 provider, as its metadata tell it: `POST /saml-metadata` reads them."""

    kind: Literal["saml"]
    entity_id: EntityId
    sso_url: Address = Field(description="Where a sign-in is asked for (HTTP-Redirect).")
    certificates: list[Pem] = Field(
        min_length=1, max_length=10, description="Of the keys that it signs with; several, while it turns them."
    )
    entry: PutEntry = Field(default_factory=lambda: PutEntry.model_validate({}))
    slo_url: Address | None = Field(None, description="Where a sign-out is told (HTTP-Redirect).")
    email_attribute: Attribute | None = Field(None, description="Left out: the NameID is the address.")
    name_attribute: Attribute | None = None
    groups_attribute: Attribute | None = Field(None, description="Left out: it tells nothing of groups.")
    subject_attribute: Attribute | None = Field(
        None, description="What says for good who somebody is there; left out: the NameID."
    )
    vouches: bool = Field(False, description="Are its addresses believed, to find users by who are here already?")
    unsolicited: bool = Field(
        False,
        description="May it send somebody who did not begin here (IdP-initiated)? Then another site can sign somebody "
        "in as somebody else without their noticing.",
    )


Definition = Annotated[PutOpenId | PutSaml, Field(discriminator="kind")]


class PutSamlMetadata(Request):
    """A SAML provider's metadata."""

    xml: str = Field(min_length=1, max_length=200_000)


class SamlMetadata(Answer):
    """What they say, as a definition takes it."""

    entity_id: str
    sso_url: str
    slo_url: str | None
    certificates: list[str]


class NewIdentityProvider(Request):
    """A way to sign in from elsewhere."""

    name: Word
    definition: Definition
    secret: ClientSecret = ""
    enabled: bool = True


class ChangedIdentityProvider(Request):
    """What is given becomes so; a definition as a whole."""

    definition: Definition | None = None
    secret: ClientSecret | None = Field(None, description="An empty one takes it away.")
    enabled: bool | None = None


class IdentityProvider(Answer):
    """A way to sign in from elsewhere; never its secret."""

    name: str
    enabled: bool
    definition: Definition
    has_secret: bool
    callback: str | None = Field(description="What has to be registered there: the redirect URI, of SAML the ACS URL.")
    metadata: str | None = Field(description="SAML: where our metadata are; this is our entity id there, too.")
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime


class CheckedIdentityProvider(Answer):
    """What was found when it was asked."""

    works: bool = Field(description="Nothing was found. Whether it takes the secret shows the first sign-in.")
    problems: list[str]
