"""What identity providers send otherwise than RFC 7644 has it, put as that has it.

    {"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "2819…"}]}      Microsoft Entra ID
    {"op": "Remove", "path": "members", "value": [{"value": "2819…"}]}                    what is meant: by the id alone

(3.5.2.2 knows no value of a removal. That a value says what to remove, that operations are in capital letters and flags
are texts, scim2-models tolerates by itself; see `provider.py`.)
"""

from typing import Any


def plain(said: Any) -> Any:
    """A body without them, at any depth: a bulk request holds others."""
    if isinstance(said, list):
        return [plain(each) for each in said]
    if not isinstance(said, dict):
        return said
    if str(said.get("op", "")).lower() == "remove" and "value" in said:
        value = said["value"]
        return said | {"value": [_entry(each) for each in value] if isinstance(value, list) else _entry(value)}
    return {name: plain(value) for name, value in said.items()}


def _entry(said: Any) -> Any:
    return {"value": said["value"]} if isinstance(said, dict) and said.get("value") is not None else said
