"""Who is let in of whom an identity provider speaks, as whom, and in which groups."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.core.person import BY_HAND, Group, User, UserType
from service.ledger import grants, groups, users
from service.ledger.grants import Holder, Holding
from tests.people.conftest import Site
from tests.rigs import persons
from tests.rigs.hostile_provider import HostileProvider
from tests.rigs.issuer import rsa
from tests.rigs.keywright import Keywright
from tests.rigs.stub import Answer

THEN = datetime(2026, 11, 1, tzinfo=UTC)


def told(site: Site, **claims: Any) -> None:
    """From now on its ID tokens say this."""
    site.server.tokens = lambda it, issuer: it.told(issuer, **claims)


def let_in(answer: httpx2.Response) -> str:
    """The text of the session that was opened."""
    assert answer.status_code == 303, answer.text
    return answer.cookies["keywright"]


def user_of(it: Keywright, session: str) -> User:
    """Whose session it is."""
    token_id = session.split("_")[1]
    with it.service.ledger.read() as tx:
        found = [user for user in users.read(tx) if _token(it, token_id) == user.id]
    return found[0]


def _token(it: Keywright, token_id: str) -> str:
    it.service.keeper.recorder.look()
    return it.service.keeper.recorder.snapshot.tokens[token_id].user_id


def account(it: Keywright, email: str, **more: Any) -> User:
    """Somebody who is here already."""
    made = User(it.service.keeper.door.new_id(), email, "", True, UserType.LOCAL, {}, 1, THEN, "test", THEN)
    made = replace(made, **more)
    with it.service.ledger.change() as tx:
        users.add(tx, made)
    return made


def group(it: Keywright, name: str, *held: Grant) -> Group:
    """A group."""
    made = Group(it.service.keeper.door.new_id(), name, 1, THEN, "test", THEN)
    with it.service.ledger.change() as tx:
        groups.add(tx, made)
        for grant in held:
            grants.add(tx, it.service.keeper.door.new_id(), Holder(made.id, name, Holding.GROUP), grant)
    return made


def groups_of(it: Keywright, user_id: str) -> set[tuple[str, str]]:
    """Names of groups that a user is in, and the kind of source that says so."""
    with it.service.ledger.read() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        named = {found.id: found.name for found in groups.read(tx)}
        return {(named[each.group_id], each.source.partition(":")[0]) for each in user.memberships}


@pytest.fixture(autouse=True)
def _honest(server: HostileProvider) -> Iterator[None]:
    yield
    server.tokens = HostileProvider().tokens


def test_a_new_account_is_made_once_and_found_again(site: Site, it: Keywright) -> None:
    site.let()
    told(site, name="Ada L.")
    first = user_of(it, let_in(site.come()))
    assert (first.email, first.name, first.type) == (f"ada-{site.name}@example.com", "Ada L.", UserType.PROVISIONED)
    assert first.grants == ()
    told(site, name="Ada King", email=f"king-{site.name}@example.com")
    again = user_of(it, let_in(site.come()))
    assert (again.id, again.name, again.email) == (first.id, "Ada King", f"king-{site.name}@example.com")
    events = it.client().get("/events", params={"resource": first.id}).json()["items"]
    assert {event["action"] for event in events} == {"user.add", "user.change"}


def test_nobody_is_made_by_a_provider_that_makes_none(site: Site) -> None:
    site.let(entry={"creates": False})
    assert site.come().status_code == 401
    assert site.refusal() == "not known"


def test_an_address_alone_opens_nobodys_account(site: Site, it: Keywright) -> None:
    site.let()
    account(it, f"ada-{site.name}@example.com")
    assert site.come().status_code == 401
    assert site.refusal() == "not linked"


def test_an_account_is_linked_where_that_is_allowed_and_the_address_vouched_for(site: Site, it: Keywright) -> None:
    site.let(entry={"links": True})
    mine = account(it, f"ada-{site.name}@example.com", name="Ada")
    told(site, email_verified=None)
    assert site.come().status_code == 401  # nobody vouches for it
    told(site, name="Somebody else")
    found = user_of(it, let_in(site.come()))
    assert (found.id, found.type, found.name) == (mine.id, UserType.LOCAL, "Ada")
    told(site, sub="another")  # the address was given to somebody else there
    assert site.come().status_code == 401
    assert site.refusal() == "e-mail address of another person"


def test_no_letter_of_another_alphabet_comes_to_be_somebodys_address(site: Site, it: Keywright) -> None:
    """Written small, the Kelvin sign is a k: a mailbox of somebody else would be taken for that of an account."""
    site.let(entry={"links": True})
    account(it, f"kim-{site.name}@example.com")
    told(site, email=f"\N{KELVIN SIGN}im-{site.name}@example.com", email_verified=True)
    assert site.come().status_code == 401
    told(site, email=f"KIM-{site.name}@example.com", email_verified=True)
    let_in(site.come())


def test_an_account_for_emergencies_is_never_linked(site: Site, it: Keywright) -> None:
    site.let(entry={"links": True})
    account(it, f"ada-{site.name}@example.com", emergency=True)
    assert site.come().status_code == 401
    assert site.refusal() == "not linked"


def test_a_provider_does_not_come_in_as_a_user_of_another(site: Site, it: Keywright, server: HostileProvider) -> None:
    site.let()
    let_in(site.come())
    other = Site(it, server, f"{site.name}-other")
    other.let(entry={"links": True})
    told(other, email=f"ada-{site.name}@example.com")
    assert other.come().status_code == 401
    assert site.refusal() == "e-mail address of another person"


def test_a_disabled_user_is_not_let_in(site: Site, it: Keywright) -> None:
    site.let()
    user = user_of(it, let_in(site.come()))
    with it.service.ledger.change() as tx:
        users.change(tx, replace(user, enabled=False))
    assert site.come().status_code == 401
    assert site.refusal() == "user is disabled"


def test_only_addresses_of_the_domains_and_accounts_of_the_organisation(site: Site, it: Keywright) -> None:
    site.let(entry={"domains": ["example.com"]}, hosted_domains=["example.com"])
    for claims in ({}, {"hd": "other.com"}, {"hd": ["example.com"]}):
        told(site, **claims)
        assert site.come().status_code == 401
        assert site.refusal() == "hosted domain"
    told(site, hd="example.com", email="ada@example.com.evil.test")
    assert site.come().status_code == 401
    assert site.refusal() == "e-mail domain"
    told(site, hd="example.com")
    let_in(site.come())


def test_groups_follow_what_the_provider_says_and_leave_the_others_alone(site: Site, it: Keywright) -> None:
    engineers, leads = group(it, f"{site.name}-eng"), group(it, f"{site.name}-leads")
    by_hand = group(it, f"{site.name}-by-hand")
    mapped = {"eng": engineers.name, "leads": leads.name, "ghosts": f"{site.name}-nobody-made"}
    site.let(entry={"groups": mapped}, groups_claim="groups")
    told(site, groups=["eng", "ghosts", "unmapped", by_hand.name])
    user = user_of(it, let_in(site.come()))
    with it.service.ledger.change() as tx:
        groups.join(tx, it.service.keeper.door.new_id(), by_hand.id, BY_HAND, user_id=user.id)
        groups.join(tx, it.service.keeper.door.new_id(), engineers.id, BY_HAND, user_id=user.id)
    held = {(engineers.name, "hand"), (by_hand.name, "hand")}
    assert groups_of(it, user.id) == held | {(engineers.name, "oidc")}
    told(site, groups="leads")
    let_in(site.come())
    assert groups_of(it, user.id) == held | {(leads.name, "oidc")}
    told(site, groups=["eng"])  # it says so, too, of a group that a hand put the person into
    let_in(site.come())
    assert groups_of(it, user.id) == held | {(engineers.name, "oidc")}
    told(site)  # the claim is left out: in none, then
    let_in(site.come())
    assert groups_of(it, user.id) == held
    told(site, groups=["eng"], _claim_names={"groups": "src1"})  # too many to be told
    assert site.come().status_code == 401


def test_a_grant_of_a_group_holds_from_the_first_request_on(site: Site, it: Keywright) -> None:
    owners = group(it, f"{site.name}-owners", Grant(Level.OWN, Kind.EVERYTHING))
    site.let(entry={"groups": {"root": owners.name}}, groups_claim="groups")
    told(site, groups=["root"])
    session = it.client(let_in(site.come()))
    assert session.get("/tokens").status_code == 200
    told(site, groups=[])
    fresh = it.client(let_in(site.come()))
    assert {session.get("/tokens").status_code, fresh.get("/tokens").status_code} <= {403, 404}


def test_groups_that_are_mapped_no_more_are_left_at_once(site: Site, it: Keywright) -> None:
    engineers = group(it, f"{site.name}-eng")
    site.let(entry={"groups": {"eng": engineers.name}}, groups_claim="groups")
    told(site, groups=["eng"])
    session = let_in(site.come())
    user = user_of(it, session)
    owner = it.client()
    definition = owner.get(f"/identity-providers/{site.name}").json()["definition"]
    definition["entry"]["groups"] = {}
    assert owner.patch(f"/identity-providers/{site.name}", json={"definition": definition}).status_code == 200
    assert groups_of(it, user.id) == set()
    assert it.client(session).get("/me").status_code == 401


def test_a_second_factor_counts_where_it_is_believed_and_its_time_is_told(site: Site, it: Keywright) -> None:
    site.let(entry={"factors": ["mfa", "urn:strong"]})
    assert "max_age=" in site.browser().get(site.here).headers["location"]
    now = int(time.time())
    for claims, counts in (
        ({"amr": ["pwd", "mfa"], "auth_time": now - 60}, True),
        ({"acr": "urn:strong", "auth_time": now - 60}, True),
        ({"amr": ["pwd"], "auth_time": now - 60}, False),
        ({"amr": ["mfa"]}, False),
        ({"amr": ["mfa"], "auth_time": now + 3600}, False),
        ({"amr": "mfa", "auth_time": now}, False),
    ):
        told(site, **claims)
        token_id = let_in(site.come()).split("_")[1]
        it.service.keeper.recorder.look()
        session = it.service.keeper.recorder.snapshot.tokens[token_id].session
        assert session is not None
        assert (session.factor_at is not None) is counts, claims
        if session.factor_at:
            assert session.factor_at.timestamp() == now - 60


def test_attributes_are_taken_by_their_names_there(site: Site, it: Keywright) -> None:
    site.let(entry={"attributes": {"team": "department", "sites": "offices"}})
    told(site, department="shop", offices=["north", "south"], other="x")
    assert dict(user_of(it, let_in(site.come())).attributes) == {"team": "shop", "sites": ("north", "south")}


# -- where the address comes from


def access(site: Site, key: Any = None, typ: str = "at+jwt", **claims: Any) -> None:
    """ID tokens without an address, beside an access token that is a JWT."""

    def tells(it: HostileProvider, issuer: str) -> dict[str, Any]:
        said = {"aud": "keywright", "client_id": "keywright"} | claims
        return it.told(issuer, email=None) | {"access_token": it.jwt(issuer, key, {"typ": typ}, **said)}

    site.server.tokens = tells


def test_the_address_may_come_from_an_access_token_that_is_a_jwt(site: Site, it: Keywright) -> None:
    site.let()
    access(site)
    assert user_of(it, let_in(site.come())).email == f"ada-{site.name}@example.com"
    access(site, email_verified=False)
    assert site.come().status_code == 401
    assert site.refusal() == "e-mail not verified"


def test_but_not_from_one_that_is_none_or_was_made_for_somebody_else(site: Site) -> None:
    site.let()
    for lie in (
        {"typ": "JWT"},
        {"key": rsa("first")},
        {"aud": "https://api.test"},
        {"iss": "https://other.test"},
        {"exp": 1},
    ):
        access(site, **lie)
        assert site.come().status_code == 401, lie
        assert site.refusal() == "no e-mail address"
    access(site, sub="eve")
    assert site.come().status_code == 401
    assert site.refusal() == "access token of somebody else"


def test_an_access_token_for_the_audience_that_is_configured(site: Site) -> None:
    site.let(access_audience="https://api.test")
    access(site, aud="https://api.test")
    let_in(site.come())


def test_the_address_may_come_from_userinfo_of_the_same_person(site: Site, it: Keywright) -> None:
    site.server.metadata = {"userinfo_endpoint": f"{site.issuer}/userinfo"}
    site.let()
    told(site, email=None)
    path = urlsplit(site.issuer).path
    said = {"sub": "ada", "email": f"ada-{site.name}@example.com", "email_verified": True}
    site.server.answers[f"{path}/userinfo"] = Answer(200, said | {"sub": "eve"})
    assert site.come().status_code == 401
    assert site.refusal() == "userinfo of somebody else"
    site.server.answers[f"{path}/userinfo"] = Answer(200, said)
    assert user_of(it, let_in(site.come())).email == said["email"]
    shown = [request.headers for request in site.server.asked if request.path == f"{path}/userinfo"][-1]
    assert shown["Authorization"] == "Bearer opaque"


# -- the end


EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


def over(site: Site, key: Any = None, **claims: Any) -> httpx2.Response:
    """The provider says that sessions are over."""
    said = {"email": None, "email_verified": None, "nonce": None, "events": EVENTS, "jti": str(time.monotonic_ns())}
    token = site.server.jwt(site.issuer, key, {"typ": "logout+jwt"}, **(said | claims))
    return site.browser().post(f"{site.here}/backchannel", data={"logout_token": token})


def test_a_provider_ends_the_session_that_it_names_and_no_other(site: Site, it: Keywright) -> None:
    site.let()
    told(site, sid="one")
    one = it.client(let_in(site.come()))
    told(site, sid="two")
    two = it.client(let_in(site.come()))
    assert over(site, sub=None, sid="one").status_code == 200
    assert (one.get("/me").status_code, two.get("/me").status_code) == (401, 200)
    assert over(site, sid=None).status_code == 200  # all of that person
    assert two.get("/me").status_code == 401


def test_a_logout_token_that_is_not_right_ends_nothing(site: Site, it: Keywright) -> None:
    site.let()
    told(site, sid="one")
    session = it.client(let_in(site.come()))
    jti = str(time.monotonic_ns())
    for lie in (
        {"key": rsa("first")},
        {"events": None},
        {"events": {}},
        {"nonce": "n"},
        {"sub": None},
        {"jti": None},
        {"aud": "other"},
        {"iss": "https://other.test"},
        {"iat": int(time.time()) - 3600},
        {"exp": int(time.time()) - 120},
    ):
        answer = over(site, **lie)
        assert answer.status_code == 400, lie
        assert answer.json()["error"] == "invalid_request"
    assert session.get("/me").status_code == 200
    assert over(site, jti=jti, sub="nobody").status_code == 200
    assert over(site, jti=jti).status_code == 400  # shown before
    assert session.get("/me").status_code == 200
    assert site.browser().post(f"{site.here}/backchannel", json={}).status_code == 415


@pytest.mark.parametrize("how", ["disabled", "removed"])
def test_sessions_end_with_their_provider(site: Site, it: Keywright, how: str) -> None:
    site.let()
    session = it.client(let_in(site.come()))
    place, owner = f"/identity-providers/{site.name}", it.client()
    ended = owner.delete(place) if how == "removed" else owner.patch(place, json={"enabled": False})
    assert ended.is_success
    assert session.get("/me").status_code == 401
    assert site.browser().get(site.here).status_code == 404


def test_a_second_factor_that_is_required_is_asked_for_here_unless_it_was_shown_there(
    site: Site, it: Keywright
) -> None:
    site.let(entry={"factors": ["mfa"]})
    persons.decide(it.service, second_factor_required=True)
    try:
        answer = site.come()
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/factor")
        assert "keywright" not in answer.cookies
        told(site, amr=["mfa"], auth_time=int(time.time()))
        let_in(site.come())
    finally:
        persons.decide(it.service)
