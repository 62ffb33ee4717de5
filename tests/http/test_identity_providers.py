"""Who may say who vouches for people: `/identity-providers`, and the command."""

import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from keywright.__main__ import main

from service.core.access import Grant, Kind, Level
from service.ledger import grants, identity_providers, tokens, users
from service.ledger.grants import Holder
from tests.people.test_admission import account
from tests.rigs.keywright import Keywright, dump

PLACE = "/identity-providers"
DEFINITION = {"kind": "oidc", "issuer": "https://id.test", "client_id": "keywright"}
SECRET = "s3cret-of-the-client"


def body(name: str, **definition: Any) -> dict[str, Any]:
    """As it is posted."""
    return {"name": name, "definition": DEFINITION | definition, "secret": SECRET}


def holder_of_settings(it: Keywright, name: str, level: Level) -> str:
    """A token with this level on the settings, and nothing else."""
    text = it.token(name)
    with it.service.ledger.change() as tx:
        found = tokens.named(tx, name)
        assert found is not None
        grants.add(tx, it.service.keeper.door.new_id(), Holder(found.id, name), Grant(level, Kind.SETTINGS))
    return text


def test_a_secret_goes_in_and_never_comes_out(it: Keywright) -> None:
    owner = it.client()
    made = owner.post(PLACE, json=body("corp"))
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["has_secret"], told["revision"], told["definition"]["scopes"]) == (
        True,
        1,
        ["openid", "email", "profile"],
    )
    changed = owner.patch(f"{PLACE}/corp", json={"secret": f"another-{SECRET}"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert owner.patch(f"{PLACE}/corp", json={"enabled": False}, headers={"If-Match": '"1"'}).status_code == 412
    listed, events = owner.get(PLACE), owner.get("/events", params={"limit": 500})
    assert SECRET not in made.text + changed.text + listed.text + events.text + str(dump(it.service))
    assert owner.patch(f"{PLACE}/corp", json={"secret": ""}).json()["has_secret"] is False
    assert owner.post(PLACE, json=body("corp")).status_code == 409
    assert owner.delete(f"{PLACE}/corp").status_code == 204
    assert owner.get(f"{PLACE}/corp").status_code == 404
    actions = {event["action"] for event in owner.get("/events", params={"resource": "corp"}).json()["items"]}
    assert actions >= {f"identity_provider.{what}" for what in ("add", "change", "remove", "get")}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"issuer": "http://id.test"}, "issuer"),
        ({"issuer": "https://id.test?x=1"}, "issuer"),
        ({"scopes": ["email"]}, "scopes"),
        ({"algorithms": ["HS256"]}, "definition.oidc.algorithms.0"),
        ({"algorithms": ["none"]}, "definition.oidc.algorithms.0"),
        ({"entry": {"domains": ["no domain"]}}, "definition.oidc.entry.domains.0"),
        ({"entry": {"domains": ["-x"]}}, "domains"),
        ({"entry": {"groups": {"a": "b"}}}, "groups_claim"),
        ({"entry": {"groups": {"*": "*", "a": "b"}}, "groups_claim": "g"}, "groups"),
        ({"ca": "-----BEGIN nothing"}, "ca"),
        ({"unknown": 1}, "definition.oidc.unknown"),
    ],
)
def test_what_cannot_work_is_refused_by_name(it: Keywright, wrong: dict[str, Any], field: str) -> None:
    before = dump(it.service)
    answer = it.client().post(PLACE, json=body("wrong", **wrong))
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text
    assert dump(it.service) == before


def test_owners_of_the_settings_let_in_nobody_with_more_than_they_have(it: Keywright) -> None:
    chief = it.client(holder_of_settings(it, "chief", Level.OWN))
    assert chief.post(PLACE, json=body("plain", entry={"creates": True})).status_code == 201
    grouped = {"entry": {"groups": {"a": "b"}}, "groups_claim": "groups"}
    for reaching in ({"entry": {"links": True}}, grouped, grouped | {"entry": {"groups": {"*": "*"}}}):
        assert chief.post(PLACE, json=body("reaching", **reaching)).status_code == 403
        changed = chief.patch(f"{PLACE}/plain", json={"definition": DEFINITION | reaching})
        assert changed.status_code == 403
    owner = it.client()
    assert owner.post(PLACE, json=body("reaching", **grouped)).status_code == 201
    # What reaches further is not theirs to change or to switch on, but to switch off.
    assert chief.patch(f"{PLACE}/reaching", json={"secret": "x"}).status_code == 403
    assert chief.patch(f"{PLACE}/reaching", json={"enabled": False}).status_code == 200
    assert chief.patch(f"{PLACE}/reaching", json={"enabled": True}).status_code == 403
    owner.delete(f"{PLACE}/reaching")


def test_a_provider_by_which_somebody_signs_in_is_for_owners_of_everything(it: Keywright) -> None:
    chief = it.client(holder_of_settings(it, "second-chief", Level.OWN))
    assert chief.post(PLACE, json=body("used")).status_code == 201
    with it.service.ledger.read() as tx:
        found = identity_providers.named(tx, "used")
    assert found is not None
    account(it, "ada@example.com", provider_id=found.id, subject="ada")
    assert (
        chief.patch(f"{PLACE}/used", json={"definition": DEFINITION | {"issuer": "https://mine.test"}}).status_code
        == 403
    )
    assert chief.patch(f"{PLACE}/used", json={"secret": "x"}).status_code == 403
    assert chief.delete(f"{PLACE}/used").status_code == 403
    assert it.client().delete(f"{PLACE}/used").status_code == 204


def test_the_provider_of_the_last_owner_stays(it: Keywright) -> None:
    owner = it.client()
    assert owner.post(PLACE, json=body("last")).status_code == 201
    with it.service.ledger.read() as tx:
        found = identity_providers.named(tx, "last")
    assert found is not None
    ada = account(it, "last@example.com", provider_id=found.id, subject="ada")
    assert owner.post("/grants", json={"level": "own", "kind": "everything", "user": ada.email}).status_code == 201
    for answer in (owner.patch(f"{PLACE}/last", json={"enabled": False}), owner.delete(f"{PLACE}/last")):
        assert answer.status_code == 409, answer.text
        assert "let somebody else own everything first" in answer.json()["detail"]
    assert owner.delete(f"/users/{ada.id}").status_code == 409
    with it.service.ledger.change() as tx:
        users.add(tx, replace(ada, id="0" * 32, email="other@example.com", provider_id="", subject=""))
        users.set_password(tx, "0" * 32, "$argon2id$none", None)
    assert owner.post("/grants", json={"level": "own", "kind": "everything", "user": "other@example.com"}).is_success
    assert owner.patch(f"{PLACE}/last", json={"enabled": False}).status_code == 200
    assert owner.delete(f"{PLACE}/last").status_code == 204


def test_who_may_look_and_who_sees_nothing(it: Keywright) -> None:
    looker, nobody = it.client(holder_of_settings(it, "looker", Level.USE)), it.client(it.token("none"))
    it.client().post(PLACE, json=body("seen"))
    assert looker.get(f"{PLACE}/seen").status_code == 200
    assert looker.post(f"{PLACE}/seen/check").status_code == 403
    assert looker.patch(f"{PLACE}/seen", json={"enabled": False}).status_code == 403
    for path in (PLACE, f"{PLACE}/seen", f"{PLACE}/not-there"):
        assert nobody.get(path).status_code == 404


def test_the_command(
    it: Keywright, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    def run(*arguments: str, given: str = "") -> tuple[int, str]:
        capsys.readouterr()
        with monkeypatch.context() as around:
            around.setenv("KEYWRIGHT_ADDR", it.url)
            around.setenv("KEYWRIGHT_TOKEN", it.owner)
            around.setattr(sys, "stdin", io.StringIO(given))
            around.setattr(sys, "argv", ["keywright", "identity-providers", *arguments])
            code = main()
        told = capsys.readouterr()
        return code, "".join(line for line in (told.out + told.err).splitlines(True) if "[info" not in line)

    issuer = ("--issuer", "https://id.test", "--client-id", "keywright")
    code, said = run("add", "mine", *issuer, "--secret-stdin", "--group", "a=b", given=f"{SECRET}\n")
    assert (code, "mine is enabled" in said, SECRET in said) == (0, True, False)
    assert "known users" in run()[1]
    code, said = run("show", "mine")
    definition = json.loads(said[said.index("{") :])
    assert definition["definition"]["entry"]["groups"] == {"a": "b"}
    definition["definition"]["entry"]["creates"] = True
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(definition))
    assert "mine is disabled" in run("set", "mine", "--definition", str(file), "--disable")[1]
    assert "new users" in run()[1]
    code, said = run("check", "mine")
    assert (code, "does not answer" in said) == (1, True)
    assert run("set", "mine")[0] == 2
    assert run("add", "other", *issuer, "--group", "a")[0] == 2
    assert "mine is deleted" in run("delete", "mine")[1]
    assert run("show", "mine")[0] == 4
