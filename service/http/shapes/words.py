"""Words that requests and answers share: names, durations, locations; and the two kinds of body."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from service.core.names import LONGEST, PATH, SEGMENT
from service.core.person import LONGEST_EMAIL, LONGEST_GROUP

NamePath = Annotated[str, Field(max_length=LONGEST, pattern=f"^{PATH}$", examples=["shop/db/PASSWORD"])]
Word = Annotated[str, Field(max_length=LONGEST, pattern=f"^{SEGMENT}$", examples=["production"])]
Duration = Annotated[
    str, Field(max_length=40, pattern=r"^([0-9]{1,9}[dhms]?|([0-9]{1,9}[dhms]){1,4})$", examples=["12h", "90s"])
]
_CIDR = "[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?"
Cidr = Annotated[str, Field(max_length=50, pattern=f"^{_CIDR}$", examples=["10.0.0.0/8"])]
Cidrs = Annotated[str, Field(max_length=4000, pattern=f"^{_CIDR}(,{_CIDR})*$", examples=["10.1.0.0/16,2001:db8::/32"])]


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


Whole = BeforeValidator(_whole)
"""To JSON Schema, 1.0 is an integer too."""
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1), Whole]
Line = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Location = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
Reference = Annotated[str, Field(max_length=1024, pattern=r"^(vault|aws-sm|env|file):[^\x00-\x1f\x7f]+$")]
Folder = Annotated[str, Field(max_length=LONGEST, pattern=f"^({PATH})?$")]
Email = Annotated[
    str, Field(min_length=3, max_length=LONGEST_EMAIL, pattern=r"^[!-?A-~]+@[!-?A-~]+$", examples=["ana@shop.example"])
]
GroupName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_GROUP,
        pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$",
        examples=["staff"],
    ),
]
OptionName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _option(given: object) -> object:
    if isinstance(given, str) and (len(given) > 1024 or re.search(r"[\x00-\x1f\x7f]", given)):
        raise ValueError("1,024 characters are the most, and none of them a control character")
    if isinstance(given, int) and not -(2**63) <= given < 2**63:
        raise ValueError("a number of 64 bits is the most")
    if not isinstance(given, (str, int)):
        raise ValueError("a string, a whole number or a boolean is needed")
    return given


Option = Annotated[
    Any,
    BeforeValidator(_option),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 1024, "pattern": r"^[^\x00-\x1f\x7f]*$"},
                {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                {"type": "boolean"},
            ]
        }
    ),
]
Options = dict[OptionName, Option]


class Request(BaseModel):
    """A body that is sent: unknown fields are refused, types are not bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """A body that is answered."""


class Problem(Answer):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:keywright:problem:absent"])
    title: str
    status: int
    detail: str = Field(description="What, where, what to do; never a value.")
    field: str | None = Field(None, description="Which part of the request is meant.")
    request_id: str


def page_of(kind: type[Answer]) -> type[BaseModel]:
    """A page of such answers."""
    from pydantic import create_model

    fields: dict[str, Any] = {
        "items": (list[kind], ...),  # type: ignore[valid-type]
        "next": (str | None, Field(None, description="Give it as `cursor` for the next page.")),
    }
    return create_model(f"{kind.__name__}Page", __base__=Answer, __doc__=f"A page of {kind.__name__}.", **fields)
