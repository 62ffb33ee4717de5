"""The next request of who was put out: at every replica, by whatever it shows, also over a connection that stands.

The same bytes were asked over the same connection before: what a replica remembers of a decision is of no use either.
"""

import pytest

from tests.people.leavers.conftest import ENDS, PLACE, USE, Leaver, Replicas, get, shows, ways

VALUE, CREDENTIAL = f"{PLACE}/values/shop/PASSWORD", f"{PLACE}/credentials/shop/db"
SECRET, ROLE = "/v1/secret/data/production/shop/PASSWORD", "/v1/database/static-creds/production/shop/db"
ASKED = (VALUE, CREDENTIAL, f"{PLACE}/values?names=shop/PASSWORD", f"{PLACE}/variables/shop/PASSWORD", SECRET, ROLE)
"""The native door by its fast lane (the first two) and by its routes, and the Vault door."""
UNGRANTED = {SECRET: 404, ROLE: 400}
COOKIE = "session's cookie"
KINDS = ("session", COOKIE, "own token", "keywright login")
CASES = [(kind, target) for kind in KINDS for target in ASKED if kind != COOKIE or target.startswith("/api/")]
"""Nobody comes to the Vault door by a cookie."""


def shown(leaver: Leaver, kind: str) -> str:
    """The header by which it comes."""
    if kind == "own token":
        return shows(leaver.own_token())
    if kind == "keywright login":
        return shows(leaver.login())
    return shows(leaver.session(), cookie=kind == COOKIE)


@pytest.fixture(scope="module", autouse=True)
def no_step_up(replicas: Replicas) -> None:
    """So that a token of one's own, which shows no second factor, can be asked with for everything."""
    replicas.owner.patch("/settings", json={"step_up": 0}).raise_for_status()


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_is_refused_at_every_replica(replicas: Replicas, kind: str, target: str) -> None:
    vault = target.startswith("/v1/")
    for how in ENDS:
        leaver = replicas.person(USE)
        asked = get(target, shown(leaver, kind))
        with ways(replicas) as each:
            for way in [*each, *each]:
                way.say(asked)
                answer = way.answer()
                assert answer.status == 200, answer.body
            leaver.ends(how)
            answers = []
            for way in reversed(each):
                way.say(asked)
                answers.append(way.answer())
        refused = UNGRANTED.get(target, 404) if "group" in how else 403 if vault else 401
        assert [answer.status for answer in answers] == [refused] * len(each), how
