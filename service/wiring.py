"""The only place that names concrete classes: from settings to a service that is ready to run."""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.identity.metadata import Documents
from providers.identity.oidc import OidcSignIns, OidcSignOuts
from providers.identity.saml import SamlBrowser
from providers.identity.saml_logout import SamlLogout
from providers.identity.saml_metadata import SamlDescriptions
from providers.keys.file import create
from providers.proofs.gate import Places
from providers.witness import FileWitness
from scheduler.clock import Clock
from scheduler.courier import Courier
from scheduler.pruner import Pruner
from scheduler.restoration import Restoration
from scheduler.rotator import Rotator
from scheduler.sentinel import Sentinel
from scheduler.writeback import WriteBack
from service.core.access import networks
from service.core.connection import Engine
from service.core.database import Database
from service.core.errors import Invalid, KeyMissing, Unavailable
from service.core.keyring import KeyWrapper
from service.core.proof import Reviewer, Verifier, secure
from service.core.reference import Store
from service.core.rotation import Limits
from service.core.secret import Secret
from service.core.webhook import Post
from service.keeper.briefs import Briefs
from service.keeper.budget import Budget
from service.keeper.calendar import CronCalendar
from service.keeper.checks import Checks
from service.keeper.connections import Connections
from service.keeper.copies import Copies
from service.keeper.credentials import Credentials
from service.keeper.delays import Delays
from service.keeper.deliveries import Deliveries
from service.keeper.directory import Directory
from service.keeper.door import Door
from service.keeper.environments import Environments
from service.keeper.escrows import Escrows
from service.keeper.events import Events
from service.keeper.explaining import Explaining
from service.keeper.factors import Factors
from service.keeper.figures import Figures
from service.keeper.granting import Granting
from service.keeper.groups import Groups
from service.keeper.holders import Holders
from service.keeper.identity_providers import IdentityProviders
from service.keeper.incidents import Incidents
from service.keeper.indexer import Indexer
from service.keeper.invitations import Invitations
from service.keeper.keeper import Keeper
from service.keeper.keys import Keyrings
from service.keeper.logins import Logins
from service.keeper.machine_tokens import MachineTokens
from service.keeper.machines import Machines
from service.keeper.overdue import Overdue
from service.keeper.past import Past
from service.keeper.pendings import Pendings
from service.keeper.personal_tokens import PersonalTokens
from service.keeper.planning import Planning
from service.keeper.policies import Policies
from service.keeper.probes import Probes
from service.keeper.recorder import Recorder
from service.keeper.references import References
from service.keeper.rehearsals import Rehearsals
from service.keeper.replies import Replies
from service.keeper.restorations import Restorations
from service.keeper.retention import Retention
from service.keeper.reversal import Reversal
from service.keeper.rotations import Rotations
from service.keeper.secrets import Secrets
from service.keeper.sessions import Sessions
from service.keeper.settings import SettingsKept
from service.keeper.signals import Signals
from service.keeper.single import Singles
from service.keeper.statements import Statements
from service.keeper.steps import Steps
from service.keeper.tokens import Tokens
from service.keeper.users import Users
from service.keeper.values import Values
from service.keeper.variables import Variables
from service.keeper.versions import Versions
from service.keeper.walls import Walls
from service.keeper.webhooks import Webhooks
from service.keeper.wrappings import Wrappings
from service.ledger import schema
from service.ledger.ledger import Ledger
from service.people.people import People
from service.settings import Settings, process_environment
from service.ways_in import Outside, ways_in

if TYPE_CHECKING:
    from providers.escrow import EscrowFile
    from providers.vault_login import Login, VaultSession


@dataclass(frozen=True)
class Service:
    """A built service. `clock` ticks only after `start`; `close` lets go of everything."""

    settings: Settings
    ledger: Ledger
    keeper: Keeper
    people: People
    clock: Clock
    databases: Mapping[Engine, Database]
    rotator: Rotator
    restoration: Restoration
    sentinel: Sentinel
    indexer: Indexer
    pruner: Pruner
    courier: Courier
    new: bool
    """The ledger was made just now."""

    def close(self) -> None:
        """Stop what runs by itself, close the ledger."""
        self.pruner.stop()
        self.courier.stop()
        self.indexer.stop()
        self.sentinel.stop()
        self.clock.stop()
        self.keeper.recorder.stop()
        self.keeper.references.close()
        self.ledger.close()


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    with_databases: Mapping[Engine, Database] | None = None,
    with_stores: Mapping[str, Store] | None = None,
    new_ledger: bool = True,
) -> Service:
    """Everything, wired. Opens the ledger and the keys; raises the key errors, Unavailable, Invalid.

    A wrong or missing master key writes nothing. `with_databases` and `with_stores` stand in for the ones
    that the settings name: for tests. Without `new_ledger` one that is not there is Unavailable, and not made.
    """
    randomness = secrets.token_bytes
    absent = Unavailable(f"there is no ledger at {settings.place}; `keywrightd init` makes one")
    if not new_ledger and settings.embedded_file and not settings.embedded_file.exists():
        raise absent
    ledger = open_ledger(settings, now)
    try:
        fresh = schema.revision(ledger) is None
        if fresh and not new_ledger:
            raise absent
        wrapper = key_wrapper(settings, settings.key_home, may_create=fresh and not settings.key)
        door = Door(ledger, randomness)
        keyrings = Keyrings(door, wrapper)
        if fresh:
            keyrings.check()  # before there is a ledger: one without a key would be of no use
        schema.ready(ledger)
        new = keyrings.open()
    except BaseException:
        ledger.close()
        raise
    recorder = Recorder(ledger)
    recorder.on_change(keyrings.heard)
    door.on_change(recorder.changed)
    walls = Walls(frozenset(settings.environments) or None)
    found_stores = with_stores if with_stores is not None else stores(settings)
    copies = Copies(keyrings, randomness, recorder.snapshot.wall)
    recorder.on_change(copies.heard)
    references = References(found_stores, limit=settings.store_timeout, copies=copies)
    found_databases = with_databases if with_databases is not None else databases()
    budget = Budget(ledger, found_databases, settings.failed_logins)
    calendar = CronCalendar()
    definitions = Variables(door, walls, keyrings)
    credentials = Credentials(recorder, walls, keyrings, references)
    values = Values(recorder, walls, credentials, references, keyrings)
    indexer = Indexer(ledger)
    holders = Holders(door, indexer)
    limits = Limits(settings.workers, settings.parallel)
    planning = Planning(calendar, door.new_id, randomness)
    restorations = Restorations(door, walls)
    past = Past(door, restorations, FileWitness(settings.data))
    briefs, steps = Briefs(door, keyrings), Steps(door, keyrings)
    rotations = Rotations(door, walls, planning, limits, holders, Reversal(door, briefs, budget))
    overdue, tag_key = Overdue(door, walls), keyrings.tag_key()
    granting = Granting(door, walls)
    tokens, machines = Tokens(door, granting, recorder), Machines(door, granting)
    escrows = Escrows(door, walls, briefs, budget, escrow_file(settings, wrapper))
    places = Places()
    verifier, documents = signed_statements(places), Documents(places)
    sign_ins, sign_outs = OidcSignIns(documents, verifier), OidcSignOuts(documents, verifier)
    outside = Outside(sign_ins, sign_outs, SamlBrowser(randomness), SamlLogout(randomness), SamlDescriptions())
    holder = f"{socket.gethostname()[:40]}-{randomness(4).hex()}"
    waiting, sessions, delays = Pendings(door, keyrings), Sessions(door, recorder.snapshot), Delays(door)
    registered = Connections(door, walls, keyrings, references, budget, calendar, escrows, tag_key)
    keeper = Keeper(
        door,
        recorder,
        references,
        keyrings,
        Environments(door, walls, keyrings),
        definitions,
        Versions(door, walls, definitions),
        values,
        Singles(values, keyrings),
        registered,
        Policies(door, walls, registered),
        credentials,
        rotations,
        holders,
        briefs,
        steps,
        tokens,
        granting,
        PersonalTokens(door),
        Explaining(door, walls),
        SettingsKept(door),
        Users(door, walls, granting),
        Groups(door, walls, granting),
        machines,
        Secrets(door, machines),
        MachineTokens(door, machines),
        Logins(door, recorder, granting, tokens, Statements(verifier, _reviewer(settings, places))),
        Events(door, walls, keyrings, indexer),
        Retention(door, walls, keyrings, indexer, past),
        Replies(door, keyrings),
        Rehearsals(door, walls, briefs, holders, found_databases, budget),
        Figures(door, past, overdue),
        Incidents(door, walls, planning, limits),
        escrows,
        restorations,
        past,
        Checks(door, walls, briefs, references, budget, tag_key),
        overdue,
        Wrappings(door, keyrings, recorder, walls),
        waiting,
        sessions,
        Invitations(door, waiting, delays),
        Directory(door),
        Signals(door, recorder, walls),
        Webhooks(door, walls, keyrings, plain=settings.webhook_plain),
        Deliveries(door, walls, keyrings, holder),
        IdentityProviders(door, keyrings, sign_ins, outside.saml_metadata),
        Factors(door, keyrings),
    )
    people = ways_in(settings, keeper, delays, outside)
    lease = timedelta(seconds=settings.lease)
    write_back = WriteBack(found_stores, references)
    rotator = Rotator(
        briefs, steps, rotations, escrows, holders, found_databases, budget, write_back, randomness, tag_key, lease
    )
    restoration = Restoration(
        past, Probes(door, walls, briefs), found_databases, budget, write_back, holder=holder, lease=lease
    )
    clock = Clock(
        rotations,
        keeper.incidents,
        rotator,
        restoration,
        holder=holder,
        lease=lease,
        interval=settings.tick,
        parallel=settings.parallel,
    )
    sentinel = Sentinel(keeper.checks, escrows, keeper.overdue, lambda: clock.ticks or not clock.started)
    pruner = Pruner(keeper.retention, settings.events_kept)
    courier = Courier(keeper.deliveries, webhook_post(settings))
    parts = (keeper, people, clock, found_databases, rotator, restoration, sentinel, indexer, pruner, courier)
    return Service(settings, ledger, *parts, new)


def open_ledger(settings: Settings, now: Callable[[], datetime] = utc_now) -> Ledger:
    """The ledger, not looked at yet. Makes the data folder of an embedded one."""
    url = settings.ledger_url
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not url.startswith(("postgresql://", "postgres://")):
        raise Invalid("KEYWRIGHT_LEDGER must begin with postgresql:// (or be empty, for SQLite)")
    return Ledger(url, now=now, randomness=secrets.token_bytes)


def key_wrapper(settings: Settings, home: str, *, may_create: bool = False) -> KeyWrapper:
    """The key wrapper that `home` names. Imports are here so that a start loads only what is used.

    Raises Invalid; KeyMissing for a key file that is not there and may not be made.
    """
    kind, _, rest = home.partition(":")
    match kind:
        case "file" if rest:
            from providers.keys.file import FileKey

            path = Path(rest).absolute()
            if not path.exists():
                if not may_create:
                    raise KeyMissing(
                        f"the master key file {path} is missing; without it nothing in the ledger can be read: "
                        "bring it back from where it was kept safe"
                    )
                # With the ledger in PostgreSQL nothing else has made the data folder.
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                create(path, secrets.token_bytes)
            return FileKey(path, secrets.token_bytes)
        case "env" if rest:
            from providers.keys.env import EnvKey

            return EnvKey(process_environment(), rest, secrets.token_bytes)
        case "aws-kms" if rest:
            from providers.keys.aws_kms import AwsKmsKey

            return AwsKmsKey(_aws(settings, "kms"), rest)
        case "transit" if "/" in rest:
            from providers.keys.transit import TransitKey

            mount, _, key = rest.rpartition("/")
            return TransitKey(_vault(settings), key, mount)
        case _:
            raise Invalid("KEYWRIGHT_KEY must be file:PATH, env:NAME, aws-kms:KEY_ID or transit:MOUNT/KEY")


def escrow_file(settings: Settings, wrapper: KeyWrapper) -> "EscrowFile | None":
    """The escrow that the settings name, not looked at yet."""
    if settings.escrow is None:
        return None
    from providers.escrow import EscrowFile

    return EscrowFile(settings.escrow.absolute(), wrapper, secrets.token_bytes)


def stores(settings: Settings) -> dict[str, Store]:
    """The stores that the settings open."""
    from providers.stores.env import EnvStore
    from providers.stores.file import FileStore

    own = [settings.data.absolute()]
    if settings.key_home.startswith("file:"):
        own.append(Path(settings.key_home.removeprefix("file:")).absolute())
    if settings.escrow:
        own.append(settings.escrow.absolute())
    found: dict[str, Store] = {
        "env": EnvStore(_without_key(settings, process_environment()), settings.env_allow),
        "file": FileStore([Path(root).absolute() for root in settings.file_roots], own),
    }
    if settings.vault_addr:
        from providers.stores.vault import VaultStore

        found["vault"] = VaultStore(_vault(settings))
    if settings.aws_region:
        from providers.stores.aws import AwsSecretsStore

        found["aws-sm"] = AwsSecretsStore(_aws(settings, "secretsmanager"))
    return found


def webhook_post(settings: Settings) -> Post:
    """How deliveries are sent. Raises Invalid."""
    from providers.webhooks import WebhookPost

    opened = networks(settings.webhook_networks, "KEYWRIGHT_WEBHOOK_NETWORKS")
    return WebhookPost(opened, plain=settings.webhook_plain, ca=settings.webhook_ca)


def _without_key(settings: Settings, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment for references: the master key is not in it, whatever the settings allow."""
    kind, _, name = settings.key_home.partition(":")
    return {k: v for k, v in environment.items() if kind != "env" or k != name}


def signed_statements(places: Places) -> Verifier:
    """Who looks at what issuers signed: of machines, and of people."""
    from providers.proofs.jwks import IssuerKeys
    from providers.proofs.statement import SignedStatements

    return SignedStatements(IssuerKeys(places))


def _reviewer(settings: Settings, places: Places) -> Reviewer:
    from providers.proofs.kubernetes import Cluster, NoCluster

    if not settings.kubernetes_api:
        return NoCluster()
    secure(settings.kubernetes_api, "KEYWRIGHT_KUBERNETES_API")
    return Cluster(settings.kubernetes_api, settings.kubernetes_ca, settings.kubernetes_reviewer, places)


def databases() -> dict[Engine, Database]:
    """One implementation per engine."""
    from providers.databases.mariadb import MariaDB
    from providers.databases.postgresql import PostgreSQL

    return {Engine.POSTGRESQL: PostgreSQL(), Engine.MARIADB: MariaDB()}


def _vault(settings: Settings) -> "VaultSession":
    from providers.vault_login import AppRoleLogin, KubernetesLogin, TokenLogin, VaultSession

    if not settings.vault_addr:
        raise Invalid("KEYWRIGHT_VAULT_ADDR is needed")
    login: Login
    if token := settings.vault_token.get_secret_value():
        login = TokenLogin(Secret(token))
    elif settings.vault_role_id:
        login = AppRoleLogin(settings.vault_role_id, Secret(settings.vault_secret_id.get_secret_value()))
    elif settings.vault_kubernetes_role:
        login = KubernetesLogin(settings.vault_kubernetes_role)
    else:
        raise Invalid(
            "KEYWRIGHT_VAULT_ADDR is set but no way to log in there: KEYWRIGHT_VAULT_TOKEN, "
            "KEYWRIGHT_VAULT_ROLE_ID or KEYWRIGHT_VAULT_KUBERNETES_ROLE"
        )
    return VaultSession(
        settings.vault_addr, login, namespace=settings.vault_namespace or None, ca_file=settings.vault_ca
    )


def _aws(settings: Settings, service: str) -> Any:
    from providers.aws_session import AwsSession

    if not settings.aws_region:
        raise Invalid("KEYWRIGHT_AWS_REGION is needed")
    return AwsSession(service, settings.aws_region, endpoint_url=settings.aws_endpoint or None)
