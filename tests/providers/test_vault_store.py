"""What is particular to Vault's key-value engines: mounts, deleted versions, check-and-set."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from providers.stores.vault import VaultStore
from providers.vault_login import TokenLogin, VaultSession
from service.core.errors import Conflict, StoreAbsent, StoreMalformed, StoreRefused
from service.core.reference import Reference
from service.core.secret import Secret
from tests.rigs.openbao import OpenBao


class Watched(VaultSession):
    """Counts calls; `before` runs ahead of the call that it is given the number of."""

    calls = 0
    before: Callable[[int], None] = staticmethod(lambda number: None)

    def call(self, operation: Any) -> Any:
        self.calls += 1
        self.before(self.calls)
        return super().call(operation)


@pytest.fixture(name="session")
def session_fixture(bao: OpenBao) -> Watched:
    return Watched(bao.address, TokenLogin(bao.root_token))


def _placed(bao: OpenBao, data: dict[str, Any], name: str | None = None) -> Reference:
    path = f"store/{name or uuid.uuid4().hex}"
    bao.api("POST", f"secret/data/{path}", {"data": data})
    return Reference("vault", f"secret/{path}")


def test_a_mount_is_asked_for_once(bao: OpenBao, session: Watched) -> None:
    store, one, two = VaultStore(session), _placed(bao, {"a": "1"}), _placed(bao, {"a": "2"})
    for reference in (one, two, one):
        store.read(reference)
    assert session.calls == 4


def test_a_stated_mount_is_not_asked_for(bao: OpenBao, session: Watched) -> None:
    VaultStore(session, {"secret/": 2}).read(_placed(bao, {"a": "1"}))
    assert session.calls == 1


def test_a_mount_that_is_stated_wrongly_is_malformed_or_absent(bao: OpenBao, session: Watched) -> None:
    bao.api("POST", "old/data/stated", {"data": {"a": "1"}})
    with pytest.raises(StoreMalformed):
        VaultStore(session, {"old": 2}).read(Reference("vault", "old/stated"))
    with pytest.raises(StoreAbsent):
        VaultStore(session, {"secret": 1}).read(_placed(bao, {"a": "1"}))


def test_a_mount_that_cannot_be_looked_up_is_refused_with_the_setting_to_use(session: Watched) -> None:
    with pytest.raises(StoreRefused, match="setting for mounts"):
        VaultStore(session).read(Reference("vault", "no-such-mount/db"))


def test_a_mount_may_have_a_path_of_several_segments(bao: OpenBao, session: Watched) -> None:
    bao.api("POST", "sys/mounts/several/segments", {"type": "kv", "options": {"version": "1"}})
    bao.api("POST", "several/segments/db", {"a": "1"})
    assert VaultStore(session).read(Reference("vault", "several/segments/db")).value == Secret('{"a":"1"}')


def test_a_mount_that_was_replaced_is_asked_for_again(bao: OpenBao, session: Watched) -> None:
    store, reference = VaultStore(session), Reference("vault", "moved/db")
    bao.api("POST", "sys/mounts/moved", {"type": "kv", "options": {"version": "2"}})
    bao.api("POST", "moved/data/db", {"data": {"a": "1"}})
    assert store.read(reference).version == "1"
    bao.api("DELETE", "sys/mounts/moved")
    bao.api("POST", "sys/mounts/moved", {"type": "kv", "options": {"version": "1"}})
    bao.api("POST", "moved/db", {"a": "2"})
    with pytest.raises(StoreAbsent):
        store.read(reference)
    assert store.read(reference).value == Secret('{"a":"2"}')


def test_a_deleted_version_is_absent_until_it_is_undeleted(bao: OpenBao, session: Watched) -> None:
    store, reference = VaultStore(session), _placed(bao, {"a": "1"})
    path = reference.location.removeprefix("secret/")
    bao.api("DELETE", f"secret/data/{path}")
    with pytest.raises(StoreAbsent, match="undelete"):
        store.read(reference)
    bao.api("POST", f"secret/undelete/{path}", {"versions": [1]})
    assert store.read(reference).value == Secret('{"a":"1"}')


@pytest.mark.parametrize("name", ["a b", "%2e%2e", "q?x=1", "ümlaut", "a&b;c"])
def test_a_location_is_taken_as_it_is_written(bao: OpenBao, session: Watched, name: str) -> None:
    store = VaultStore(session, {"secret": 2})
    _placed(bao, {"password": "old"}, "plain")
    from urllib.parse import quote

    bao.api("POST", f"secret/data/store/{quote(name)}", {"data": {"password": name}})
    reading = store.read(Reference("vault", f"secret/store/{name}"))
    assert json.loads(reading.value.reveal()) == {"password": name}


def test_what_somebody_writes_between_reading_and_writing_is_kept(bao: OpenBao, session: Watched) -> None:
    store, reference = VaultStore(session, {"secret": 2}), _placed(bao, {"password": "old"})
    path = reference.location.removeprefix("secret/")

    def theirs(number: int) -> None:
        if number == 2:  # after the read, before the write
            bao.api("POST", f"secret/data/{path}", {"data": {"password": "theirs"}})

    session.before = theirs
    with pytest.raises(Conflict):
        store.write(reference, {"password": Secret("ours")}, "1")
    assert store.read(reference).value == Secret('{"password":"theirs"}')


def test_a_key_may_be_a_pointer_into_nested_objects(bao: OpenBao, session: Watched) -> None:
    store, reference = VaultStore(session), _placed(bao, {"db": {"user": "u", "pass/word": "old"}, "flat": "x"})
    store.write(reference, {"/db/pass~1word": Secret("new")}, None)
    held = json.loads(store.read(reference).value.reveal())
    assert held == {"db": {"user": "u", "pass/word": "new"}, "flat": "x"}
    with pytest.raises(StoreMalformed):
        store.write(reference, {"/flat/deeper": Secret("new")}, None)


def test_an_object_over_the_limit_is_malformed(bao: OpenBao, session: Watched) -> None:
    store, reference = VaultStore(session), _placed(bao, {"a": "x" * 65536})
    with pytest.raises(StoreMalformed, match="larger"):
        store.read(reference)
    small = _placed(bao, {"a": "x"})
    with pytest.raises(StoreMalformed, match="larger"):
        store.write(small, {"a": Secret("x" * 65536)}, None)
    assert store.read(small).value == Secret('{"a":"x"}')
