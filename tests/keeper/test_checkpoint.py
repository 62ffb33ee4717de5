"""Checkpoints: signed, told from those of others, and what a cut tail is found against."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select, text

from service.core.errors import Absent, Invalid
from service.keeper.tokens import SYSTEM
from service.ledger.tables import batches
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine


def exported(service: Service) -> str:
    return json.dumps(vars(service.keeper.events.checkpoint(SYSTEM)))


def cut(service: Service, seq: int) -> None:
    """Remove what came after that event, and set `head` back alike."""
    with service.ledger.connected() as sql:
        sql.execute(text("DELETE FROM batches WHERE first > :seq"), {"seq": seq})
        end = sql.execute(select(batches.c.hash).order_by(batches.c.first.desc()).limit(1)).scalar_one()
        sql.execute(text("UPDATE head SET seq = :seq, hash = :hash"), {"seq": seq, "hash": end})
        sql.commit()


def test_a_cut_tail_is_found_against_a_checkpoint_and_not_without(home: Home) -> None:
    service = home.service()
    environment(service)
    early = service.keeper.events.checkpoint(SYSTEM)
    environment(service, "staging")
    late = exported(service)
    assert service.keeper.events.verify_against(SYSTEM, late).broken_at is None
    cut(service, early.seq)
    assert service.keeper.events.verify(SYSTEM).broken_at is None
    assert service.keeper.events.verify_against(SYSTEM, json.dumps(vars(early))).broken_at is None
    found = service.keeper.events.verify_against(SYSTEM, late)
    assert found.broken_at is not None
    assert "cut" in found.finding


@pytest.mark.parametrize("field", ["seq", "hash", "at", "installation", "signature"])
def test_a_changed_checkpoint_is_refused(home: Home, field: str) -> None:
    service = home.service()
    environment(service)
    told = json.loads(exported(service))
    told[field] = told["seq"] + 1 if field == "seq" else "00" + told[field][2:]
    with pytest.raises(Invalid, match="signature does not fit"):
        service.keeper.events.verify_against(SYSTEM, json.dumps(told))


def test_a_checkpoint_of_another_installation_is_refused(sqlite_home: Home, pg_home: Home) -> None:
    one, other = sqlite_home.service(), pg_home.service()
    environment(one)
    environment(other)
    with pytest.raises(Invalid, match="of another installation"):
        one.keeper.events.verify_against(SYSTEM, exported(other))


@pytest.mark.parametrize("what", ["", "{}", "[]", '{"seq": 1}', '{"seq": "x", "hash": "zz"}'])
def test_what_is_no_checkpoint_is_refused(sqlite_home: Home, what: str) -> None:
    with pytest.raises(Invalid, match="no checkpoint"):
        sqlite_home.service().keeper.events.verify_against(SYSTEM, what)


def test_the_public_key_alone_checks_it_and_stays_the_same(home: Home) -> None:
    service = home.service()
    environment(service)
    one = service.keeper.events.checkpoint(SYSTEM)
    two = home.service().keeper.events.checkpoint(SYSTEM)
    assert (one.key, one.installation) == (two.key, two.installation)
    assert two.seq == one.seq + 1  # that it was asked for is an event
    told = {name: getattr(one, name) for name in ("at", "hash", "installation", "seq")}
    message = b"keywright checkpoint 1\n" + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(one.key)).verify(bytes.fromhex(one.signature), message)
    assert replace(one, signature="") != one


def test_only_who_owns_everything_gets_one(home: Home) -> None:
    service = home.service()
    environment(service)
    lesser = machine(service, "lesser", ("own", "environment", "production", ""))
    with pytest.raises(Absent):
        service.keeper.events.checkpoint(lesser)
