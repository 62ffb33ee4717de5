"""OpenBao as the applications of a shop would find it: engines where Keywright's door has them by default.

    secret/     KV version 2        kv/     KV version 1        database/   a static role on a real PostgreSQL

Who logs in has the role `app`, of `auth/approle`, `auth/jwt` and `auth/kubernetes`. Its policy is `app`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trustme

from tests.rigs.cluster import AUDIENCE as CLUSTERS
from tests.rigs.cluster import REVIEWER, ApiServer
from tests.rigs.issuer import AUDIENCE, SUBJECT, Issuer, pem
from tests.rigs.openbao import OpenBao, openbao
from tests.rigs.postgresql import PostgresServer
from tests.vault.pair import Side

ALL = ["create", "read", "update", "patch", "delete", "list"]
RULES = {
    "secret/data/*": [each for each in ALL if each != "list"],
    "secret/metadata/*": ALL,
    "secret/subkeys/*": ["read"],
    "secret/delete/*": ["create", "update"],
    "secret/undelete/*": ["create", "update"],
    "secret/destroy/*": ["create", "update"],
    "kv/*": ALL,
    "database/static-creds/*": ["read"],
    "database/static-roles/*": ["read"],
    "database/static-roles": ["list"],
    "database/rotate-role/*": ["update"],
    "sys/mounts": ["read"],
    "sys/mounts/*": ["read"],
    "sys/leases/*": [*ALL, "sudo"],  # listing them wants it
}
LOGIN = "openbao_shop"
"""The static role's login in PostgreSQL; no application may have it at Keywright at the same time."""
LIFE = {"token_policies": ["app"], "token_ttl": "1h", "token_max_ttl": "2h"}


@contextmanager
def openbao_side(postgresql: PostgresServer, issuer: Issuer, cluster: ApiServer) -> Iterator[Side]:
    """A server of its own, with nothing in it but what stands above."""
    with openbao() as bao:
        for mount in ("old", "transit"):
            bao.api("DELETE", f"sys/mounts/{mount}")
        bao.api("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
        bao.policy("app", RULES)
        role_id, secret_id = bao.approle("app", ["app"], token_ttl="1h", token_max_ttl="2h")
        _papers(bao, issuer, cluster)
        _database(bao, postgresql)
        words = {
            "role_id": role_id,
            "secret_id": secret_id.reveal(),
            "static role": "db",
            "no static role": "none",
            "static roles": "database/static-roles",
            "jwt": issuer.signed(issuer.claims()),
            "kubernetes jwt": cluster.token("app"),
        }
        side = Side("openbao", bao.address, bao.token("app", ttl="1h", renewable=False, no_parent=True).reveal(), words)
        try:
            yield side
        finally:
            side.close()


def _papers(bao: OpenBao, issuer: Issuer, cluster: ApiServer) -> None:
    bao.api("POST", "sys/auth/jwt", {"type": "jwt"})
    bao.api("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [pem(issuer.keys[0])], "bound_issuer": issuer.url})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "bound_subject": SUBJECT}
    bao.api("POST", "auth/jwt/role/app", role | LIFE)
    # Nothing is asked by TLS, but it wants to know whom it would trust.
    where = {"kubernetes_host": cluster.url, "kubernetes_ca_cert": trustme.CA().cert_pem.bytes().decode()}
    bao.api("POST", "auth/kubernetes/config", where | {"token_reviewer_jwt": REVIEWER, "disable_local_ca_jwt": True})
    bound = {"bound_service_account_names": ["app"], "bound_service_account_namespaces": ["shop"], "audience": CLUSTERS}
    bao.api("POST", "auth/kubernetes/role/app", bound | LIFE)


def _database(bao: OpenBao, postgresql: PostgresServer) -> None:
    postgresql.login(LOGIN, "first-password-of-the-shop")
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgresql.host}:{postgresql.port}/postgres?sslmode=disable"
    bao.api("POST", "sys/mounts/database", {"type": "database"})
    given = {"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": url}
    admin = {"username": "postgres", "password": postgresql.password}
    bao.api("POST", "database/config/postgres", given | admin)
    bao.api("POST", "database/static-roles/db", {"db_name": "postgres", "username": LOGIN, "rotation_period": "24h"})
