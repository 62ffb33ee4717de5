"""What does not have the form that is wanted is told the form in words: no pattern, and not what was sent."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.http.shapes.forms import FORMS
from tests.rigs.keywright import Keywright

PLACE = "/environments/production"
HUSH = "(hush-hush)"


def _patterns(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(found := document.get("pattern"), str):
            yield found
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from _patterns(part)


def test_every_pattern_has_its_words(keywright_service: Keywright) -> None:
    document = keywright_service.client().get("/openapi.json").raise_for_status().json()
    assert set(_patterns(document)) == set(FORMS)


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("GET", f"/rotations/{HUSH}", None, "wanted is an id: digits and letters from a to f, as lists show them"),
        ("GET", f"{PLACE}/variables/shop//{HUSH}", None, "wanted is a name: segments of letters"),
        ("PUT", f"{PLACE}/variables/A", {"reference": HUSH}, "wanted is a reference: vault:, aws-sm:, env: or file:"),
        ("POST", "/tokens", {"name": "a", "expires_in": HUSH}, "or numbers with d, h, m or s, as in 1h30m"),
        ("POST", "/webhooks", {"name": "a", "url": HUSH}, "wanted is an address that begins with https://"),
    ],
)
def test_a_text_of_another_form_is_told_the_form(
    keywright_service: Keywright, method: str, path: str, body: Any, detail: str
) -> None:
    answer = keywright_service.client().request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert detail in answer.json()["detail"]
    assert HUSH not in answer.text
    assert "pattern" not in answer.text
