"""Lending: how another process reaches servers that this one runs, without starting or stopping them."""

import pickle
from typing import Any

from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer


def lend(**servers: PostgresServer | MariaDBServer) -> bytes:
    """How to reach them, for another process that neither starts nor stops them."""
    public = {name: {k: v for k, v in vars(it).items() if not k.startswith("_")} for name, it in servers.items()}
    return pickle.dumps({name: (type(servers[name]), reached) for name, reached in public.items()})


def borrowed(data: bytes) -> dict[str, Any]:
    """The other end."""
    found = {}
    for name, (kind, reached) in pickle.loads(data).items():
        found[name] = kind.__new__(kind)
        vars(found[name]).update(reached)
    return found
