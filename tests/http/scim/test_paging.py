"""Pages: by index, in the order in which things were made, so that what is new moves nothing that was told already."""

import pytest

from tests.http.scim.conftest import Provider

MANY = 25


@pytest.fixture(scope="module")
def ids(provider: Provider) -> list[str]:
    return [str(provider.person(f"p{number:02}", title=f"t{(number * 7) % MANY:02}")["id"]) for number in range(MANY)]


def page(provider: Provider, start: int, **more: str) -> dict[str, object]:
    answer = provider.client.get("Users", params={"startIndex": start, "count": 10} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def told(shown: dict[str, object]) -> list[str]:
    return [it["id"] for it in shown["Resources"]]  # type: ignore[attr-defined]


def test_pages_hold_everybody_once_while_others_come(provider: Provider, ids: list[str]) -> None:
    first = page(provider, 1)
    assert (first["totalResults"], first["startIndex"], first["itemsPerPage"]) == (MANY, 1, 10)
    newcomer = str(provider.person("newcomer")["id"])
    seen = told(first) + told(page(provider, 11)) + told(page(provider, 21))
    assert seen == [*ids, newcomer]
    assert told(page(provider, 100)) == []
    assert told(page(provider, 10**40)) == []
    assert provider.client.delete(f"Users/{newcomer}").status_code == 204


def test_filtered_pages_are_stable_as_well(provider: Provider, ids: list[str]) -> None:
    seen = [each for start in (1, 11, 21) for each in told(page(provider, start, filter='userName sw "p"'))]
    assert seen == ids


def test_an_order_can_be_asked_for(provider: Provider, ids: list[str]) -> None:
    up = [each for start in (1, 11, 21) for each in told(page(provider, start, sortBy="title"))]
    down = [
        each for start in (1, 11, 21) for each in told(page(provider, start, sortBy="title", sortOrder="descending"))
    ]
    wanted = sorted(range(MANY), key=lambda number: (number * 7) % MANY)
    assert up == [ids[number] for number in wanted]
    assert down == up[::-1]


def test_odd_bounds_are_put_right(provider: Provider, ids: list[str]) -> None:
    get = provider.client.get
    assert get("Users", params={"startIndex": -5, "count": -1}).json()["itemsPerPage"] == 0
    assert get("Users", params={"count": 0}).json()["totalResults"] == MANY
    assert len(get("Users", params={"count": 100_000}).json()["Resources"]) == MANY
    for wrong in ({"startIndex": "x"}, {"count": "1.5"}, {"sortBy": "nothing"}, {"sortBy": "emails[type"}):
        assert get("Users", params=wrong).status_code == 400, wrong
