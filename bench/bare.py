"""The bare limit of a rotation: the same logins and statements, by psycopg, with nothing recorded.

What Keywright does at one rotation under `single`, asked for as an emergency (nothing announced or drained):

    1  the live password logs in           4  the candidate logs in
    2  the candidate is rejected           5, 6  the proof: the new is accepted, then the old rejected
    3  the administration login changes it, behind a fence

The first change of a login makes the role that keeps its fencing number; the later ones find it.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from itertools import count
from queue import Empty, SimpleQueue

import psycopg
from psycopg.sql import SQL, Literal

from bench.shop import ADMINISTRATOR, Shop
from providers.databases import postgresql_fence as fences
from providers.databases import postgresql_roles as roles
from providers.databases.postgresql import IDENTITY
from providers.databases.postgresql_transaction import beginning
from service.core.database import Fence

_NUMBERS = count(1)


def seconds(shop: Shop, threads: int) -> float:
    """How long it takes for every login of the shop, by that many threads."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for username in shop.passwords:
        waiting.put(username)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for username in _drained(waiting):
                shop.passwords[username] = _turn(shop, username)
        except psycopg.Error as error:
            failures.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    took = time.perf_counter() - began
    if failures or any(worker.is_alive() for worker in workers):
        raise SystemExit(f"bench: the bare loop failed: {failures}")
    return took


def put_back(shop: Shop) -> None:
    """The passwords that others know: the loop's own change them, so they are set again, by the administrator."""
    with shop.connect(ADMINISTRATOR, shop.administration) as connection:
        for username, password in shop.known.items():
            verifier = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256")
            connection.execute(roles.change_password(username, Literal(verifier.decode())))
    shop.passwords.update(shop.known)


def _drained(waiting: "SimpleQueue[str]") -> Iterator[str]:
    while True:
        try:
            yield waiting.get_nowait()
        except Empty:
            return


def _turn(shop: Shop, username: str) -> str:
    old, new = shop.passwords[username], secrets.token_urlsafe(24)
    _accepted(shop, username, old)
    _rejected(shop, username, new)
    _change(shop, username, new)
    _accepted(shop, username, new)
    _accepted(shop, username, new)
    _rejected(shop, username, old)
    return new


def _change(shop: Shop, username: str, password: str) -> None:
    with shop.connect(ADMINISTRATOR, shop.administration) as connection:
        connection.autocommit = True
        fence = Fence(f"bare_{username}", next(_NUMBERS))
        name, version = fences.role_name(fence.key), connection.info.server_version
        found = connection.execute(beginning((username, name), fences.locks(fence, username), fence.lease, version))
        while found.nextset():
            pass
        role = roles.seen(found.fetchall(), version).roles.get(name)
        kept = fences.number_in(role.comment) if role else None
        verifier = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256")
        change = roles.change_password(username, Literal(verifier.decode()))
        passing = fences.passing(name, kept, fence.number, exists=role is not None)
        connection.execute(SQL("; ").join([*passing, change]))
        connection.commit()


def _accepted(shop: Shop, username: str, password: str) -> None:
    with shop.connect(username, password) as connection:
        connection.autocommit = True
        connection.execute(IDENTITY).fetchone()


def _rejected(shop: Shop, username: str, password: str) -> None:
    try:
        shop.connect(username, password).close()
    except psycopg.OperationalError:
        return
    raise SystemExit("bench: the server accepted a password that is not valid")
