"""How others are asked, and told, wired: the part of `wiring.py` that needs no login of ours.

Imports are here so that a start loads only what is used.
"""

from providers.proofs.gate import Places
from service.core.access import networks
from service.core.proof import Reviewer, Verifier, secure
from service.core.webhook import Post
from service.keeper.statements import Statements
from service.settings import Settings


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
