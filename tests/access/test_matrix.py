"""Every operation, asked by every kind of caller: 401, 404, 403 or what it does, exactly as it is declared.

What operations there are is what the OpenAPI document of the running application says. One that is not declared in
`needs/*.toml` fails, so that none comes without somebody having said who may.
"""

import pytest

from service.http.cookies import HEADER, PLAIN, proof_of
from tests.access.asking import ask
from tests.access.callers import BESIDE, KNOWN, UNKNOWN, Callers, bearer
from tests.access.conftest import World
from tests.access.needs import NOTHING, Need, declared, key_of
from tests.access.things import INSIDE

DECLARED = declared()
each_operation = pytest.mark.parametrize("need", DECLARED.values(), ids=lambda need: need.key)


def test_every_operation_says_what_it_needs(world: World) -> None:
    paths = world.it.nobody().get("/openapi.json").json()["paths"]
    there = {key_of(method, path) for path, item in paths.items() for method in item}
    known = {need.operation for need in DECLARED.values()}
    missing = "\n\n".join(f'["{key}"]\nneeds = "…"' for key in sorted(there - known))
    assert not missing, (
        f"nobody has said who may do this. Add it to tests/access/needs/NOUN.toml, as tests/access/needs.py tells "
        f"(needs = nothing, any caller, or a level and a thing, such as `edit variable`):\n\n{missing}"
    )
    gone = sorted(known - there)
    assert not gone, f"declared in tests/access/needs, and not (any more) in the OpenAPI document: {gone}"


@each_operation
def test_who_is_not_known_is_told_so(world: World, callers: Callers, need: Need) -> None:
    thing = world.things(need.thing)
    answers = {who.name: ask(world.nobody, need, thing, who.shows(callers, thing), world.things) for who in UNKNOWN}
    expected = need.granted if need.needs == NOTHING else 401
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, expected)
    if need.needs != NOTHING:
        # But for nobody, who is told how to show a token, all of them hear one sentence.
        assert len({answer.said for name, answer in answers.items() if name != "nobody"}) == 1
        assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers.values())
        assert all(answer.headers["cache-control"] == "no-store" for answer in answers.values())


@each_operation
def test_who_is_known_may_do_what_was_granted(world: World, callers: Callers, need: Need) -> None:
    thing = world.things(need.thing)
    found, expected = {}, {}
    beside = BESIDE if need.thing in INSIDE else ()
    # First those who are refused: what the others do may leave nothing to be asked for.
    for who in sorted([*KNOWN, *beside], key=lambda who: need.expected(who.holds, who.kind) not in (403, 404)):
        expected[who.name] = need.expected(who.holds, who.kind)
        if expected[who.name] not in (403, 404) and need.method != "GET":
            thing = world.things(need.thing)
        answer = ask(world.nobody, need, thing, who.shows(callers, thing), world.things)
        found[who.name] = answer.status
    assert found == expected


@pytest.mark.parametrize(
    "need", [need for need in DECLARED.values() if need.needs != NOTHING], ids=lambda need: need.key
)
def test_a_cookie_is_of_use_to_pages_of_ours_only(world: World, callers: Callers, need: Need) -> None:
    thing = world.things(need.thing)
    session = callers.person(thing.grant("own")).session
    cookie = {"Cookie": f"{PLAIN}={session}"}
    ours = cookie | {HEADER: proof_of(session)}
    elsewhere = ask(world.nobody, need, thing, ours | {"Sec-Fetch-Site": "cross-site"}, world.things)
    assert (elsewhere.status, "problem:csrf" in elsewhere.said) == (403, True)
    assert ask(world.nobody, need, thing, cookie | bearer(session), world.things).status == 401, "two callers are none"
    if need.method != "GET":
        forged = ask(world.nobody, need, thing, cookie, world.things)
        assert (forged.status, "problem:csrf" in forged.said) == (403, True)
    assert ask(world.nobody, need, thing, ours, world.things).status == need.expected("own", "session")
