"""People sign in by SAML: by a real provider (`samlp` of npm) as a browser does, and by one that lies."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from lxml import etree

from service.core.saml import Place
from service.ledger import users
from tests.people.test_admission import group, groups_of
from tests.rigs.asserting import Asserting, deflated, form, pair
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.saml_provider import SamlProvider, form_of, running_saml_provider

MFA = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "ada": {"said": {"email": "Ada@Example.com", "name": "Ada L.", "groups": ["eng", "unknown"]}},
    "eve": {"said": {"email": "eve@elsewhere.org", "name": "Eve"}},
}
NAMES = {"email_attribute": "email", "name_attribute": "name", "groups_attribute": "groups"}
ENTRY = {"creates": True, "domains": ["example.com"], "groups": {"eng": "engineers"}}


@pytest.fixture(scope="module")
def there(it: Keywright) -> Iterator[SamlProvider]:
    ours = pair("keywright")
    with running_saml_provider(it.url, accounts=ACCOUNTS, ours=ours.certificate) as provider:
        told = it.client().post("/saml-metadata", json={"xml": provider.metadata()})
        assert told.status_code == 200, told.text
        body = told.json()
        assert body["entity_id"] == f"{provider.url}/metadata"
        assert body["sso_url"] == f"{provider.url}/sso"
        assert body["slo_url"] == f"{provider.url}/slo"
        assert body["certificates"] == [provider.pair.certificate]
        let(it, "npm", body, secret=ours.key)
        yield provider


def let(it: Keywright, name: str, told: dict[str, Any], *, secret: str = "", **more: Any) -> None:
    """Let people sign in by this one."""
    definition = {"kind": "saml", "entry": ENTRY} | NAMES | told | more
    made = it.client().post("/identity-providers", json={"name": name, "definition": definition, "secret": secret})
    assert made.status_code == 201, made.text
    assert made.json()["callback"] == f"{it.url}/sign-in/saml/{name}/acs"
    assert made.json()["metadata"] == f"{it.url}/sign-in/saml/{name}/metadata"
    assert "PRIVATE" not in made.text


def session_of(answer: httpx2.Response) -> str:
    """The text of the session that an answer set a cookie for."""
    assert answer.status_code == 303, answer.text
    return answer.cookies["keywright"]


def reasons(it: Keywright) -> list[str]:
    """Why people were turned away, the last one first."""
    events = it.client().get("/events", params={"action": "session.open"}).json()["items"]
    return [each["detail"].get("reason", "") for each in events]


def test_whoever_is_proven_there_is_signed_in_here(it: Keywright, there: SamlProvider) -> None:
    answer = there.browser().sign_in("ada", "/somewhere")
    assert (answer.status_code, answer.headers["location"]) == (303, "/somewhere"), answer.text
    me = it.client(session_of(answer)).get("/me").json()
    assert me["name"] == "ada@example.com"
    assert me["kind"] == "person"


def test_our_metadata_tell_where_we_are_and_what_we_want(it: Keywright, there: SamlProvider) -> None:
    answer = it.nobody().get(f"{it.url}/sign-in/saml/npm/metadata")
    assert answer.status_code == 200
    root = etree.fromstring(answer.content)
    names = {"md": "urn:oasis:names:tc:SAML:2.0:metadata"}
    assert root.get("entityID") == f"{it.url}/sign-in/saml/npm/metadata"
    role = root.find("md:SPSSODescriptor", names)
    assert role is not None
    assert (role.get("WantAssertionsSigned"), role.get("AuthnRequestsSigned")) == ("true", "true")
    acs = role.find("md:AssertionConsumerService", names)
    assert acs is not None
    assert acs.get("Location") == f"{it.url}/sign-in/saml/npm/acs"
    assert "PRIVATE" not in answer.text


def test_a_domain_that_is_not_let_in_is_turned_away(it: Keywright, there: SamlProvider) -> None:
    answer = there.browser().sign_in("eve")
    assert answer.status_code == 401
    assert "eve" not in answer.text
    assert "keywright" not in answer.cookies


def test_an_answer_is_of_use_once(it: Keywright, there: SamlProvider) -> None:
    browser = there.browser()
    page = browser.begin("ada")
    assert browser.post(page).status_code == 303
    again = browser.post(page)
    assert again.status_code == 401
    assert "keywright" not in again.cookies


def test_a_wrong_answer_uses_up_the_request(it: Keywright, liar: Asserting) -> None:
    """Nobody tries many to see how each is refused."""
    browser, asked = begun(it)
    assert bring(browser, it, form(liar.response(asked, said=GOOD))).status_code == 401
    assert bring(browser, it, liar.form(asked, said=GOOD)).status_code == 401
    assert reasons(it)[0] == "request"


def test_an_answer_is_of_use_in_the_browser_only_that_asked(it: Keywright, there: SamlProvider) -> None:
    """Else whoever can make somebody's browser post a form signs them in as oneself (login CSRF)."""
    page = there.browser().begin("ada")
    other = there.browser()
    assert other.post(page).status_code == 401
    other.begin("ada")
    assert other.post(page).status_code == 401


def test_two_windows_of_one_browser_do_not_disturb_each_other(it: Keywright, there: SamlProvider) -> None:
    browser = there.browser()
    first, second = browser.begin("ada", "/first"), browser.begin("ada", "/second")
    assert browser.post(first).headers["location"] == "/first"
    assert browser.post(second).headers["location"] == "/second"


@pytest.mark.parametrize("onward", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(it: Keywright, there: SamlProvider, onward: str) -> None:
    assert there.browser().sign_in("ada", onward).headers["location"] == "/"


def test_relay_state_decides_nothing(it: Keywright, there: SamlProvider) -> None:
    browser = there.browser()
    where, fields = form_of(browser.begin("ada", "/mine"))
    answer = browser.client.post(where, data=fields | {"RelayState": "https://evil.test/"})
    assert answer.headers["location"] == "/mine"


def test_whoever_signs_out_there_is_signed_out_here(it: Keywright, there: SamlProvider) -> None:
    browser = there.browser()
    mine = it.client(session_of(browser.sign_in("ada")))
    assert mine.get("/me").status_code == 200
    sent = browser.client.get(f"{there.url}/leave")
    for _ in range(30):  # the provider asks each session that was opened, one after another
        if not sent.is_redirect:
            break
        sent = browser.client.get(sent.headers["location"])
    assert sent.status_code == 200, sent.text
    assert mine.get("/me").status_code == 401


# -- a provider that lies


@pytest.fixture(scope="module")
def liar(it: Keywright) -> Asserting:
    made = Asserting(Place(f"{it.url}/sign-in/saml/liar"), "https://liar.test/saml", pair("liar"))
    let(it, "liar", told_of(made))
    return made


def told_of(liar: Asserting) -> dict[str, Any]:
    """Its definition on the wire."""
    return {"entity_id": liar.entity_id, "sso_url": liar.sso_url, "certificates": [liar.pair.certificate]}


def begun(it: Keywright, name: str = "liar") -> tuple[httpx2.Client, str]:
    """A browser that went to the provider, and the id of the request that it took there."""
    browser = it.nobody()
    sent = browser.get(f"{it.url}/sign-in/saml/{name}", params={"next": "/on"})
    assert sent.status_code == 303, sent.text
    return browser, request_id(sent.headers["location"])


def request_id(address: str) -> str:
    """Of the request in an address."""
    import base64
    import zlib

    packed = base64.b64decode(httpx2.URL(address).params["SAMLRequest"])
    return str(etree.fromstring(zlib.decompress(packed, -15)).get("ID"))


def bring(browser: httpx2.Client, it: Keywright, message: str, name: str = "liar") -> httpx2.Response:
    """Post a response."""
    return browser.post(f"{it.url}/sign-in/saml/{name}/acs", data={"SAMLResponse": message})


GOOD = {"email": ["ada@example.com"], "name": ["Ada"], "groups": ["eng"]}


def test_a_truthful_answer_is_let_in(it: Keywright, liar: Asserting) -> None:
    browser, asked = begun(it)
    answer = bring(browser, it, liar.form(asked, said={"email": ["bob@example.com"]}, name_id="bob"))
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/on"


def test_groups_are_brought_in_line_with_what_it_says(it: Keywright, liar: Asserting) -> None:
    group(it, "engineers")

    def signed_in(told: list[str]) -> set[tuple[str, str]]:
        browser, asked = begun(it)
        said = {"email": ["gil@example.com"]} | ({"groups": told} if told else {})
        assert bring(browser, it, liar.form(asked, said=said, name_id="gil")).status_code == 303
        with it.service.ledger.read() as tx:
            user = users.named(tx, "gil@example.com")
        assert user is not None
        return groups_of(it, user.id)

    assert signed_in(["eng", "unknown"]) == {("engineers", "saml")}
    assert signed_in([]) == set()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (lambda it, asked: form(it.response(asked, said=GOOD)), "no signed assertion"),
        (lambda it, asked: form(it.signed(it.response(asked, said=GOOD), ".")), "no signed assertion"),
        (lambda it, asked: form(it.signed(it.response(asked, said=GOOD), by=pair("stranger"))), "python3-saml"),
        (lambda it, asked: it.form("", said=GOOD), "nobody asked"),
        (lambda it, asked: it.form("_never", said=GOOD), "request"),
        (lambda it, asked: form(b"x"), "no XML"),
    ],
)
def test_lies_are_refused_and_told_to_the_log(it: Keywright, liar: Asserting, message: Any, reason: str) -> None:
    browser, asked = begun(it)
    answer = bring(browser, it, message(liar, asked))
    assert answer.status_code == 401
    assert "keywright" not in answer.cookies
    assert any(each.startswith(reason) for each in reasons(it)[:1]), reasons(it)[:3]


def test_a_provider_speaks_for_its_own_people_only(it: Keywright, liar: Asserting, there: SamlProvider) -> None:
    """A request that was begun with another one is not answered by it."""
    browser, asked = begun(it, "npm")
    said = {"email": ["mixed@example.com"]}
    assert bring(browser, it, liar.form(asked, said=said, name_id="mixed")).status_code == 401
    assert reasons(it)[0] == "request of another provider"
    truth = Asserting(Place(f"{it.url}/sign-in/saml/npm"), liar.entity_id, liar.pair)
    assert bring(browser, it, truth.form(asked, said=GOOD), "npm").status_code == 401


def test_nobody_is_taken_over_by_an_address(it: Keywright, liar: Asserting, there: SamlProvider) -> None:
    there.browser().sign_in("ada")
    browser, asked = begun(it)
    answer = bring(browser, it, liar.form(asked, said=GOOD, name_id="somebody"))
    assert answer.status_code == 401
    assert reasons(it)[0] == "e-mail address of another person"


def test_an_assertion_is_seen_once_also_where_nobody_asked(it: Keywright) -> None:
    liar = Asserting(Place(f"{it.url}/sign-in/saml/pushing"), "https://pushing.test/saml", pair("liar"))
    let(it, "pushing", told_of(liar), unsolicited=True)
    message = liar.form("", said={"email": ["push@example.com"]}, name_id="push")
    browser = it.nobody()
    assert bring(browser, it, message, "pushing").status_code == 303
    assert bring(browser, it, message, "pushing").status_code == 401
    assert reasons(it)[0] == "assertion shown before"
    answered = liar.form("_never", said={"email": ["push@example.com"]}, name_id="push")
    assert bring(browser, it, answered, "pushing").status_code == 401


def test_a_sign_out_must_be_signed(it: Keywright, liar: Asserting) -> None:
    browser, asked = begun(it)
    said = {"email": ["out@example.com"]}
    answer = bring(browser, it, liar.form(asked, said=said, name_id="out", index="_i"))
    mine = it.client(session_of(answer))
    where = f"{it.url}/sign-in/saml/liar/logout"
    request = liar.logout(where, "out", ["_i"])
    unsigned = it.nobody().get(where, params={"SAMLRequest": deflated(etree.tostring(request))})
    assert unsigned.status_code == 401
    other = it.nobody().get(f"{where}?{liar.redirected(request, by=pair('stranger'))}")
    assert other.status_code == 401
    assert mine.get("/me").status_code == 200
    another = it.nobody().get(f"{where}?{liar.redirected(liar.logout(where, 'out', ['_another']))}")
    assert another.status_code == 303
    assert mine.get("/me").status_code == 200
    query = liar.redirected(request)
    assert it.nobody().get(f"{where}?{query}").status_code == 303
    assert mine.get("/me").status_code == 401
    assert it.nobody().get(f"{where}?{query}").status_code == 401


def test_a_sign_out_that_names_no_session_ends_all_of_a_person(it: Keywright, liar: Asserting) -> None:
    clients = []
    for index in ("_1", "_2"):
        browser, asked = begun(it)
        said = {"email": ["all@example.com"]}
        answer = bring(browser, it, liar.form(asked, said=said, name_id="all", index=index))
        clients.append(it.client(session_of(answer)))
    where = f"{it.url}/sign-in/saml/liar/logout"
    assert it.nobody().get(f"{where}?{liar.redirected(liar.logout(where, 'all', []))}").status_code == 303
    assert [each.get("/me").status_code for each in clients] == [401, 401]


def test_whoever_leaves_here_may_leave_there_too(it: Keywright, there: SamlProvider) -> None:
    """Our LogoutRequest is signed, and names the session as the provider does."""
    text = session_of(there.browser().sign_in("ada"))
    address = it.service.people.saml.leaving(text.split("_")[1])
    assert address.startswith(f"{there.url}/slo?SAMLRequest=")
    assert "Signature=" in address
    answer = httpx2.get(address, timeout=60, trust_env=False)
    assert answer.status_code in (200, 302), answer.text


def test_the_cookie_comes_back_with_forms_of_other_sites_and_over_https_only() -> None:
    with running_keywright(url="https://keywright.test") as safe:
        liar = Asserting(Place("https://keywright.test/sign-in/saml/liar"), "https://liar.test/saml", pair("liar"))
        definition = {"kind": "saml", "entry": ENTRY} | NAMES | told_of(liar)
        assert safe.client().post("/identity-providers", json={"name": "liar", "definition": definition}).is_success
        set_ = safe.nobody().get(f"{safe.url}/sign-in/saml/liar").headers["set-cookie"]
    parts = {part.strip().lower() for part in set_.split(";")}
    assert set_.startswith("__Host-keywright-saml=")
    assert {"secure", "httponly", "samesite=none", "path=/"} <= parts


def test_what_is_no_form_is_refused(it: Keywright, liar: Asserting) -> None:
    where = f"{it.url}/sign-in/saml/liar/acs"
    assert it.nobody().post(where, json={"SAMLResponse": "x"}).status_code == 415
    twice = "SAMLResponse=x&SAMLResponse=y"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert it.nobody().post(where, content=twice, headers=kind).status_code == 401
    assert it.nobody().post(where, content="SAMLResponse=" + "A" * 300_000, headers=kind).status_code == 413
    assert it.nobody().get(f"{it.url}/sign-in/saml/nobody").status_code == 404


def test_a_bomb_in_a_redirect_does_not_go_off(it: Keywright, liar: Asserting) -> None:
    where = f"{it.url}/sign-in/saml/liar/logout"
    bomb = deflated(b"<a>" + b" " * 5_000_000 + b"</a>")
    query = {"SAMLRequest": bomb, "SigAlg": "x", "Signature": "x"}
    assert it.nobody().get(where, params=query).status_code == 401


def test_a_key_that_is_none_is_refused(it: Keywright) -> None:
    definition = {"kind": "saml"} | NAMES | told_of(Asserting(Place(it.url)))
    body = {"name": "keyless", "definition": definition, "secret": "not a key"}
    answer = it.client().post("/identity-providers", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "secret")
    assert "not a key" not in answer.text
