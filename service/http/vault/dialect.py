"""The Vault door in the fast lane: which of its fetches are plain, and how they are answered.

    GET /v1/{mount}/data/{environment}/{name}                KV version 2, its live version; no query
    GET /v1/{mount}/{environment}/{name}                     KV version 1
    GET /v1/{mount}/static-creds/{environment}/{name}        a connection's credential

with a token once, in `X-Vault-Token` or `Authorization: Bearer`, and neither a namespace nor a wish to have the answer
wrapped. Everything else is left to `door.py`, which takes the same way through the keeper.
"""

import re
from collections.abc import Callable
from typing import Any

from service.core import names
from service.core.errors import Absent, Conflict, KeywrightError
from service.core.token import hashed, masked
from service.http.claims import is_claim
from service.http.plain import Dialect, Headers, Plain, Reader
from service.http.problems import Rendered
from service.http.vault import secret, static
from service.http.vault.answer import enveloped
from service.http.vault.errors import Refused, bare, refusal
from service.http.vault.kv1 import LASTS
from service.http.vault.mounts import Engine, Mount, Mounts
from service.keeper.asked import nothing

_TOKEN = re.compile(rb"kw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_SCHEME = re.compile(rb"[Bb]earer ")
_OTHERS = frozenset((b"x-vault-namespace", b"x-vault-wrap-ttl", b"content-length", b"transfer-encoding", b"expect"))
_BEHIND = {Engine.KV1: "", Engine.KV2: "data/", Engine.DATABASE: "static-creds/"}


def reader(mounts: Mounts, *, leases: bool) -> Reader:
    """What reads this door's plain requests."""
    patterns = [(_pattern(mount), mount, _dialect(mount.engine, leases)) for mount in mounts.all]

    def read(target: bytes, headers: Headers) -> Plain | None:
        for pattern, mount, dialect in patterns:
            found = pattern.fullmatch(target)
            if found is not None:
                where = mount.environment or found["where"].decode()
                return _read(target, headers, dialect, mount, where, found["what"].decode())
        return None

    return read


def _pattern(mount: Mount) -> re.Pattern[bytes]:
    where = "" if mount.environment else rf"(?P<where>{names.SEGMENT})/"
    return re.compile(rf"/v1/{re.escape(mount.path)}/{_BEHIND[mount.engine]}{where}(?P<what>{names.PATH})".encode())


def _read(target: bytes, headers: Headers, dialect: Dialect, mount: Mount, where: str, what: str) -> Plain | None:
    token = None
    for name, text in headers:
        if name == b"x-vault-token" or name == b"authorization":
            start = 0
            if name == b"authorization":
                start = 7 if _SCHEME.match(text) else len(text)
            if token is not None or (token := _TOKEN.fullmatch(text, start)) is None:
                return None
        elif name in _OTHERS or is_claim(name):
            return None
    if token is None or len(where) > names.LONGEST or len(what) > names.LONGEST:
        return None
    value = mount.engine is not Engine.DATABASE
    token_id, secret_ = token[1].decode(), hashed(token[2].decode())
    return Plain(target, headers, dialect, value, where, what, token_id, secret_, token[0], nothing)


def _dialect(engine: Engine, leases: bool) -> Dialect:
    value: Callable[[Any, str], bytes] = _kv1 if engine is Engine.KV1 else _kv2

    def credential(found: Any, request_id: str) -> bytes:
        return static.text(found, request_id, leases=leases).encode()

    refused = _unknown_role if engine is Engine.DATABASE else refusal
    # What has no live version may have one that was deleted, which is answered with what is known of it.
    return Dialect(value, credential, refused, bare, tags=False, instead=(Conflict,))


def _unknown_role(error: KeywrightError, path: str, request_id: str) -> Rendered:
    if isinstance(error, Absent):
        error = Refused(400, f"unknown role: {masked(path.partition('/static-creds/')[2])}")
    return refusal(error, path, request_id)


def _kv2(found: Any, request_id: str) -> bytes:
    return enveloped(request_id, secret.found(found[0])).encode()


def _kv1(found: Any, request_id: str) -> bytes:
    return enveloped(request_id, secret.shown(found[0]), LASTS).encode()
