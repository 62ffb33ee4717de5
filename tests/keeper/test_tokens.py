"""Tokens and grants: who comes in, what they may hand out, and the first owner."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from service.core.access import Grant, Kind, Level
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Unauthenticated
from service.keeper.granting import WantedGrant
from service.keeper.replies import KEPT
from service.keeper.tokens import LONGEST_LIFE, SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine, put, token

EVERY_LEVEL = ("use", "edit", "own")


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened, "production")
    environment(opened, "staging")
    return opened


def signed_in(service: Service, text: str, address: str = "") -> None:
    service.keeper.tokens.authenticate(text, address, "r")


def test_the_first_token_is_shown_once(service: Service) -> None:
    first = service.keeper.tokens.first()
    assert first is not None
    assert service.keeper.tokens.first() is None
    caller = service.keeper.tokens.authenticate(first.reveal(), "192.0.2.1", "r")
    assert caller.grants == (Grant(Level.OWN, Kind.EVERYTHING),)
    assert (caller.address, caller.kind, caller.name) == ("192.0.2.1", "machine", "owner")


def test_of_processes_that_race_one_has_the_first_token(pg_home: Home) -> None:
    services = [pg_home.service() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        given = [text for text in pool.map(lambda s: s.keeper.tokens.first(), services) if text is not None]
    assert len(given) == 1
    signed_in(services[0], given[0].reveal())


def test_who_cannot_come_in(home: Home) -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    home.now = lambda: moment
    service = home.service()
    environment(service)
    text = token(service, "shop").reveal()
    other = token(service, "other").reveal()
    revoked = token(service, "revoked").reveal()
    service.keeper.tokens.revoke(SYSTEM, revoked.split("_")[1])
    wrong = [
        "",
        "kw_",
        text[:-1],
        text + "x",
        text.upper(),
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        text[:20] + other[20:],
        "kw_" + "0" * 16 + text[19:],
        revoked,
        "Bearer " + text,
        text + "\n",
    ]
    said = set()
    for presented in wrong:
        with pytest.raises(Unauthenticated) as refused:
            signed_in(service, presented)
        said.add(refused.value.message)
    assert len(said) == 1
    signed_in(service, text)


def test_an_expired_token(sqlite_home: Home) -> None:
    moments = [datetime(2026, 11, 22, tzinfo=UTC)]
    sqlite_home.now = lambda: moments[0]
    service = sqlite_home.service()
    add = service.keeper.tokens.add
    made, _, text = add(SYSTEM, "short", (), timedelta(hours=1), ())
    assert made.expires_at == moments[0] + timedelta(hours=1)
    moments[0] += timedelta(minutes=59)
    signed_in(service, text.reveal())
    moments[0] += timedelta(minutes=1)
    with pytest.raises(Unauthenticated):
        signed_in(service, text.reveal())
    with pytest.raises(Invalid):
        add(SYSTEM, "long", (), LONGEST_LIFE + timedelta(seconds=1), ())


def test_a_token_stays_at_its_addresses(service: Service) -> None:
    _, _, text = service.keeper.tokens.add(SYSTEM, "shop", (), None, ("192.0.2.0/24", "2001:db8::/32"))
    for address in ("192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"):
        signed_in(service, text.reveal(), address)
    for address in ("192.0.3.7", "", "nonsense", "2001:db9::1"):
        with pytest.raises(Forbidden):
            signed_in(service, text.reveal(), address)
    refused = service.keeper.events.ask(SYSTEM, Question(action="token.use"))
    assert [(e["name"], e["outcome"]) for e in refused] == [("shop", "refused")] * 4
    with pytest.raises(Invalid):
        service.keeper.tokens.add(SYSTEM, "bad", (), None, ("192.0.2.7/24",))


def test_only_a_hash_is_stored(service: Service) -> None:
    text = token(service, "shop").reveal()
    with service.ledger.read() as tx:
        rows = str(tx.sql.exec_driver_sql("SELECT * FROM tokens").all())
    assert text[20:] not in rows


def wanted(*grant: str | None) -> WantedGrant:
    level, kind, where, path = grant
    return WantedGrant(str(level), str(kind), where, str(path))


HANDED_OUT = [
    # what the granter holds, what is granted, whether it may be
    (("own", "everything", None, ""), ("own", "everything", None, ""), True),
    (("own", "everything", None, ""), ("own", "folder", "production", "shop"), True),
    (("edit", "everything", None, ""), ("use", "everything", None, ""), False),
    (("own", "environment", "production", ""), ("use", "everything", None, ""), False),
    (("own", "environment", "production", ""), ("own", "environment", "production", ""), True),
    (("own", "environment", "production", ""), ("use", "environment", "staging", ""), False),
    (("own", "environment", "production", ""), ("use", "connection", "production", "shop/db"), True),
    (("edit", "environment", "production", ""), ("use", "folder", "production", "shop"), False),
    (("own", "folder", "production", "shop"), ("own", "folder", "production", "shop"), True),
    (("own", "folder", "production", "shop"), ("use", "folder", "production", "shop/deep"), True),
    (("own", "folder", "production", "shop"), ("use", "connection", "production", "shop/db"), True),
    (("own", "folder", "production", "shop"), ("use", "folder", "production", "shopping"), False),
    (("own", "folder", "production", "shop"), ("use", "folder", "production", "shopping/x"), False),
    (("own", "folder", "production", "shop/deep"), ("use", "folder", "production", "shop"), False),
    (("own", "folder", "production", "shop"), ("use", "environment", "production", ""), False),
    (("own", "connection", "production", "shop/db"), ("use", "connection", "production", "shop/db"), True),
    (("own", "connection", "production", "shop/db"), ("use", "folder", "production", "shop/db"), False),
    (("own", "connection", "production", "shop/db"), ("use", "connection", "production", "shop/db2"), False),
]


def test_nobody_grants_more_than_they_own(service: Service) -> None:
    for number, (held, given, possible) in enumerate(HANDED_OUT):
        granter = machine(service, f"granter-{number}", held)
        token(service, f"taker-{number}")
        if possible:
            service.keeper.tokens.add(granter, f"new-{number}", (wanted(*given),), None, ())
            service.keeper.granting.to_token(granter, f"taker-{number}", wanted(*given))
            continue
        with pytest.raises((Absent, Forbidden)):
            service.keeper.tokens.add(granter, f"new-{number}", (wanted(*given),), None, ())
        with pytest.raises((Absent, Forbidden)):
            service.keeper.granting.to_token(granter, f"taker-{number}", wanted(*given))
    names = {shown.name for shown, _ in service.keeper.tokens.listed(SYSTEM, "", 1000)}
    assert {f"new-{n}" for n, (_, _, possible) in enumerate(HANDED_OUT) if possible} == {
        name for name in names if name.startswith("new-")
    }


def test_a_token_with_one_grant_too_many_is_not_made_at_all(service: Service) -> None:
    granter = machine(service, "granter", ("own", "folder", "production", "shop"))
    both = (wanted("use", "folder", "production", "shop"), wanted("use", "folder", "production", "blog"))
    with pytest.raises(Absent):
        service.keeper.tokens.add(granter, "new", both, None, ())
    with pytest.raises(Absent):  # without any grant it is the owners' affair
        service.keeper.tokens.add(granter, "new", (), None, ())
    assert "new" not in {shown.name for shown, _ in service.keeper.tokens.listed(SYSTEM, "", 1000)}
    assert len(service.keeper.granting.listed(SYSTEM, "", 1000)) == 1


@pytest.mark.parametrize(
    "grant",
    [
        ("rule", "environment", "production", ""),
        ("use", "planet", "production", ""),
        ("use", "everything", "production", ""),
        ("use", "everything", None, "shop"),
        ("use", "environment", None, ""),
        ("use", "environment", "production", "shop"),
        ("use", "folder", "production", ""),
        ("use", "folder", "production", "../x"),
        ("use", "connection", "production", ""),
    ],
)
def test_grants_that_mean_nothing(service: Service, grant: tuple[str, str, str | None, str]) -> None:
    with pytest.raises(Invalid):
        service.keeper.tokens.add(SYSTEM, "new", (wanted(*grant),), None, ())


def test_revoking_and_taking_away(service: Service) -> None:
    put(service, "shop/A", "a")
    text = token(service, "shop", ("use", "folder", "production", "shop"), ("use", "environment", "staging", ""))
    reader = service.keeper.tokens.authenticate(text.reveal(), "", "")
    folder_owner = machine(service, "folder-owner", ("own", "folder", "production", "shop"))
    theirs = [g for g in service.keeper.granting.listed(folder_owner, "", 100) if g.holder.name == "shop"]
    assert [(g.environment, g.grant.path) for g in theirs] == [("production", "shop")]
    other = next(g for g in service.keeper.granting.listed(SYSTEM, "", 100) if g.environment == "staging")
    with pytest.raises(Absent):
        service.keeper.granting.remove(folder_owner, other.id)
    service.keeper.granting.remove(folder_owner, theirs[0].id)
    with pytest.raises(Absent):
        service.keeper.granting.remove(folder_owner, theirs[0].id)
    again = service.keeper.tokens.authenticate(text.reveal(), "", "")
    with pytest.raises(Absent):
        service.keeper.values.fetch(again, "production", Wanted(("shop/A",)))
    with pytest.raises(Absent):
        service.keeper.tokens.revoke(folder_owner, reader.id)
    service.keeper.tokens.revoke(again, reader.id)  # its own
    with pytest.raises(Unauthenticated):
        signed_in(service, text.reveal())
    with pytest.raises(Absent):
        service.keeper.tokens.revoke(SYSTEM, reader.id)


def test_names_of_tokens_are_unique(service: Service) -> None:
    token(service, "shop")
    with pytest.raises(Conflict):
        token(service, "shop")
    with pytest.raises(Invalid):
        token(service, "a/b")


def test_lists_of_tokens_are_for_owners(service: Service) -> None:
    lesser = machine(service, "lesser", ("own", "environment", "production", ""))
    with pytest.raises(Absent):
        service.keeper.tokens.listed(lesser, "", 10)
    assert [(g.grant.level.word, g.environment) for g in service.keeper.tokens.me(lesser)] == [("own", "production")]


# Answers that are given again.


def test_a_repeated_request_gets_the_same_answer(service: Service) -> None:
    caller, other = machine(service, "shop"), machine(service, "other")
    replies = service.keeper.replies
    assert replies.known(caller, "key-1", b"request", fresh=False) is None
    replies.keep(caller, "key-1", b"request", 201, {"token": "kw_secret"})
    assert replies.known(caller, "key-1", b"request", fresh=False) == (201, {"token": "kw_secret"})
    with pytest.raises(Conflict, match="another request"):
        replies.known(caller, "key-1", b"another", fresh=False)
    assert replies.known(other, "key-1", b"request", fresh=False) is None  # a key is one caller's own
    replies.keep(caller, "key-1", b"request", 500, {})
    assert replies.known(caller, "key-1", b"request", fresh=False) == (201, {"token": "kw_secret"})
    service.keeper.tokens.revoke(SYSTEM, caller.id)
    with service.ledger.read() as tx:
        assert tx.sql.exec_driver_sql("SELECT count(*) FROM replies").scalar_one() == 0


def test_answers_are_kept_for_a_day(sqlite_home: Home) -> None:
    moments = [datetime(2026, 11, 22, tzinfo=UTC)]
    sqlite_home.now = lambda: moments[0]
    service = sqlite_home.service()
    caller = machine(service, "shop")
    service.keeper.replies.keep(caller, "key-1", b"request", 201, {})
    moments[0] += KEPT - timedelta(seconds=1)
    assert service.keeper.replies.known(caller, "key-1", b"request", fresh=False) == (201, {})
    moments[0] += timedelta(seconds=1)
    assert service.keeper.replies.known(caller, "key-1", b"another", fresh=False) is None
    service.keeper.replies.keep(caller, "key-1", b"another", 200, {"again": True})
    assert service.keeper.replies.known(caller, "key-1", b"another", fresh=False) == (200, {"again": True})


def test_two_answers_kept_at_once_are_one(pg_home: Home) -> None:
    services = [pg_home.service() for _ in range(4)]
    caller = machine(services[0], "shop")
    with ThreadPoolExecutor(4) as pool:
        for turn in range(10):
            key = f"key-{turn}"
            list(pool.map(lambda n, k=key: services[n].keeper.replies.keep(caller, k, b"r", 200, {"n": n}), range(4)))
            assert services[0].keeper.replies.known(caller, key, b"r", fresh=False) is not None
