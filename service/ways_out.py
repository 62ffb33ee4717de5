"""How others are asked, and told, wired: the part of `wiring.py` that needs no login of ours.

Imports are here so that a start loads only what is used.
"""

from collections.abc import Iterator, Mapping

from providers.proofs.gate import Places
from service.core.access import networks
from service.core.connection import Engine
from service.core.database import Database
from service.core.proof import Reviewer, Verifier, secure
from service.core.webhook import Post
from service.keeper.statements import Statements
from service.settings import Settings


class Databases(Mapping[Engine, Database]):
    """One implementation for each engine, loaded when somebody first asks for it: drivers are large."""

    def __init__(self) -> None:
        self._loaded: dict[Engine, Database] = {}

    def __getitem__(self, engine: Engine) -> Database:
        found = self._loaded.get(engine)
        if found is None:
            # Of two threads that load one at once, both get the first one's.
            found = self._loaded.setdefault(engine, _database(engine))
        return found

    def __iter__(self) -> Iterator[Engine]:
        return iter(Engine)

    def __len__(self) -> int:
        return len(Engine)


def _database(engine: Engine) -> Database:
    if engine is Engine.POSTGRESQL:
        from providers.databases.postgresql import PostgreSQL

        return PostgreSQL()
    from providers.databases.mariadb import MariaDB

    return MariaDB()


def webhook_post(settings: Settings) -> Post:
    """How deliveries are sent. Raises Invalid."""
    from providers.webhooks import WebhookPost

    opened = networks(settings.webhook_networks, "KEYWRIGHT_WEBHOOK_NETWORKS")
    return WebhookPost(opened, plain=settings.webhook_plain, ca=settings.webhook_ca)


def signed_statements(places: Places) -> Verifier:
    """Who looks at what issuers signed: of machines, and of people."""
    from providers.proofs.jwks import IssuerKeys
    from providers.proofs.statement import SignedStatements

    return SignedStatements(IssuerKeys(places))


def statements(settings: Settings, verifier: Verifier, places: Places) -> Statements:
    """Who looks at what machines show of issuers and clusters."""
    from providers.proofs.kubernetes import Cluster, NoCluster

    reviewer: Reviewer = NoCluster()
    if settings.kubernetes_api:
        secure(settings.kubernetes_api, "KEYWRIGHT_KUBERNETES_API")
        reviewer = Cluster(settings.kubernetes_api, settings.kubernetes_ca, settings.kubernetes_reviewer, places)
    return Statements(verifier, reviewer)
