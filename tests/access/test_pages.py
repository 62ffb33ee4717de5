"""Pages and `/oauth`: every route beside the OpenAPI document, asked by everybody who could come with a cookie.

What there is, the route tables of the running application say; what is not declared in `doors/pages.toml` fails. A
page knows people by a session's cookie, and by nothing else: whoever shows another thing is nobody there, and what is
posted by a session came from a page of ours.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from service.core.token import split
from service.http.cookies import PLAIN, proof_of
from service.ledger import sessions
from tests.access.callers import OTHERS, Callers, bearer, of_all
from tests.access.conftest import World
from tests.rigs import persons

FILE = Path(__file__).with_name("doors") / "pages.toml"
NOT_OURS, NO_PROOF = "but from a page of another site", "needs the header X-CSRF-Token"
UNKNOWN = f"kw_{'0' * 16}_{'a' * 43}"


@dataclass(frozen=True)
class Page:
    """As the file tells it."""

    method: str
    path: str
    needs: str
    nobody: int = 303
    granted: int = 200
    elsewhere: int = 403
    forged: int = 403
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """As it is declared."""
        return f"{self.method} {self.path}"

    @property
    def unknown(self) -> int:
        """What everybody is answered who shows no session."""
        return self.nobody if self.needs == "session" else self.granted

    def ask(self, world: World, headers: Mapping[str, str], **more: str) -> httpx2.Response:
        """Ask, with more fields in the form."""
        client, fresh = world.nobody, world.things.fresh()
        client.cookies.clear()
        path, posted = self.path.format(name="absent"), self.method == "POST"
        fields = {name: text.replace("{fresh}", fresh) for name, text in self.form.items()}
        data = {**fields, **more} if posted else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if posted else {}
        return client.request(self.method, path, params=self.query, data=data, headers={**kind, **headers})


def _declared() -> list[Page]:
    said: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text())
    return [Page(*key.split(" "), **each) for key, each in said.items()]


PAGES = _declared()
POSTED = [page for page in PAGES if page.method == "POST"]


def each(pages: list[Page]) -> pytest.MarkDecorator:
    """One test for each page."""
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.key)


def cookie(text: str) -> dict[str, str]:
    """As a browser shows a session."""
    return {"Cookie": f"{PLAIN}={text}"}


def somebody(world: World, callers: Callers, *held: dict[str, str]) -> str:
    """The session of a new person with a factor of its own."""
    made = callers.person(*held)
    persons.app(world.it.service, made.user.id)
    return made.session


def over(world: World, callers: Callers) -> str:
    """A session that nobody used for too long."""
    text = callers.person(of_all("own")).session
    with world.it.service.ledger.change() as tx:
        sessions.seen(tx, (split(text) or ("", ""))[0], tx.now - timedelta(seconds=1))
    return text


def ended(world: World, callers: Callers) -> str:
    """A session that was signed out."""
    text = callers.person(of_all("own")).session
    assert world.nobody.delete("/api/v1/session", headers=bearer(text)).status_code == 204
    return text


def test_every_page_is_declared(world: World) -> None:
    app = world.it._server.app  # type: ignore[union-attr]
    documented = {f"{method.upper()} {path}" for path, item in app.openapi()["paths"].items() for method in item}
    there = {f"{method} {route.path}" for route in iter_route_contexts(app.routes) for method in route.methods or ()}
    there = {key.replace(":path}", "}").replace(":hex}", "}") for key in there if not key.startswith("HEAD ")}
    assert there - documented - {page.key for page in PAGES} == set(), f"who may do this is to be said in {FILE.name}"
    assert {page.key for page in PAGES} - there == set(), "declared, and not (any more) there"


@each(PAGES)
def test_who_shows_no_session_is_nobody(world: World, callers: Callers, page: Page) -> None:
    own = of_all("own")
    one, other = callers.person(own).session.split("_", 2), callers.person(own).session.split("_", 2)
    disabled = callers.person(own, enabled=False)
    shown = {
        "nobody": {},
        "an owner's token, as everywhere else": bearer(callers.token(own)),
        "a person's session, as everywhere else": bearer(callers.person(own).session),
        "a session that there is not": cookie(UNKNOWN),
        "a session with another's secret": cookie("_".join([*one[:2], other[2]])),
        "a session that is over": cookie(over(world, callers)),
        "a session that was ended": cookie(ended(world, callers)),
        "a token that has expired": cookie(callers.expired),
        "a token that was revoked": cookie(callers.revoked(own)),
        "an owner's token": cookie(callers.token(own)),
        "a machine": cookie(callers.machine(own)),
        "a disabled machine": cookie(callers.machine(own, enabled=False)),
        "a person's own token": cookie(callers.person(own).token),
        "a disabled person's session": cookie(disabled.session),
        "a disabled person's token": cookie(disabled.token),
        "two sessions": {"Cookie": f"{PLAIN}={callers.person(own).session}; {PLAIN}={callers.person(own).session}"},
        "a session and a token": cookie(callers.person(own).session) | bearer(callers.token(own)),
    }
    answers = {who: page.ask(world, headers) for who, headers in shown.items()}
    assert {who: answer.status_code for who, answer in answers.items()} == dict.fromkeys(shown, page.unknown)
    if page.needs == "session" and page.nobody == 303:
        assert {answer.headers["location"].partition("?")[0] for answer in answers.values()} == {"/sign-in"}
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers.values())


@each(PAGES)
def test_who_is_signed_in_gets_its_own(world: World, callers: Callers, page: Page) -> None:
    for held in ([], [OTHERS], [of_all("own")]):
        text = somebody(world, callers, *held)
        answer = page.ask(world, cookie(text), csrf=proof_of(text))
        assert answer.status_code == page.granted, answer.text
        assert NO_PROOF not in answer.text


@each(POSTED)
def test_a_form_comes_from_a_page_of_ours(world: World, callers: Callers, page: Page) -> None:
    text, another = somebody(world, callers, of_all("own")), somebody(world, callers)
    for elsewhere in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
    ):
        for shown in ({}, cookie(text)):
            answer = page.ask(world, {**shown, **elsewhere}, csrf=proof_of(text))
            assert answer.status_code == page.elsewhere, answer.text
            assert (NOT_OURS in answer.text) == (page.elsewhere in (403, 400)), answer.text
    if page.needs == "session" and page.forged:
        for proof in ({}, {"csrf": ""}, {"csrf": proof_of(another)}, {"csrf": text}):
            answer = page.ask(world, cookie(text), **proof)
            assert (answer.status_code, NO_PROOF in answer.text) == (page.forged, True), answer.text
    assert page.ask(world, cookie(text), csrf=proof_of(text)).status_code == page.granted
