"""Why somebody may do something, and rules that are tried, on the wire."""

from typing import Annotated

from pydantic import Field

from service.http.shapes.people import Attributes
from service.http.shapes.tokens import Rule
from service.http.shapes.words import Answer, Request, Whole

Short = Annotated[str, Field(max_length=254, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ConsideredGrant(Answer):
    """One grant that is on what was asked about, or on what that lies in."""

    level: str
    kind: str
    environment: str | None
    path: str
    rule: str
    by: list[str] = Field(description="From the caller over its groups to whoever holds the grant.")
    enough: bool = Field(description="Is its level high enough?")
    holds: bool = Field(description="Does its rule hold? true where it has none.")


class Explained(Answer):
    """Who may do what, and why."""

    caller: str
    kind: str = Field(description="`user`, `group`, `machine` or `token`")
    action: str
    resource: str
    allowed: bool
    level: str | None = Field(description="The highest that the caller has there.")
    decided_by: ConsideredGrant | None
    missing: str = Field(description="Why not, in a sentence; empty where it is allowed.")
    considered: list[ConsideredGrant]


class TriedUser(Request):
    """A person as a rule would see it."""

    id: Short = ""
    email: Short = ""
    name: Short = ""
    groups: list[Short] = Field(default_factory=list, max_length=200)
    attributes: Attributes = Field(default_factory=dict)
    method: Short = "password"
    signed_in: bool = True
    factor_age: Annotated[int, Field(ge=0, le=2**31), Whole] | None = None


class TryRule(Request):
    """A rule, and a caller that it is tried on: a person, or a machine by its name."""

    rule: Rule
    user: TriedUser | None = None
    machine: Short | None = None
    address: Short = Field("", examples=["10.1.2.3"])
    at: Annotated[str, Field(max_length=40, pattern=r"^[0-9TtZz:.+ -]*$", examples=["2026-11-26T22:30:00Z"])] = Field(
        "", description="When; empty: now."
    )


class TriedRule(Answer):
    """What a rule came to."""

    holds: bool
